"""The ``http`` section."""

from __future__ import annotations

import ipaddress
from typing import Annotated
from typing import Any
from typing import Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator
from pydantic import Field
from pydantic import SecretStr
from pydantic import model_validator

from flaskreg.config.headers import Headers
from flaskreg.config.section import LOWERED
from flaskreg.config.section import Seconds
from flaskreg.config.section import Section
from flaskreg.config.tls import Tls


class Prometheus(Section):
    """``http.debug.prometheus``."""

    enabled: bool = Field(
        default=False,
        description="Whether metrics are served at the debug address.",
    )
    path: str = Field(default="/metrics", description="The path of the metrics.")


class Debug(Section):
    """``http.debug``."""

    addr: str | None = Field(
        default=None,
        description="`host:port` of the debug server; unset: none.",
    )
    prometheus: Prometheus = Field(
        default_factory=Prometheus,
        description="Metrics.",
    )


class Http2(Section):
    """``http.http2``."""

    disabled: bool = Field(
        default=False,
        description="Whether HTTP/2 is withheld from TLS clients.",
    )


class H2c(Section):
    """``http.h2c``."""

    enabled: bool = Field(
        default=False,
        description=(
            "Whether HTTP/2 is spoken without TLS too, by prior knowledge; it needs "
            "`pip install flaskreg[http2]`."
        ),
    )


def _slashed(prefix: str) -> str:
    return "/" + "".join(f"{part}/" for part in prefix.split("/") if part)


def _absolute(url: str) -> str:
    parts = urlsplit(url)
    if not parts.scheme or not parts.netloc:
        raise ValueError(
            "must be a URL with scheme and host, such as https://r.example.com"
        )
    return url


def _network(proxy: str) -> str:
    if proxy == "unix":
        return proxy
    try:
        ipaddress.ip_network(proxy, strict=False)
    except ValueError:
        raise ValueError(
            "must be an IP address, a network such as 10.0.0.0/8, or unix"
        ) from None
    return proxy


def _reserved(values: dict[str, Any]) -> int:
    threads: int = values.get("threads", 256)
    return min(8, threads // 2)


class Http(Section):
    """``http``: where the registry listens, and how it answers."""

    addr: str = Field(
        default=":5000",
        description="`host:port` to listen on; with `http.net: unix` a path.",
    )
    net: Annotated[Literal["tcp", "unix"], LOWERED] = Field(
        default="tcp",
        description="The kind of socket: `tcp` or `unix`.",
    )
    prefix: Annotated[str, AfterValidator(_slashed)] = Field(
        default="/",
        description="The path under which the registry is served.",
    )
    host: Annotated[str, AfterValidator(_absolute)] = Field(
        default="",
        description=(
            "The external base URL, used in `Location`; unset: as the client called."
        ),
    )
    secret: SecretStr | None = Field(
        default=None,
        description=(
            "The key that signs the state of uploads; every process that shares a "
            "storage needs the same, another registry too. Unset: made once and kept "
            "in the storage, and small blobs are pushed with fewer writes."
        ),
    )
    relativeurls: bool | None = Field(
        default=None,
        description=(
            "Whether `Location` has no scheme and host. Unset: as true, unless "
            "`http.host` is set; false: absolute, as distribution's default."
        ),
    )
    draintimeout: Seconds = Field(
        default=0.0,
        ge=0,
        description=(
            "How long running requests may finish after SIGTERM; "
            "0: `http.gracefultimeout` holds."
        ),
    )
    headers: Headers = Field(
        default_factory=dict,
        repr=False,
        description="Headers that are added to every answer.",
    )
    tls: Tls = Field(default_factory=Tls, description="TLS.")
    debug: Debug = Field(default_factory=Debug, description="The debug server.")
    http2: Http2 = Field(default_factory=Http2, description="HTTP/2 over TLS.")
    h2c: H2c = Field(default_factory=H2c, description="HTTP/2 without TLS.")
    trustedproxies: list[Annotated[str, AfterValidator(_network)]] = Field(
        default_factory=list,
        description=(
            "IP addresses and networks whose `Forwarded` and `X-Forwarded-*` headers "
            "are believed; `unix`: whoever calls over a unix socket. Empty: nobody."
        ),
    )
    idletimeout: Seconds = Field(
        default=60.0,
        ge=0,
        description=(
            "The longest time that a request may stand without a byte moving; "
            "0: for ever."
        ),
    )
    workers: int | None = Field(
        default=None,
        ge=1,
        description="Worker processes; unset: from the number of CPUs.",
    )
    threads: int = Field(
        default=256,
        ge=1,
        description=(
            "Threads of each worker process, made when there is work for them. A bulk "
            "transfer takes one for as long as it lasts."
        ),
    )
    reservedthreads: int = Field(
        default_factory=_reserved,
        ge=0,
        description=(
            "Threads of each worker that bulk transfers never take; less than "
            "`http.threads`. Unset: 8, or half the threads when they are few."
        ),
    )
    gracefultimeout: Seconds = Field(
        default=300.0,
        ge=0,
        description=(
            "How long running requests may finish after SIGTERM when "
            "`http.draintimeout` is 0."
        ),
    )

    @model_validator(mode="after")
    def _address_fits(self) -> Http:
        if self.net == "unix":
            if "addr" not in self.model_fields_set:
                raise ValueError("http.addr must be a path when http.net is unix")
            return self
        port = self.addr.rpartition(":")[2] if ":" in self.addr else ""
        if not (port.isascii() and port.isdigit() and int(port) <= 65535):
            raise ValueError(
                f'http.addr must be "host:port" with a port up to 65535, '
                f'not "{self.addr}"'
            )
        return self

    @model_validator(mode="after")
    def _threads_suffice(self) -> Http:
        if self.reservedthreads >= self.threads:
            raise ValueError(
                f"http.reservedthreads must be less than http.threads, and "
                f"{self.reservedthreads} is not less than {self.threads}"
            )
        return self
