"""Measure what access control costs: ``python benchmarks/auth.py``.

Five registries run at once, two workers each: two that ask nobody, whose difference is
that of the machine, and one each with ``htpasswd``, ``token`` and ``policy``, whose
clients send what those want: a password, or a token, which is the same for all requests
and thus remembered. The load generator
puts its rows of reads on them in turn, round by round, and counts beside the rate the
CPU time of each registry's processes, which a busy machine blurs less. It writes
``AUTH.md``. ``--smoke`` does a little of it and writes nothing.

The plugins have to be installed: ``pip install ./plugins/*``.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import tempfile
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from beside import options_of
from beside import report
from flaskreg_htpasswd.hashes import make_hash
from flaskreg_token.issuer import TokenIssuer
from flaskreg_token.keys import KeyRing
from run import HERE
from run import Server
from run import find_regload
from run import free_port
from run import measure
from run import running
from run import write_configuration

from flaskreg.access import Access


OPEN, CONTROL = "open", "control"
REPOSITORY = "bench/load"
ROWS = "ping,manifest-,blob-,tags-list"
SMOKE_ROWS = "ping,manifest-get-tag,blob-head"

_BASIC = base64.b64encode(b"alice:correct horse").decode()
_PASSWORD = f"Basic {_BASIC}"


def write_htpasswd(folder: Path) -> tuple[str, str]:
    """Return the section of ``htpasswd``, and the header of a password."""
    file = folder / "users"
    file.write_bytes(b"alice:" + make_hash(b"correct horse") + b"\n")
    return f"htpasswd: {{realm: bench, path: {file}}}", _PASSWORD


def write_token(folder: Path) -> tuple[str, str]:
    """Return the section of ``token``, and the header of a token."""
    ring = KeyRing(str(folder / "keys-of-token"))
    issuer = TokenIssuer(ring, "bench", "bench", 24 * 3600)
    accesses = [Access("repository", REPOSITORY, each) for each in ("pull", "push")]
    file = folder / "jwks.json"
    file.write_text(json.dumps(ring.jwks()))
    section = (
        f"realm: http://localhost/token, service: bench, issuer: bench, jwks: {file}"
    )
    return f"token: {{{section}}}", f"Bearer {issuer.issue('alice', accesses).token}"


def write_policy(folder: Path) -> tuple[str, str]:
    """Return the section of ``policy``; its token comes from its own endpoint."""
    file = folder / "rules.yml"
    file.write_text(
        "groups: {team: [alice]}\n"
        "rules:\n"
        "- {repositories: public/**, subjects: anonymous, allow: pull}\n"
        "- {repositories: bench/**, subjects: 'group:team', allow: '*'}\n"
    )
    section = f"path: {file}, htpasswd: {folder / 'users'}, lifetime: 24h"
    return f"policy: {{{section}}}", ""


WRITERS = {"htpasswd": write_htpasswd, "token": write_token, "policy": write_policy}


def fetch_token(server: Server) -> str:
    """Return the header of a token, as a client gets it for a password."""
    scope = f"repository:{REPOSITORY}:pull,push"
    url = f"http://127.0.0.1:{server.port}/auth/token?service=flaskreg&scope={scope}"
    request = urllib.request.Request(url, headers={"Authorization": _PASSWORD})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return f"Bearer {json.load(answer)['token']}"


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="a moment, no results")
    parser.add_argument("--rounds", default="5", help="rounds of each row")
    parser.add_argument("--secs", default="3", help="seconds of each rate")
    parser.add_argument("--rows", default=ROWS, help="rows, by parts of their names")
    arguments = parser.parse_args()
    regload = find_regload()
    options = ["-rounds", arguments.rounds, "-secs", arguments.secs]
    options += ["-only", arguments.rows, "-tags", "100", "-big", "64"]
    if arguments.smoke:
        options = ["-rounds", "1", "-secs", "0.5", "-warm", "0.1", "-only", SMOKE_ROWS]
    command = [sys.executable, "-m", "gunicorn", "-w", "2", "wsgi:app"]
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, headers, servers = Path(name), {}, []
        for each in (CONTROL, *WRITERS, OPEN):
            port = free_port()
            file = write_configuration(folder, each, port)
            if each in WRITERS:
                section, headers[each] = WRITERS[each](folder)
                file.write_text(f"{file.read_text()}auth:\n  {section}\n")
            server = Server(each, command, port)
            servers.append(stack.enter_context(running(server, file)))
            if each == "policy":
                headers[each] = fetch_token(server)
        table = measure(servers, regload, [*options, *options_of(servers, headers)])
        page = report(
            "What access control costs",
            "auth.py",
            "a registry that asks nobody",
            [CONTROL, *WRITERS, OPEN],
            table,
            folder,
        )
    if arguments.smoke:
        print(page)
    else:
        (HERE / "AUTH.md").write_text(page)


if __name__ == "__main__":
    main()
