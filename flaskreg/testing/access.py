"""The suite of access controllers."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck
from hypothesis import Phase
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from flaskreg.access import Access
from flaskreg.access import AccessController
from flaskreg.access import Grant
from flaskreg.access import Principal
from flaskreg.errors import Denied
from flaskreg.errors import Unauthorized
from flaskreg.testing.abilities import lacks
from flaskreg.testing.abilities import needs


PULL = Access("repository", "library/alpine", "pull")
PUSH = Access("repository", "library/alpine", "push")


def _basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


#: values of ``Authorization`` that nobody can have meant.
MALFORMED = (
    " ",
    "Basic",
    "Basic ",
    "Basic !!!",
    "Basic dXNlcg",
    "Basic /w==",
    _basic(""),
    _basic(":"),
    _basic("user-without-password"),
    _basic("user\0:password"),
    _basic("u" * 5000 + ":" + "p" * 5000),
    "Bearer",
    "Bearer ",
    "Bearer a",
    "Bearer a.b",
    "Bearer a.b.c",
    "Bearer ..",
    "Bearer eyJhbGciOiJub25lIn0.e30.",
    "Digest username=x",
    "Unknown credentials",
    "\u00fc\u00f6\u00e4",
)

_CHALLENGE = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9-]*) (?P<parameters>"
    r'[a-z_]+="(?:[^"\\]|\\.)*"(?:, ?[a-z_]+="(?:[^"\\]|\\.)*")*)'
)
_PARAMETER = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')

_examples = settings(
    max_examples=100,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.differing_executors,
        HealthCheck.too_slow,
    ],
)


class RequestHeaders(Mapping[str, str]):
    """Headers as a request has them: names are matched in any letter case."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = {name.lower(): value for name, value in headers.items()}

    def __getitem__(self, name: str) -> str:
        return self._headers[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._headers)

    def __len__(self) -> int:
        return len(self._headers)


def parse_challenge(challenge: str) -> tuple[str, dict[str, str]]:
    """Return the scheme and the parameters of a ``WWW-Authenticate`` value.

    :raises AssertionError: clients could not read it.
    """
    match = _CHALLENGE.fullmatch(challenge)
    assert match is not None, f"not a challenge: {challenge!r}"
    parameters = _PARAMETER.findall(match["parameters"])
    names = [name for name, _ in parameters]
    assert len(set(names)) == len(names), f"a parameter comes twice: {challenge!r}"
    return match["scheme"], dict(parameters)


class AccessControllerTests:
    """Everything that the contract of access controllers promises.

    Override ``controller``, ``good_request`` and ``bad_request``; ``accesses`` and
    ``denied`` where principals may do different things.
    """

    #: whether requests without credentials are allowed what ``accesses`` says.
    anonymous: bool = False
    #: whether wrong credentials are told from good ones.
    checks_credentials: bool = True
    #: whether the good request may not do everything; ``denied`` is wanted then.
    limits_access: bool = False

    @pytest.fixture
    def controller(self) -> AccessController:
        """Return the controller under test. Override it."""
        raise NotImplementedError("override the fixture controller")

    @pytest.fixture
    def good_request(self) -> Mapping[str, str]:
        """Return headers that are allowed ``accesses``. Override it."""
        raise NotImplementedError("override the fixture good_request")

    @pytest.fixture
    def bad_request(self) -> Mapping[str, str]:
        """Return headers with wrong credentials. Override it."""
        raise NotImplementedError("override the fixture bad_request")

    @pytest.fixture
    def accesses(self) -> Sequence[Access]:
        """Return what the good request may do."""
        return (PULL, PUSH)

    @pytest.fixture
    def denied(self) -> Access | None:
        """Return what the good request may not do, or ``None``."""
        return None

    # What is granted

    def test_grants_exactly_what_was_asked(
        self,
        controller: AccessController,
        good_request: Mapping[str, str],
        accesses: Sequence[Access],
    ) -> None:
        """Good credentials are granted all of it, and nothing besides."""
        grant = controller.authorize(RequestHeaders(good_request), accesses)
        assert isinstance(grant, Grant)
        assert tuple(grant.accesses) == tuple(accesses)
        for access in accesses:
            grant = controller.authorize(RequestHeaders(good_request), [access])
            assert tuple(grant.accesses) == (access,)

    def test_credentials_without_access(
        self, controller: AccessController, good_request: Mapping[str, str]
    ) -> None:
        """The base of the API asks for nothing but good credentials."""
        grant = controller.authorize(RequestHeaders(good_request), ())
        assert tuple(grant.accesses) == ()

    def test_the_principal_is_named(
        self,
        controller: AccessController,
        good_request: Mapping[str, str],
        accesses: Sequence[Access],
    ) -> None:
        """A grant says who it is for, always the same way."""
        grant = controller.authorize(RequestHeaders(good_request), accesses)
        assert isinstance(grant.principal, Principal)
        assert isinstance(grant.principal.name, str)
        again = controller.authorize(RequestHeaders(good_request), ())
        assert again.principal.name == grant.principal.name

    def test_abilities_are_those_of_the_controller(self, denied: Access | None) -> None:
        """The suite says that access is limited when it knows what is denied."""
        assert (denied is not None) == self.limits_access

    # What is refused

    @needs("checks_credentials")
    def test_wrong_credentials(
        self,
        controller: AccessController,
        bad_request: Mapping[str, str],
        accesses: Sequence[Access],
    ) -> None:
        """They are refused whatever is asked, with a challenge to try again."""
        for asked in (accesses, ()):
            with pytest.raises(Unauthorized) as caught:
                controller.authorize(RequestHeaders(bad_request), asked)
            self._check_challenge(caught.value)

    @pytest.mark.parametrize("headers", [{}, {"Accept": "*/*"}])
    def test_no_credentials(
        self,
        controller: AccessController,
        accesses: Sequence[Access],
        headers: Mapping[str, str],
    ) -> None:
        """They are asked for, or not needed."""
        for asked in (accesses, ()):
            if self.anonymous:
                grant = controller.authorize(RequestHeaders(headers), asked)
                assert tuple(grant.accesses) == tuple(asked)
            else:
                with pytest.raises(Unauthorized) as caught:
                    controller.authorize(RequestHeaders(headers), asked)
                self._check_challenge(caught.value)

    @lacks("anonymous")
    def test_the_challenge_is_the_same_for_the_same_request(
        self, controller: AccessController, accesses: Sequence[Access]
    ) -> None:
        """Its parameters do not change their order from one answer to the next."""
        challenges = set()
        for _ in range(3):
            with pytest.raises(Unauthorized) as caught:
                controller.authorize(RequestHeaders({}), accesses)
            challenges.add(caught.value.challenge)
        assert len(challenges) == 1

    @pytest.mark.parametrize("value", MALFORMED)
    def test_malformed_credentials(
        self, controller: AccessController, accesses: Sequence[Access], value: str
    ) -> None:
        """They are refused like wrong ones, and break nothing."""
        allowed = self._try(controller, {"Authorization": value}, accesses)
        assert not (allowed and self.checks_credentials)

    @given(
        value=st.text(st.characters(max_codepoint=255), max_size=200),
        scheme=st.sampled_from(["", "Basic ", "basic ", "Bearer ", "BEARER "]),
    )
    @_examples
    def test_any_credentials(
        self,
        controller: AccessController,
        accesses: Sequence[Access],
        scheme: str,
        value: str,
    ) -> None:
        """Whatever bytes come, the answer is a grant or a refusal."""
        allowed = self._try(controller, {"Authorization": scheme + value}, accesses)
        assert not (allowed and self.checks_credentials)

    @needs("limits_access")
    def test_all_or_nothing(
        self,
        controller: AccessController,
        good_request: Mapping[str, str],
        accesses: Sequence[Access],
        denied: Access | None,
    ) -> None:
        """A request that needs one thing too many gets nothing, as a mount does."""
        assert denied is not None, "what limits access has to override denied"
        for asked in ([denied], [*accesses, denied], [denied, *accesses]):
            with pytest.raises((Denied, Unauthorized)) as caught:
                controller.authorize(RequestHeaders(good_request), asked)
            if isinstance(caught.value, Unauthorized):
                self._check_challenge(caught.value)

    def test_many_threads(
        self,
        controller: AccessController,
        good_request: Mapping[str, str],
        accesses: Sequence[Access],
    ) -> None:
        """Requests that come at once are each decided by their own credentials."""

        def ask(number: int) -> bool:
            headers = good_request if number % 2 else {}
            return self._try(controller, headers, accesses)

        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(ask, range(40)))
        assert results == [bool(number % 2) or self.anonymous for number in range(40)]

    def _try(
        self,
        controller: AccessController,
        headers: Mapping[str, str],
        accesses: Sequence[Access],
    ) -> bool:
        """Return whether a request is allowed; any other error is the test's."""
        try:
            grant = controller.authorize(RequestHeaders(headers), accesses)
        except Unauthorized as error:
            self._check_challenge(error)
            return False
        except Denied:
            return False
        assert tuple(grant.accesses) == tuple(accesses)
        return True

    def _check_challenge(self, error: Unauthorized) -> None:
        assert error.headers["WWW-Authenticate"] == error.challenge
        _, parameters = parse_challenge(error.challenge)
        assert parameters["realm"]
