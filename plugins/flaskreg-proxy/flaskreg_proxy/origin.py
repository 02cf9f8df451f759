"""One server of an upstream: the registry itself, or a mirror of it."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from collections.abc import Sequence
from functools import cache
from urllib.parse import urlencode
from urllib.parse import urlsplit

from publicsuffixlist import PublicSuffixList

from flaskreg_proxy.addresses import is_address
from flaskreg_proxy.breaker import Breaker
from flaskreg_proxy.budget import Budget
from flaskreg_proxy.challenges import Challenge
from flaskreg_proxy.challenges import parse_challenges
from flaskreg_proxy.counters import Counters
from flaskreg_proxy.credentials import Credentials
from flaskreg_proxy.credentials import CredentialSource
from flaskreg_proxy.errors import NotThere
from flaskreg_proxy.errors import UpstreamDenied
from flaskreg_proxy.errors import UpstreamError
from flaskreg_proxy.errors import UpstreamFailed
from flaskreg_proxy.lease import key_of
from flaskreg_proxy.ratelimit import Limits
from flaskreg_proxy.tokens import Token
from flaskreg_proxy.tokens import TokenStore
from flaskreg_proxy.tokens import lifetime
from flaskreg_proxy.transport import Reply
from flaskreg_proxy.transport import Transport
from flaskreg_proxy.transport import origin_of


#: bytes of the answer of a token server that are read.
_TOKEN_ANSWER = 256 << 10


class Origin:
    """Sends requests to one server, with the credentials that it asks for.

    :param url: of the server, as configured.
    :param transport: its connections.
    :param credentials: what it may be told.
    :param realms: hosts that may be told too, beside those of the same site.
    :param tokens: shared by all upstreams.
    :param counters: of this process.
    """

    def __init__(
        self,
        url: str,
        transport: Transport,
        credentials: CredentialSource,
        realms: Sequence[str],
        tokens: TokenStore,
        counters: Counters,
    ) -> None:
        self.url = url
        self.host = urlsplit(url).netloc.rpartition("@")[2].lower()
        self.breaker = Breaker()
        self.limits = Limits(lambda it: tokens.workplace.limit(key_of(url, it)))
        self._counters = counters.origin(self.host)
        self._transport = transport
        self._credentials = credentials
        self._realms = frozenset(each.lower() for each in realms)
        self._tokens = tokens
        #: how it wanted to be convinced last; ``None`` until it says.
        self._challenge: Challenge | None = None

    def close(self) -> None:
        """Close the connections that are kept."""
        self._transport.close()

    def request(
        self,
        method: str,
        path: str,
        name: str,
        headers: Mapping[str, str],
        budget: Budget,
    ) -> Reply:
        """Return an answer of 2xx, 304 or 416.

        :param path: of the URL, with a query when there is one.
        :param name: the repository that is pulled from.
        :raises NotThere: it has not got it.
        :raises UpstreamError: it cannot be asked, or does not answer as it should.
        """
        self.breaker.check()
        # Limits are of manifests: what blobs are missing of an image may still come.
        if "/blobs/" not in path:
            self.limits.check()
        self._counters.asked()
        try:
            reply = self._send(method, self._url(path), name, headers, budget)
            return self._checked(reply)
        except UpstreamError as error:
            self._counters.failed(error.kind)
            if isinstance(error, UpstreamFailed):
                self.breaker.failed(error)
                self._counters.left_alone(self.breaker.until)
            raise

    def _url(self, path: str) -> str:
        if path.startswith(("http://", "https://")):
            return path
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{host}{parts.path.rstrip('/')}{path}"

    def _send(
        self,
        method: str,
        url: str,
        name: str,
        headers: Mapping[str, str],
        budget: Budget,
    ) -> Reply:
        """Send a request, and once again with what the answer asks for."""
        scope = f"repository:{name}:pull"
        given = self._authorization(self._challenge, scope, budget)
        reply = self._transport.send(method, url, {**headers, **given}, budget)
        if reply.status != 401 or origin_of(reply.url) != origin_of(url):
            return reply
        reply.close()
        challenge = _choose(reply.headers.getlist("WWW-Authenticate"))
        if challenge is None:
            return reply
        if given and challenge == self._challenge:
            self._forget(challenge, scope, given)
            if challenge.scheme == "basic":
                return reply
        wanted = self._authorization(challenge, scope, budget)
        if not wanted:
            return reply
        self._challenge = challenge
        return self._transport.send(method, url, {**headers, **wanted}, budget)

    def _authorization(
        self, challenge: Challenge | None, scope: str, budget: Budget
    ) -> dict[str, str]:
        """Return the header that answers a challenge; none when nothing does."""
        if challenge is None:
            return {}
        if challenge.scheme == "basic":
            credentials = self._credentials.get(self.host)
            return {"Authorization": basic(credentials)} if credentials else {}
        credentials = self._credentials_for(challenge)
        purpose = self._purpose(challenge, scope, credentials)
        token = self._tokens.get(
            purpose, lambda: self._fetch(challenge, scope, credentials, budget)
        )
        return {"Authorization": f"Bearer {token.text}"}

    def _forget(
        self, challenge: Challenge, scope: str, given: Mapping[str, str]
    ) -> None:
        if challenge.scheme == "bearer":
            purpose = self._purpose(challenge, scope, self._credentials_for(challenge))
            self._tokens.forget(purpose, given["Authorization"].partition(" ")[2])

    def _purpose(
        self, challenge: Challenge, scope: str, credentials: Credentials | None
    ) -> tuple[str, ...]:
        realm = challenge.parameters.get("realm", "")
        service = challenge.parameters.get("service", "")
        user = credentials.username if credentials else ""
        return self.url, realm, service, scope, user

    def _fetch(
        self,
        challenge: Challenge,
        scope: str,
        credentials: Credentials | None,
        budget: Budget,
    ) -> Token:
        """Ask the realm of a challenge for a token.

        Source: docker's token authentication.
        """
        realm = challenge.parameters["realm"]
        query = {"service": challenge.parameters.get("service", ""), "scope": scope}
        headers = {}
        if credentials is not None:
            query["account"] = credentials.username
            headers["Authorization"] = basic(credentials)
        joint = "&" if urlsplit(realm).query else "?"
        asked = urlencode({key: value for key, value in query.items() if value})
        own = origin_of(realm) == origin_of(self.url)
        reply = self._transport.send(
            "GET", f"{realm}{joint}{asked}", headers, budget, own=own
        )
        reply = self._checked(reply, of_realm=True)
        try:
            document = json.loads(reply.read_all(_TOKEN_ANSWER))
            text = document.get("token") or document["access_token"]
            lives = lifetime(document.get("expires_in"))
        except (ValueError, KeyError, AttributeError, TypeError):
            text = None
        finally:
            reply.close()
        if not isinstance(text, str) or not text.isascii() or not text.isprintable():
            raise UpstreamFailed(message="the upstream's token server gives no token")
        return Token(text, time.time() + lives)

    def _credentials_for(self, challenge: Challenge) -> Credentials | None:
        """Return what the realm of a challenge may be told.

        :raises UpstreamFailed: the realm may not even be asked.
        """
        realm = challenge.parameters.get("realm", "")
        try:
            scheme, host, _port = origin_of(realm)
        except ValueError:
            scheme, host = "", ""
        if scheme not in ("http", "https") or not host:
            raise UpstreamFailed(message="the upstream's token server has no address")
        if scheme == "http" and self.url.startswith("https:"):
            raise UpstreamFailed(message="the upstream's token server is not on https")
        if not self._trusts(realm):
            return None
        return self._credentials.get(urlsplit(realm).netloc.lower())

    def _trusts(self, realm: str) -> bool:
        """Whether a realm may be told the credentials."""
        netloc = urlsplit(realm).netloc.lower()
        if netloc == self.host or netloc in self._realms:
            return True
        host = origin_of(realm)[1]
        return host in self._realms or same_site(host, origin_of(self.url)[1])

    def _checked(self, reply: Reply, *, of_realm: bool = False) -> Reply:
        """Return an answer that can be used.

        :raises NotThere: it is a 404.
        :raises UpstreamError: it is another refusal.
        """
        status = reply.status
        if not of_realm and (told := self.limits.note(reply.headers)) is not None:
            self._counters.told(told)
        if status < 500:
            self.breaker.succeeded()
            self._counters.left_alone(0)
        if 200 <= status < 300 or status in (304, 416):
            return reply
        retry_after = reply.headers.get("Retry-After")
        reply.close()
        at_home = of_realm or origin_of(reply.url) == origin_of(self.url)
        if status == 404 and not of_realm:
            raise NotThere
        if status == 429:
            raise self.limits.refused(retry_after)
        if status in (401, 403) and at_home:
            raise UpstreamDenied(f"{self.host} answered {status}")
        error = UpstreamFailed(f"{urlsplit(reply.url).netloc} answered {status}")
        error.upstream_status = status
        raise error


def basic(credentials: Credentials) -> str:
    """Return the header's value of a user name and a password."""
    pair = f"{credentials.username}:{credentials.password}".encode()
    return f"Basic {base64.b64encode(pair).decode('ascii')}"


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def same_site(host: str, other: str) -> bool:
    """Whether two hosts are below one registrable domain, by the public suffix list."""
    if is_address(host) or is_address(other):
        return False
    domain = _suffixes().privatesuffix(host)
    return domain is not None and domain == _suffixes().privatesuffix(other)


def _choose(headers: Sequence[str]) -> Challenge | None:
    """Return the challenge that is answered: Bearer before Basic, the first of each."""
    challenges = parse_challenges(headers)
    for scheme in ("bearer", "basic"):
        for challenge in challenges:
            if challenge.scheme == scheme:
                return challenge
    return None
