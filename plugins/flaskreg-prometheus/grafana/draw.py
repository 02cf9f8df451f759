"""Draw the dashboard from a Prometheus, for pages where no Grafana is at hand.

``python draw.py http://127.0.0.1:9090 picture.png [MINUTES]``; it needs matplotlib.
"""

from __future__ import annotations

import json
import re
import sys
import time
import urllib.parse
import urllib.request
from datetime import UTC
from datetime import datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl


mpl.use("Agg")

from matplotlib import pyplot as plt  # noqa: E402 - after the backend is chosen


DASHBOARD = Path(__file__).with_name("flaskreg.json")
STEP = 2


def ask(server: str, query: str, minutes: float) -> list[dict[str, Any]]:
    """Return the series of a query over the last minutes."""
    now = time.time()
    parameters = {
        "query": query.replace("$__rate_interval", "15s"),
        "start": now - 60 * minutes,
        "end": now,
        "step": STEP,
    }
    url = f"{server}/api/v1/query_range?{urllib.parse.urlencode(parameters)}"
    with urllib.request.urlopen(url, timeout=60) as answer:
        found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return found


def legend(form: str, labels: dict[str, str]) -> str:
    """Return the name of a series, as Grafana makes it."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: labels.get(match[1], ""), form)


def draw(server: str, picture: str, minutes: float) -> None:
    """Draw every panel that has an answer."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    drawn = []
    for panel in panels:
        lines = []
        for target in panel["targets"]:
            for series in ask(server, target["expr"], minutes):
                points = [(at, float(value)) for at, value in series["values"]]
                lines.append((legend(target["legendFormat"], series["metric"]), points))
        if any(value == value for _, points in lines for _, value in points):
            drawn.append((panel["title"], lines))
    rows = -(-len(drawn) // 3)
    figure, axes = plt.subplots(rows, 3, figsize=(17, 2.9 * rows), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (title, lines) in zip(axes.flat, drawn, strict=False):
        axis.set_axis_on()
        axis.set_title(title, fontsize=9, loc="left")
        for name, points in sorted(lines):
            times = [datetime.fromtimestamp(at, UTC) for at, _ in points]
            axis.plot(times, [value for _, value in points], label=name, linewidth=1.1)
        axis.tick_params(labelsize=6)
        axis.grid(alpha=0.25)
        axis.set_ylim(bottom=0)
        if any(name for name, _ in lines):
            axis.legend(fontsize=5.5, loc="upper left", framealpha=0.6)
    figure.tight_layout()
    figure.savefig(picture, dpi=80)


if __name__ == "__main__":
    draw(sys.argv[1], sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else 5)
