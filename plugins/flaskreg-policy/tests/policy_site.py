"""A registry with a policy, and clients of it that are somebody."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from flaskreg_policy import PolicyService
from flaskreg_policy.apikeystore import ApiKeyStore
from flaskreg_policy.identity import Identity
from werkzeug.test import Client

from flaskreg import create_app
from flaskreg.access import Access
from flaskreg.config import Settings
from flaskreg.digest import Digest


CONFIG = b"{}"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


def basic(user: str, password: str) -> dict[str, str]:
    """Return the header of a user name and a password."""
    text = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {text}"}


def bearer(token: str) -> dict[str, str]:
    """Return the header of a token."""
    return {"Authorization": f"Bearer {token}"}


def allow(repositories: Any, subjects: Any, *actions: str) -> dict[str, Any]:
    """Return a rule that allows."""
    wanted = list(actions) or ["*"]
    return {"repositories": repositories, "subjects": subjects, "allow": wanted}


def deny(repositories: Any, subjects: Any, *actions: str) -> dict[str, Any]:
    """Return a rule that denies."""
    wanted = list(actions) or ["*"]
    return {"repositories": repositories, "subjects": subjects, "deny": wanted}


class Site:
    """A registry in memory whose users log in by API keys, since these cost nothing.

    :param folder: for the keys.
    :param more: further settings.
    :param parameters: of ``auth.policy``.
    """

    def __init__(
        self, folder: Path, more: Mapping[str, Any] | None = None, **parameters: Any
    ) -> None:
        self.store = ApiKeyStore(str(folder / "apikeys.json"))
        self.parameters = {
            "keys": str(folder / "keys"),
            "apikeys": str(self.store.path),
            **({} if "path" in parameters else {"rules": []}),
            **parameters,
        }
        settings = Settings.model_validate(
            {
                "storage": {"driver": "inmemory", "delete": {"enabled": True}},
                "auth": {"controller": "policy", "parameters": self.parameters},
                **(more or {}),
            }
        )
        self.app = create_app(settings)
        self.client = Client(self.app)
        self.service: PolicyService = self.app.site.controller.service
        self._keys: dict[str, str] = {}

    def key(self, user: str, **changes: Any) -> str:
        """Return a new API key of a user."""
        with self.store.changing() as change:
            change.keys, made, text = change.keys.make(
                user, "test", changes.get("expires"), changes.get("limits")
            )
        self.last = made
        return text

    def login(self, user: str) -> dict[str, str]:
        """Return the headers of a user; none for nobody."""
        if not user:
            return {}
        if user not in self._keys:
            self._keys[user] = self.key(user)
        return basic(user, self._keys[user])

    def call(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Any:
        """Send a request below ``/v2/``."""
        return self.client.open(
            f"/v2/{path}", method=method, headers=dict(headers or {}), **more
        )

    def token(
        self, headers: Mapping[str, str], *scopes: str, ask: str = "/auth/token"
    ) -> Any:
        """Return the answer of the token endpoint."""
        query = [("service", "flaskreg"), *(("scope", scope) for scope in scopes)]
        return self.client.get(
            ask, query_string=urlencode(query), headers=dict(headers)
        )

    def issue(self, identity: Identity, *scopes: tuple[str, str]) -> dict[str, str]:
        """Return the header of a token, issued whatever the policy says."""
        accesses = [Access("repository", name, action) for name, action in scopes]
        return bearer(self.service.tokens.issue(identity, accesses))

    def direct(self) -> Any:
        """Return the registry itself, which asks nobody."""
        return self.app.site.registry


def manifest(config: bytes = CONFIG, note: str = "") -> bytes:
    """Return an image manifest without layers."""
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {
            "mediaType": CONFIG_TYPE,
            "digest": str(Digest.of(config)),
            "size": len(config),
        },
        "layers": [],
        "annotations": {"note": note},
    }
    return json.dumps(document).encode()
