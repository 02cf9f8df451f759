"""The policy: who may do what, decided by the longest glob that matches."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field

from flaskreg.lru import LRU
from flaskreg_policy.globs import Glob
from flaskreg_policy.identity import Identity


ACTIONS = ("pull", "push", "delete", "overwrite")

#: what a client needs to be allowed, to do one thing.
NEEDS: Mapping[str, tuple[str, ...]] = {
    "pull": ("pull",),
    "push": ("pull", "push"),
    "delete": ("delete",),
    "overwrite": ("pull", "push", "overwrite"),
}

#: the subjects that are no names.
ANONYMOUS = "anonymous"
AUTHENTICATED = "authenticated"

_REMEMBERED = 8192


@dataclass(frozen=True)
class Rule:
    """One rule: some subjects, some repositories, what they may and may not.

    :param label: how it is told apart from others.
    :param subjects: ``anonymous``, ``authenticated``, ``user:NAME``, ``group:NAME``.
    """

    label: str
    repositories: tuple[Glob, ...]
    subjects: frozenset[str]
    allow: frozenset[str]
    deny: frozenset[str]

    def __str__(self) -> str:
        return self.label


@dataclass(frozen=True)
class Decision:
    """Whether something is allowed, and what decided it.

    :param rule: the rule; ``None`` when none applies, or ``reason`` tells.
    :param glob: the glob of the rule that matched.
    """

    allowed: bool
    rule: Rule | None = None
    glob: Glob | None = None
    reason: str = ""

    def __str__(self) -> str:
        if self.rule is None:
            return self.reason or "no rule applies"
        verb = "allows" if self.allowed else "denies"
        return f"{self.rule} {verb} it by {str(self.glob)!r}"


@dataclass(frozen=True)
class Policy:
    """Users, groups, robots and rules; immutable, so that decisions are remembered.

    :param members: the groups of each user that the policy names.
    :param robots: the users that log in by API keys alone.
    :param disabled: the users that do not get in at all.
    """

    members: Mapping[str, frozenset[str]] = field(default_factory=dict)
    robots: frozenset[str] = frozenset()
    disabled: frozenset[str] = frozenset()
    rules: tuple[Rule, ...] = ()
    _decisions: LRU[object, Decision] = field(
        default_factory=lambda: LRU(_REMEMBERED), compare=False, repr=False
    )

    def refusal(self, identity: Identity) -> str:
        """Return why somebody does not get in, whatever they proved; or ``""``."""
        if identity.name in self.disabled:
            return "the policy disables the user"
        if identity.name in self.robots and identity.via not in {"apikey", "explain"}:
            return "a robot logs in by an API key"
        return ""

    def subjects_of(self, identity: Identity) -> frozenset[str]:
        """Return all that a rule may call somebody.

        Whoever has credentials can leave them out, so what nobody in particular may
        do, everybody may.
        """
        if identity.anonymous:
            return frozenset({ANONYMOUS})
        groups = identity.groups | self.members.get(identity.name, frozenset())
        names = {ANONYMOUS, AUTHENTICATED, f"user:{identity.name}"}
        return frozenset(names.union(f"group:{group}" for group in groups))

    def decide(self, identity: Identity, action: str, repository: str) -> Decision:
        """Decide over one action on one repository.

        Those rules apply that name the action, the subject, and a glob that matches.
        Of these the longest glob decides, counted in characters that are no wildcards;
        of equally long ones a denial, and then the rule that stands first.
        """
        key = (identity, action, repository)
        known = self._decisions.get(key)
        if known is None:
            known = self._decide(identity, action, repository)
            self._decisions.set(key, known)
        return known

    def may(self, identity: Identity, action: str, repository: str) -> bool:
        """Whether an action on a repository is allowed."""
        return self.decide(identity, action, repository).allowed

    def explain(self, identity: Identity, action: str, repository: str) -> Decision:
        """Decide over all that a client needs, to do one thing.

        A push, for one, wants the right to pull as well.

        :returns: the first denial, or the decision over the action itself.
        """
        refused = self.refusal(identity)
        if refused:
            return Decision(allowed=False, reason=refused)
        for needed in NEEDS[action]:
            decision = self.decide(identity, needed, repository)
            if not decision.allowed:
                break
        return decision

    def lists_for(self, identity: Identity) -> bool:
        """Whether somebody may ask for the catalog, of which they see their part."""
        return not identity.anonymous or any(
            ANONYMOUS in rule.subjects and "pull" in rule.allow for rule in self.rules
        )

    def _decide(self, identity: Identity, action: str, repository: str) -> Decision:
        if not identity.within_limits(action, repository):
            return Decision(
                allowed=False, reason=f"API key {identity.key} is not good for it"
            )
        subjects = self.subjects_of(identity)
        best = max(
            self._matching(subjects, action, repository),
            key=lambda found: (found[0].length, action in found[1].deny),
            default=None,
        )
        if best is None:
            return Decision(allowed=False)
        glob, rule = best
        return Decision(action not in rule.deny, rule, glob)

    def _matching(
        self, subjects: frozenset[str], action: str, repository: str
    ) -> Iterable[tuple[Glob, Rule]]:
        for rule in self.rules:
            named = action in rule.allow or action in rule.deny
            if named and not subjects.isdisjoint(rule.subjects):
                for glob in rule.repositories:
                    if glob.matches(repository):
                        yield glob, rule
