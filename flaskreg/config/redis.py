"""The ``redis`` section.

The values for 0 are those of flaskreg-redis, and shorter than distribution's: a cache
that is not there at once is done without.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from pydantic import SecretStr

from flaskreg.config.section import Seconds
from flaskreg.config.section import Section


class RedisTls(Section):
    """``redis.tls``; any key turns TLS on."""

    certificate: str | None = Field(
        default=None,
        description="The path of the client certificate (PEM).",
    )
    key: str | None = Field(
        default=None,
        description="The path of the client's private key (PEM).",
    )
    rootcas: list[str] = Field(
        default_factory=list,
        description="Paths of CA certificates (PEM); empty: those of the system.",
    )


class Redis(Section):
    """``redis``: the server that caches are kept in."""

    inlined: ClassVar[str] = "OPTIONS"

    addrs: list[str] = Field(
        default_factory=list,
        description=(
            "`host:port` of the servers; empty: redis is off; more than one without "
            "`redis.mastername`: a cluster."
        ),
    )
    clientname: str = Field(default="", description="The name of each connection.")
    db: int = Field(default=0, description="The number of the database.")
    protocol: int = Field(
        default=0,
        description="The version of the protocol, 2 or 3; 0: 2.",
    )
    username: str = Field(default="", description="The user name.")
    password: SecretStr | None = Field(default=None, description="The password.")
    sentinelusername: str = Field(default="", description="The sentinels' user name.")
    sentinelpassword: SecretStr | None = Field(
        default=None,
        description="The sentinels' password.",
    )
    maxretries: int = Field(
        default=0,
        description="How often a command is tried again; 0 or less: never.",
    )
    minretrybackoff: Seconds = Field(
        default=0.0,
        description="The shortest wait between tries; 0: 8ms.",
    )
    maxretrybackoff: Seconds = Field(
        default=0.0,
        description="The longest wait between tries; 0: 512ms.",
    )
    dialtimeout: Seconds = Field(
        default=0.0,
        description="How long connecting may take; 0: 500ms.",
    )
    readtimeout: Seconds = Field(
        default=0.0,
        description="How long an answer, or writing a command, may take; 0: 500ms.",
    )
    writetimeout: Seconds = Field(
        default=0.0,
        description="As `redis.readtimeout`; the longer one holds.",
    )
    contexttimeoutenabled: bool = Field(
        default=False,
        description="Whether the deadline of a request bounds its commands.",
    )
    poolfifo: bool = Field(
        default=False,
        description="Whether the connection that rested longest is used next.",
    )
    poolsize: int = Field(
        default=0,
        description="Connections of the pool; 0: ten for each CPU.",
    )
    pooltimeout: Seconds = Field(
        default=0.0,
        description="How long to wait for a connection; 0: `readtimeout`.",
    )
    minidleconns: int = Field(
        default=0,
        description="The fewest idle connections that are kept.",
    )
    maxidleconns: int = Field(
        default=0,
        description="The most idle connections that are kept; 0: no limit.",
    )
    maxactiveconns: int = Field(
        default=0,
        description="The most connections in use; 0: no limit.",
    )
    connmaxidletime: Seconds = Field(
        default=0.0,
        description="How long a connection may be idle; 0: 30m.",
    )
    connmaxlifetime: Seconds = Field(
        default=0.0,
        description="How long a connection is used; 0: for ever.",
    )
    maxredirects: int = Field(
        default=0,
        description="Redirects of a cluster that are followed; 0: 3.",
    )
    readonly: bool = Field(
        default=False,
        description="Whether replicas of a cluster may be read.",
    )
    routebylatency: bool = Field(
        default=False,
        description="Whether the nearest node of a cluster is read.",
    )
    routerandomly: bool = Field(
        default=False,
        description="Whether any node of a cluster is read.",
    )
    mastername: str = Field(
        default="",
        description="The name of the master; set: the servers are sentinels.",
    )
    disableidentity: bool = Field(
        default=False,
        description="Whether the client's library is not told to the server.",
    )
    identitysuffix: str = Field(
        default="",
        description="What is added to the client's identity.",
    )
    unstableresp3: bool = Field(
        default=False,
        description="Whether unstable answers of protocol 3 are used.",
    )
    tls: RedisTls = Field(default_factory=RedisTls, description="TLS to the servers.")
