"""The ``health`` section."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from flaskreg.config.headers import Headers
from flaskreg.config.section import GoName
from flaskreg.config.section import Seconds
from flaskreg.config.section import Section


class Check(Section):
    """What every check of ``health`` has."""

    interval: Seconds = Field(default=10.0, description="The time between two checks.")
    threshold: int = Field(
        default=0,
        description="Failures in a row that make the registry unhealthy; 0: one.",
    )


class StorageCheck(Check):
    """``health.storagedriver``."""

    enabled: bool = Field(
        default=False,
        description="Whether the storage driver is checked.",
    )


class FileCheck(Check):
    """``health.file[]``."""

    file: str = Field(
        default="",
        description="The path of a file whose existence makes it unhealthy.",
    )


class HttpCheck(Check):
    """``health.http[]``."""

    uri: str = Field(default="", description="The URL that is asked with HEAD.")
    headers: Headers = Field(
        default_factory=dict,
        repr=False,
        description="Headers that are sent along.",
    )
    statuscode: int = Field(default=200, description="The status that is healthy.")
    timeout: Seconds = Field(
        default=0.0,
        description="How long the answer may take; 0: the interval.",
    )


class TcpCheck(Check):
    """``health.tcp[]``."""

    addr: str = Field(default="", description="`host:port` that must accept.")
    timeout: Seconds = Field(
        default=0.0,
        description="How long connecting may take; 0: the interval.",
    )


class Health(Section):
    """``health``: what is checked; while a check fails every request gets 503."""

    storagedriver: StorageCheck = Field(
        default_factory=StorageCheck,
        description="The storage driver.",
    )
    file: Annotated[list[FileCheck], GoName("FILECHECKERS")] = Field(
        default_factory=list,
        description="Files.",
    )
    http: Annotated[list[HttpCheck], GoName("HTTPCHECKERS")] = Field(
        default_factory=list,
        description="HTTP servers.",
    )
    tcp: Annotated[list[TcpCheck], GoName("TCPCHECKERS")] = Field(
        default_factory=list,
        description="TCP servers.",
    )
