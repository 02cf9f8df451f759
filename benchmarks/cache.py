"""Measure a warm cache beside local content: ``python benchmarks/cache.py``.

Four registries run at once, two workers each: one whose content is local, a control,
which is another one of that kind, and a cache of the fourth one, through which all
content was pulled once. Tags were looked up and count as fresh, so that no row asks the
upstream. The load generator puts its rows of reads on the first three in turn, round by
round, and counts beside the rate the CPU time of each registry's processes. It writes
``CACHE.md``. ``--smoke`` does a little of it and writes nothing.

The plugin has to be installed: ``pip install ./plugins/flaskreg-proxy``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from beside import options_of
from beside import report
from run import HERE
from run import Server
from run import find_regload
from run import free_port
from run import measure
from run import running
from run import write_configuration


LOCAL, CONTROL, CACHE, UPSTREAM = "local", "control", "cache", "upstream"
ROWS = "manifest-get-tag,manifest-get-digest,blob-head,blob-get-1MiB,blob-get-big"
SMOKE_ROWS = "manifest-get-tag,blob-get-big"


def start(stack: ExitStack, folder: Path, name: str, upstream: str = "") -> Server:
    """Start a registry, which caches *upstream* when there is one."""
    port = free_port()
    file = write_configuration(folder, name, port)
    if upstream:
        section = f"proxy: {{remoteurl: '{upstream}', tagttl: 24h}}\n"
        file.write_text(file.read_text() + section)
    command = [sys.executable, "-m", "gunicorn", "-w", "2", "wsgi:app"]
    return stack.enter_context(running(Server(name, command, port), file))


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="a moment, no results")
    parser.add_argument("--rounds", default="5", help="rounds of each row")
    parser.add_argument("--secs", default="3", help="seconds of each rate")
    parser.add_argument("--big", default="256", help="MiB of the big blob")
    parser.add_argument("--rows", default=ROWS, help="rows, by parts of their names")
    arguments = parser.parse_args()
    regload = find_regload()
    options = ["-rounds", arguments.rounds, "-secs", arguments.secs, "-tags", "0"]
    options += ["-big", arguments.big, "-only", arguments.rows]
    if arguments.smoke:
        options += ["-rounds", "1", "-secs", "0.5", "-warm", "0.1", "-big", "16"]
        options += ["-only", SMOKE_ROWS]
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        upstream = start(stack, folder, UPSTREAM)
        url = f"http://127.0.0.1:{upstream.port}"
        servers = [
            start(stack, folder, CONTROL),
            start(stack, folder, CACHE, url),
            start(stack, folder, LOCAL),
        ]
        options += ["-fill", f"{CACHE}={url}", *options_of(servers)]
        table = measure(servers, regload, options)
        page = report(
            "What a warm cache costs",
            "cache.py",
            "a registry whose content is local",
            [CONTROL, CACHE, LOCAL],
            table,
            folder,
        )
    if arguments.smoke:
        print(page)
    else:
        (HERE / "CACHE.md").write_text(page)


if __name__ == "__main__":
    main()
