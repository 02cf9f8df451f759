"""Registries that are measured beside one of them: their options and their page."""

from __future__ import annotations

import time
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path

from run import Server
from run import machine


def options_of(
    servers: Sequence[Server], headers: Mapping[str, str] | None = None
) -> list[str]:
    """Return what the load generator has to know of the registries.

    :param headers: what is sent as ``Authorization``, by the names of registries.
    """
    found = []
    for server in servers:
        pid = server.process.pid if server.process else 0
        found += ["-pid", f"{server.name}={pid}"]
        header = (headers or {}).get(server.name)
        if header:
            found += ["-auth", f"{server.name}={header}"]
    return found


def report(
    title: str, program: str, base: str, names: Sequence[str], table: str, folder: Path
) -> str:
    """Return the page of results.

    :param program: what measured.
    :param base: what ratios are to, in words.
    :param names: of the registries, in the order of the table; ratios are to the last.
    :param table: as the load generator printed it.
    :param folder: on the file system that was measured.
    """
    lines = [
        f"# {title}",
        "",
        f"One run of `benchmarks/{program}` on {time.strftime('%Y-%m-%d')}: "
        f"{machine(folder)}.",
        "Rates are medians of alternating rounds. Rows that end in `-cpu` are user and",
        "system time of all processes of the registry, the least of the rounds. Ratios",
        f"are to {base}; `control` is another one.",
        "",
        f"| row | {' | '.join(names)} | unit "
        f"| {' | '.join(f'{name} ratio' for name in names[:-1])} |",
        f"|{'---|' * (1 + 2 * len(names))}",
    ]
    for row in table.splitlines()[1:]:
        name, *rest = row.split()
        figures, unit = rest[: len(names)], rest[len(names)]
        cells = [name, *figures, unit, *rest[len(names) + 2 :: 2]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])
