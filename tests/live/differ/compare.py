"""Answers brought to one form, and their differences field by field."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ..servers import Server
from ..wire import Answer
from ..wire import Wire
from ..wire import target_of
from .steps import Step


ABSENT = "(none)"
#: what no two servers have in common, and what says nothing of the answer.
IGNORED = {"date", "server", "connection", "transfer-encoding"}
#: compared even where the answers are not alike.
ALWAYS = {"header allow", "header docker-distribution-api-version"}
UUID = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE
)
BOUNDARY = re.compile(r"((?:^|\n)--|boundary=)[0-9a-f]{16,}")
STATE = re.compile(r"_state=[A-Za-z0-9_%=-]+")


@dataclass(frozen=True)
class Difference:
    """One field of one answer that is not the same."""

    step: str
    field: str
    theirs: str
    ours: str

    def __str__(self) -> str:
        return f"{self.step} | {self.field} | {self.theirs} -> {self.ours}"


@dataclass(frozen=True)
class Allowed:
    """One line of the allow-list."""

    number: int
    step: str
    field: str
    theirs: str
    ours: str

    def covers(self, difference: Difference) -> bool:
        """Tell whether this line is about a difference."""
        return all(
            fnmatchcase(value, pattern.replace("[", "[[]"))
            for value, pattern in (
                (difference.step, self.step),
                (difference.field, self.field),
                (difference.theirs, self.theirs),
                (difference.ours, self.ours),
            )
        )


def read_allowed(file: Path) -> list[Allowed]:
    """Read an allow-list: ``step | field | theirs -> ours | why`` on each line."""
    found = []
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        step, field, change, why = (part.strip() for part in line.split(" | "))
        theirs, _, ours = (part.strip() for part in change.partition("->"))
        assert why, f"line {number} gives no reason"
        found.append(Allowed(number, step, field, theirs, ours))
    return found


class Conversation:
    """Sends the steps of a corpus to one server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.kept: dict[str, str] = {}

    def send(self, step: Step) -> dict[str, str]:
        """Send one step; return the fields of its answer."""
        try:
            answer = self.answer(step, self.filled(step.target))
        except http.client.RemoteDisconnected:
            return {"answer": "(no answer)"}
        location = answer.get("Location")
        if step.keep and location:
            self.kept[step.keep] = target_of(location)
        return dict(self.fields(step, answer))

    def answer(self, step: Step, target: str) -> Answer:
        """Send one request on a connection of its own."""
        headers = {"Connection": "close", **step.headers}
        with Wire(self.server.host, timeout=20) as wire:
            if not step.chunked:
                return wire.request(step.method, target, headers, step.body)
            wire.head(step.method, target, headers | {"Transfer-Encoding": "chunked"})
            body = step.body or b""
            wire.chunks([body[:100], body[100:]])
            wire.send(b"0\r\n\r\n")
            return wire.read(step.method)

    def filled(self, target: str) -> str:
        """Put what was kept into a target."""
        for name, value in self.kept.items():
            target = target.replace(f"{{{name}}}", value)
        return target

    def fields(self, step: Step, answer: Answer) -> Iterator[tuple[str, str]]:
        """Yield the fields of an answer, without what differs from run to run."""
        errors = errors_of(answer)
        yield "answer", summary(answer, errors)
        for name in {name.lower() for name, _ in answer.headers} - IGNORED:
            value = ", ".join(v for k, v in answer.headers if k.lower() == name)
            if name == "content-length" and step.method != "HEAD":
                value = "right" if int(value) == len(answer.body) else value
            yield f"header {name}", self.stable(value)
        if errors is None:
            cut = "" if answer.whole else "(cut short)"
            yield "body", self.stable(answer.body.decode("latin-1")) + cut
            return
        yield "messages", ",".join(str(error.get("message")) for error in errors)
        yield "details", self.stable(",".join(detail_of(error) for error in errors))

    def stable(self, text: str) -> str:
        """Replace addresses, session ids and signed states by words."""
        text = BOUNDARY.sub(r"\1BOUNDARY", text.replace(self.server.host, "HOST"))
        return STATE.sub("_state=STATE", UUID.sub("UUID", text))


def errors_of(answer: Answer) -> list[dict[str, Any]] | None:
    """Return the errors of an answer in the registry's form, if it is in it."""
    if answer.status < 400 or not answer.body.startswith(b"{"):
        return None
    try:
        # distribution writes some errors twice: the first is what a client reads.
        value, _ = json.JSONDecoder().raw_decode(answer.body.decode())
    except ValueError:
        return None
    errors = value.get("errors")
    return errors if isinstance(errors, list) else None


def summary(answer: Answer, errors: list[dict[str, Any]] | None) -> str:
    """Return the status, and of an error its codes or the type of what tells it."""
    if answer.status < 400:
        return str(answer.status)
    if errors is not None:
        codes = ",".join(str(error.get("code")) for error in errors)
        return f"{answer.status} {codes}"
    media_type = (answer.get("Content-Type") or "nothing").partition(";")[0]
    return f"{answer.status} {media_type}"


def detail_of(error: dict[str, Any]) -> str:
    """Return the detail of an error; sentences are for people and may differ."""
    detail = error.get("detail")
    return "(prose)" if isinstance(detail, str) else json.dumps(detail, sort_keys=True)


def differences(
    step: Step, theirs: dict[str, str], ours: dict[str, str]
) -> Iterator[Difference]:
    """Yield every field that two answers do not agree on.

    Of two answers that are not the same thing at all, the summary says it; of the rest
    only what every answer has is compared then.
    """
    fields = sorted({*theirs, *ours})
    if theirs["answer"] != ours["answer"]:
        fields = ["answer", *(field for field in fields if field in ALWAYS)]
    for field in fields:
        their_value, our_value = theirs.get(field, ABSENT), ours.get(field, ABSENT)
        if same(field, their_value, our_value):
            continue
        yield Difference(step.name, field, brief(their_value), brief(our_value))


def same(field: str, theirs: str, ours: str) -> bool:
    """Tell whether two values of a field mean the same."""
    if theirs == ours:
        return True
    if field != "body":
        return False
    try:
        return bool(json.loads(theirs) == json.loads(ours))
    except ValueError:
        return False


def brief(value: str) -> str:
    """Return a value on one line that is not too long to read."""
    line = " ".join(value.split()) or "(empty)"
    return line if len(line) <= 160 else f"{line[:157]}..."
