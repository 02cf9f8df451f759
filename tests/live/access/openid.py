"""A real provider of OpenID Connect, the ``oidc-provider`` of npm, and its log-in."""

from __future__ import annotations

import base64
import hashlib
import secrets
import shutil
import subprocess
from pathlib import Path
from urllib.parse import parse_qs
from urllib.parse import urljoin
from urllib.parse import urlsplit

import requests

from ..servers import free_port
from ..tools import cache_directory
from ..tools import need
from ..tools import run
from ..tools import wait_until


SOURCE = Path(__file__).parent / "provider"
AUDIENCE = "registry-live"
OTHER = "another-client"

_SECRET = "the secret of the tests"
_BACK = "https://client.example.com/back"


def installed() -> Path:
    """Return the folder of the program with what it needs, installed once by npm."""
    lock = (SOURCE / "package-lock.json").read_bytes()
    name = f"provider-{hashlib.sha256(lock).hexdigest()[:12]}"
    folder = cache_directory() / name
    if not (folder / "installed").exists():
        folder.mkdir(exist_ok=True)
        for each in ("package.json", "package-lock.json"):
            shutil.copy(SOURCE / each, folder)
        command = [need("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        run([*command, "--prefix", str(folder)], timeout=600)
        (folder / "installed").touch()
    shutil.copy(SOURCE / "provider.mjs", folder)
    return folder


class Provider:
    """The provider as a process.

    :param log: where it writes to.
    """

    def __init__(self, log: Path) -> None:
        port = free_port()
        self.issuer = f"http://127.0.0.1:{port}"
        program = str(installed() / "provider.mjs")
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [need("node"), program, str(port), AUDIENCE, OTHER],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

        def answers() -> bool:
            assert self._process.poll() is None, log.read_text()
            try:
                return requests.get(f"{self.issuer}/jwks", timeout=2).ok
            except requests.RequestException:
                return False

        wait_until(answers, 60, "the provider answers")

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(20)

    def id_token(self, user: str, client: str = AUDIENCE) -> str:
        """Return the ID token of a user, by the authorization code with PKCE.

        The user logs in and consents on the pages of the provider, as in a browser.
        """
        verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode()).digest()
        query = {
            "client_id": client,
            "redirect_uri": _BACK,
            "response_type": "code",
            "scope": "openid groups",
            "nonce": secrets.token_urlsafe(8),
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        form = {
            "grant_type": "authorization_code",
            "code": self._code(user, query),
            "redirect_uri": _BACK,
            "code_verifier": verifier,
        }
        url = f"{self.issuer}/token"
        answer = requests.post(url, data=form, auth=(client, _SECRET), timeout=10)
        return str(answer.json()["id_token"])

    def _code(self, user: str, query: dict[str, str]) -> str:
        """Go through the pages; return the code that the client gets in the end."""
        forms = [
            {"prompt": "login", "login": user, "password": "any"},
            {"prompt": "consent"},
        ]
        with requests.Session() as browser:
            url = f"{self.issuer}/auth"
            answer = browser.get(url, params=query, allow_redirects=False, timeout=10)
            for _ in range(10):
                target = urljoin(answer.url, answer.headers["Location"])
                if target.startswith(_BACK):
                    return parse_qs(urlsplit(target).query)["code"][0]
                if "/interaction/" in target:
                    answer = browser.post(
                        target, data=forms.pop(0), allow_redirects=False, timeout=10
                    )
                else:
                    answer = browser.get(target, allow_redirects=False, timeout=10)
        raise AssertionError(f"no code from {self.issuer}")
