"""The parameters of ``auth.policy.ldap``."""

from __future__ import annotations

from typing import Annotated
from typing import Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator
from pydantic import Field
from pydantic import SecretStr
from pydantic import model_validator

from flaskreg.config.section import Section
from flaskreg.config.section import WrittenSeconds


_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def _uri(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("ldap", "ldaps", "ldapi") or parts.username is not None:
        raise ValueError("must be a URI such as ldaps://ldap.example.com")
    if parts.path not in ("", "/") or (parts.scheme != "ldapi" and not parts.hostname):
        raise ValueError("must be a URI of a scheme, a host and perhaps a port")
    return text


def _filter(text: str) -> str:
    if text.count("(") != text.count(")") or not text.startswith("("):
        raise ValueError("must be an LDAP filter in parentheses")
    return text


Filter = Annotated[str, AfterValidator(_filter)]


class LdapSettings(Section):
    """``auth.policy.ldap``."""

    uri: Annotated[str, AfterValidator(_uri)] = Field(
        description="The server: `ldaps://`, `ldap://` or `ldapi://`.",
    )
    starttls: bool = Field(
        default=False,
        description="Whether TLS begins on the connection of `ldap://`.",
    )
    cacert: str = Field(
        default="",
        description="The CA certificates (PEM) of the server; unset: the system's.",
    )
    plaintext: bool = Field(
        default=False,
        description="Whether passwords may go over a network without TLS.",
    )
    binddn: str = Field(
        default="",
        description="Who searches for users; unset: nobody in particular.",
    )
    bindpassword: SecretStr = Field(
        default=SecretStr(""),
        description="The password of `binddn`.",
    )
    base: str = Field(description="Below which entry users are.")
    userfilter: Filter = Field(
        default="(uid={user})",
        description="What finds a user's entry; `{user}` is what was typed.",
    )
    userattribute: str = Field(
        default="uid",
        description="The attribute of the entry that is the user's name.",
    )
    groupbase: str = Field(
        default="",
        description="Below which entry groups are; unset: there are none.",
    )
    groupfilter: Filter = Field(
        default="(|(member={dn})(uniqueMember={dn})(memberUid={user}))",
        description="What finds a user's groups; `{dn}` is the user's entry.",
    )
    groupattribute: str = Field(
        default="cn",
        description="The attribute of a group that is its name.",
    )
    scope: Literal["subtree", "onelevel"] = Field(
        default="subtree",
        description="How far below `base` and `groupbase` to look.",
    )
    timeout: WrittenSeconds = Field(
        default=5.0,
        gt=0,
        le=60,
        description="How long the server may take for each answer.",
    )
    cache: WrittenSeconds = Field(
        default=60.0,
        ge=0,
        le=600,
        description="How long a good log-in and a user's groups are remembered.",
    )

    @model_validator(mode="after")
    def _is_private(self) -> LdapSettings:
        parts = urlsplit(self.uri)
        if self.starttls and parts.scheme != "ldap":
            raise ValueError("starttls goes with ldap:// alone")
        local = parts.hostname in _LOOPBACK
        if parts.scheme == "ldap" and not (self.starttls or self.plaintext or local):
            raise ValueError(
                "ldap:// sends passwords in the clear: use ldaps://, or starttls: "
                "true, or say plaintext: true"
            )
        if bool(self.binddn) != bool(self.bindpassword.get_secret_value()):
            raise ValueError("binddn and bindpassword go together")
        if "{user}" not in self.userfilter:
            raise ValueError("userfilter must hold {user}")
        return self
