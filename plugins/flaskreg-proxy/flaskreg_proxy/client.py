"""The client of one upstream: its mirrors and itself, tried in their order."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from urllib.parse import unquote
from urllib.parse import urlsplit

from flaskreg.config.proxy import Remote
from flaskreg_proxy.budget import Budget
from flaskreg_proxy.counters import Counters
from flaskreg_proxy.credentials import Configured
from flaskreg_proxy.credentials import Credentials
from flaskreg_proxy.credentials import make_credentials
from flaskreg_proxy.errors import NotThere
from flaskreg_proxy.errors import UpstreamError
from flaskreg_proxy.origin import Origin
from flaskreg_proxy.tokens import TokenStore
from flaskreg_proxy.transport import Reply
from flaskreg_proxy.transport import Transport


#: names under which Docker Hub is known; its API answers under the first.
DOCKER_HUB = ("registry-1.docker.io", "docker.io", "index.docker.io")


def is_docker_hub(url: str) -> bool:
    """Whether a URL is one of Docker Hub."""
    return (urlsplit(url).hostname or "").lower() in DOCKER_HUB


class UpstreamClient:
    """Asks an upstream, or one of its mirrors.

    :param url: of the upstream itself.
    :param remote: how it is reached.
    :param tokens: shared by all upstreams.
    :param counters: of this process; ``None`` for its own.
    """

    def __init__(
        self,
        url: str,
        remote: Remote,
        tokens: TokenStore,
        counters: Counters | None = None,
    ) -> None:
        counters = counters or Counters()
        if is_docker_hub(url):
            url = f"https://{DOCKER_HUB[0]}"
        credentials = make_credentials(remote)
        parts = urlsplit(url)
        if parts.username and not remote.username and not remote.exec.command:
            user, password = unquote(parts.username), unquote(parts.password or "")
            credentials = Configured(Credentials(user, password))
        nobody = Configured(None)
        self.origins: Sequence[Origin] = [
            *(
                Origin(mirror, Transport(remote.tls), nobody, (), tokens, counters)
                for mirror in remote.mirrors
            ),
            Origin(
                url,
                Transport(remote.tls),
                credentials,
                remote.realms,
                tokens,
                counters,
            ),
        ]

    @property
    def host(self) -> str:
        """Return the host of the upstream itself."""
        return self.origins[-1].host

    @property
    def spent(self) -> bool:
        """Whether the upstream asked to be spared."""
        return self.origins[-1].limits.spent

    def close(self) -> None:
        """Close the connections that are kept."""
        for origin in self.origins:
            origin.close()

    def request(
        self,
        method: str,
        path: str,
        name: str,
        budget: Budget,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Return the first good answer, or raise as the upstream itself does.

        :param path: from ``/v2/`` on, with a query when there is one.
        :param name: the repository that is pulled from.
        :raises NotThere: the upstream has not got it.
        :raises UpstreamError: it cannot be asked, or does not answer as it should.
        """
        for origin in self.origins[:-1]:
            try:
                return origin.request(method, path, name, headers or {}, budget)
            except (NotThere, UpstreamError):
                continue
        return self.origins[-1].request(method, path, name, headers or {}, budget)
