"""The ``proxy`` section."""

from __future__ import annotations

from typing import Annotated
from typing import Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator
from pydantic import Field
from pydantic import SecretStr
from pydantic import model_validator

from flaskreg.config.section import LOWERED
from flaskreg.config.section import Seconds
from flaskreg.config.section import Section
from flaskreg.errors import NameInvalid
from flaskreg.names import parse_name


def _http(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http or https URL, such as https://r.example.com")
    if parts.query or parts.fragment:
        raise ValueError("must be a URL without a query")
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("must be a URL with a port up to 65535") from None
    return url.rstrip("/")


def _name(prefix: str) -> str:
    try:
        return parse_name(prefix.strip("/"))
    except NameInvalid:
        raise ValueError(
            "must be the beginning of repository names, such as docker.io"
        ) from None


Url = Annotated[str, AfterValidator(_http)]


class Exec(Section):
    """``proxy.exec``."""

    command: str = Field(
        default="",
        description=(
            "A docker credential helper that is asked for user name and password."
        ),
    )
    lifetime: Seconds | None = Field(
        default=None,
        description="How long its answer is kept; unset: for ever, 0: not at all.",
    )


class UpstreamTls(Section):
    """``proxy.tls``."""

    ca: str = Field(
        default="",
        description=(
            "A file of CA certificates that are trusted too, beside the system's."
        ),
    )
    certificate: str = Field(
        default="",
        description="A file with the certificate that is shown to the upstream.",
    )
    key: str = Field(default="", description="The file with its private key.")
    insecure: bool = Field(
        default=False,
        description="Whether the upstream's certificate is not verified.",
    )


class Remote(Section):
    """How one upstream is reached, and what is cached of it."""

    username: str = Field(default="", description="The user name there.")
    password: SecretStr | None = Field(default=None, description="The password there.")
    exec: Exec = Field(default_factory=Exec, description="A credential helper.")
    mirrors: list[Url] = Field(
        default_factory=list,
        description=(
            "URLs of mirrors, tried in their order before the upstream itself, "
            "without credentials."
        ),
    )
    tls: UpstreamTls = Field(default_factory=UpstreamTls, description="TLS to it.")
    realms: list[str] = Field(
        default_factory=list,
        description=(
            "Further hosts that may ask for the credentials, beside the upstream's "
            "own and those of its registrable domain."
        ),
    )
    allow: list[str] = Field(
        default_factory=list,
        description="Globs of the names there that are cached; empty: all.",
    )
    deny: list[str] = Field(
        default_factory=list,
        description="Globs of the names there that are not cached.",
    )
    library: bool | None = Field(
        default=None,
        description=(
            "Whether `library/` is put before a name of one part; unset: for Docker "
            "Hub."
        ),
    )
    mode: Annotated[Literal["fresh", "stale-while-revalidate", "offline"], LOWERED] = (
        Field(
            default="fresh",
            description=(
                "`fresh`: a cached tag is looked up there before it is served; "
                "`stale-while-revalidate`: after it; `offline`: never, and nothing "
                "else is asked for."
            ),
        )
    )
    tagttl: Seconds = Field(
        default=0.0,
        ge=0,
        description="How long a tag is served without looking it up there.",
    )
    staleifgone: Seconds = Field(
        default=604800.0,
        ge=0,
        description="How long a cached tag is served that the upstream has no more.",
    )


class Upstream(Remote):
    """``proxy.upstreams[]``."""

    prefix: Annotated[str, AfterValidator(_name)] = Field(
        description="How the names of its repositories begin here: `docker.io`.",
    )
    remoteurl: Url = Field(description="The URL of the registry.")
    host: str = Field(
        default="",
        description=("A `Host` whose requests leave the prefix out; unset: none."),
    )
    tagttl: Seconds = Field(
        default=60.0,
        ge=0,
        description="How long a tag is served without looking it up there.",
    )


class Prefetch(Section):
    """``proxy.prefetch[]``."""

    images: list[str] = Field(
        description=(
            "What is had ahead of time, as `flaskreg mirror` takes it: "
            "`docker.io/library/debian:bookworm`; without a tag or digest all tags."
        ),
    )
    timetable: str = Field(
        default="24h",
        description=(
            "When: a duration, first at the start, or five fields as cron has them, "
            "in UTC: `0 3 * * *`."
        ),
    )
    platforms: list[str] = Field(
        default_factory=list,
        description="The platforms of an index, such as `linux/arm64`; empty: all.",
    )
    tags: list[str] = Field(
        default_factory=list,
        description="Globs of the tags of an image without one; empty: all.",
    )
    referrers: bool = Field(
        default=True,
        description="Whether signatures and what else refers to an image come too.",
    )


class Proxy(Remote):
    """``proxy``: pull-through caches of other registries."""

    remoteurl: Annotated[str, AfterValidator(lambda it: it and _http(it))] = Field(
        default="",
        description=(
            "The URL of the registry that is cached, to which nothing is pushed; "
            "unset: none."
        ),
    )
    ttl: Seconds = Field(
        default=604800.0,
        description="How long content is kept; 0 or less: for ever.",
    )
    maxbytes: int = Field(
        default=0,
        ge=0,
        description=(
            "The most bytes of all that is cached; what was used least recently goes "
            "first. 0: no limit."
        ),
    )
    highwater: int = Field(
        default=95,
        ge=1,
        le=100,
        description="The percent of `proxy.maxbytes` from which content is removed.",
    )
    lowwater: int = Field(
        default=85,
        ge=1,
        le=100,
        description="The percent of it down to which content is removed then.",
    )
    minfree: int = Field(
        default=0,
        ge=0,
        description=(
            "The bytes that stay free on the disk of the filesystem driver. "
            "0: no limit."
        ),
    )
    cachewritetimeout: Seconds = Field(
        default=300.0,
        description="How long a download goes on that nobody waits for.",
    )
    workdir: str = Field(
        default="",
        description=(
            "A local directory for downloads that are not complete. Unset: in the "
            "storage with the filesystem driver, else below the system's directory "
            "for temporary files."
        ),
    )
    upstreams: list[Upstream] = Field(
        default_factory=list,
        description="Registries that are cached beside the local repositories.",
    )

    prefetch: list[Prefetch] = Field(
        default_factory=list,
        description="What is had ahead of time, and when.",
    )

    @property
    def configured(self) -> bool:
        """Whether any registry is to be cached."""
        return bool(self.remoteurl or self.upstreams)

    @model_validator(mode="after")
    def _low_is_not_above_high(self) -> Proxy:
        if self.lowwater > self.highwater:
            raise ValueError(
                f"proxy.lowwater: {self.lowwater} is above proxy.highwater, "
                f"{self.highwater}"
            )
        return self

    @model_validator(mode="after")
    def _prefixes_differ(self) -> Proxy:
        for key in ("prefix", "host"):
            values = [getattr(each, key) for each in self.upstreams]
            for value in values:
                if value and values.count(value) > 1:
                    raise ValueError(f"proxy.upstreams: two have the {key} {value}")
        return self
