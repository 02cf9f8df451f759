"""From a document, a YAML file or a block of the configuration, to a policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from typing import Any
from typing import Literal

import yaml
from pydantic import AfterValidator
from pydantic import BeforeValidator
from pydantic import Field
from pydantic import model_validator

from flaskreg.config import ConfigError
from flaskreg.config.section import Section
from flaskreg_policy.globs import Glob
from flaskreg_policy.globs import parse_glob
from flaskreg_policy.policy import ACTIONS
from flaskreg_policy.policy import ANONYMOUS
from flaskreg_policy.policy import AUTHENTICATED
from flaskreg_policy.policy import Policy
from flaskreg_policy.policy import Rule
from flaskreg_policy.validate import validated


#: the keys of the configuration that hold a policy, in place of ``path``.
KEYS = ("users", "groups", "robots", "rules")

_LONGEST_NAME = 255


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def parse_user(name: str) -> str:
    """Return a name that a user or a group may have.

    :raises ValueError: it has characters that cannot be printed, or it is a word of
        the policy.
    """
    if name in (ANONYMOUS, AUTHENTICATED):
        raise ValueError(f"{name} is not a name: the policy has a meaning for it")
    if not name or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise ValueError("a name must be printable text")
    return name


def parse_subject(text: str) -> str:
    """Return a subject of a rule in its full form.

    :raises ValueError: what it names cannot be a name.
    """
    if text in (ANONYMOUS, AUTHENTICATED):
        return text
    kind, colon, name = text.partition(":")
    if colon and kind in ("user", "group"):
        return f"{kind}:{parse_user(name)}"
    return f"user:{parse_user(text)}"


Name = Annotated[str, AfterValidator(parse_user)]
Names = Annotated[list[Name], BeforeValidator(_listed)]
Actions = Annotated[
    list[Literal["pull", "push", "delete", "overwrite", "*"]], BeforeValidator(_listed)
]


class User(Section):
    """One user that the policy says something about."""

    groups: Names = Field(default_factory=list)
    disabled: bool = False


class RuleEntry(Section):
    """One rule as it is written."""

    name: str = ""
    repositories: Annotated[
        list[Annotated[Glob, BeforeValidator(lambda text: parse_glob(str(text)))]],
        BeforeValidator(_listed),
    ] = Field(min_length=1)
    subjects: Annotated[
        list[Annotated[str, AfterValidator(parse_subject)]], BeforeValidator(_listed)
    ] = Field(min_length=1)
    allow: Actions = Field(default_factory=list)
    deny: Actions = Field(default_factory=list)

    @model_validator(mode="after")
    def _says_something(self) -> RuleEntry:
        if not self.allow and not self.deny:
            raise ValueError("a rule needs allow or deny")
        return self

    def rule(self, number: int) -> Rule:
        """Return the rule; the first one has the number 1."""
        return Rule(
            f"rule {number} ({self.name})" if self.name else f"rule {number}",
            tuple(self.repositories),
            frozenset(self.subjects),
            _all(self.allow),
            _all(self.deny),
        )


class Document(Section):
    """All that a policy says."""

    users: dict[Name, User] = Field(default_factory=dict)
    groups: dict[Name, Names] = Field(default_factory=dict)
    robots: dict[Name, User] = Field(default_factory=dict)
    rules: list[RuleEntry] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        filled = dict(data)
        for key in ("users", "robots"):
            entries = filled.get(key)
            if isinstance(entries, list):
                entries = {str(name): {} for name in entries}
            if isinstance(entries, Mapping):
                filled[key] = {
                    name: {} if entry is None else entry
                    for name, entry in entries.items()
                }
        return filled

    @model_validator(mode="after")
    def _robots_are_no_users(self) -> Document:
        for name in self.users.keys() & self.robots.keys():
            raise ValueError(f"{name} is a user and a robot; it can be one of them")
        return self

    def policy(self) -> Policy:
        """Return the policy."""
        members: dict[str, set[str]] = {}
        for name, user in [*self.users.items(), *self.robots.items()]:
            members[name] = set(user.groups)
        for group, names in self.groups.items():
            for name in names:
                members.setdefault(name, set()).add(group)
        accounts = [*self.users.items(), *self.robots.items()]
        return Policy(
            {name: frozenset(groups) for name, groups in members.items()},
            frozenset(self.robots),
            frozenset(name for name, user in accounts if user.disabled),
            tuple(entry.rule(at) for at, entry in enumerate(self.rules, 1)),
        )


def _all(actions: list[Any]) -> frozenset[str]:
    return frozenset(ACTIONS if "*" in actions else actions)


def make_policy(document: object, key: str) -> Policy:
    """Return the policy that a document holds.

    :param key: what stands before the keys in errors.
    :raises ConfigError: the document is wrong; one line says where.
    """
    return validated(Document, document, key).policy()


def read_policy(content: bytes, path: str) -> Policy:
    """Return the policy that the content of a file holds.

    :raises ConfigError: it is wrong; one line says where.
    """
    try:
        document = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: is no YAML: {error}") from None
    if document is None:
        raise ConfigError(f"{path}: is empty; a policy that allows nothing is {{}}")
    return make_policy(document, path)
