"""The reference page of every key, printed from the models."""

from __future__ import annotations

from typing import Any

from flaskreg.config.durations import format_duration
from flaskreg.config.section import Choice
from flaskreg.config.section import Section
from flaskreg.config.settings import Settings
from flaskreg.config.shapes import Key
from flaskreg.config.shapes import Kind
from flaskreg.config.shapes import Shape
from flaskreg.config.shapes import iter_keys
from flaskreg.config.shapes import keys


OURS = (
    "log.accesslog.formatter",
    "log.audit.path",
    "log.audit.pulls",
    "storage.cache.options",
    "storage.scope",
    "http.trustedproxies",
    "http.idletimeout",
    "http.workers",
    "http.threads",
    "http.reservedthreads",
    "http.gracefultimeout",
    "notifications.outbox.path",
    "notifications.outbox.maxage",
    "notifications.outbox.maxevents",
    "notifications.endpoints[].format",
    "notifications.endpoints[].secret",
    "manifests.maxbytes",
    "manifests.options",
    "uploads.chunkminlength",
    "uploads.mountsearch",
    "referrers.maxentries",
    "plugins.disabled",
    "proxy.mirrors",
    "proxy.tls.ca",
    "proxy.tls.certificate",
    "proxy.tls.key",
    "proxy.tls.insecure",
    "proxy.realms",
    "proxy.allow",
    "proxy.deny",
    "proxy.library",
    "proxy.mode",
    "proxy.tagttl",
    "proxy.staleifgone",
    "proxy.maxbytes",
    "proxy.highwater",
    "proxy.lowwater",
    "proxy.minfree",
    "proxy.workdir",
    "proxy.upstreams",
    "proxy.prefetch",
)
"""Keys that distribution has not, and ignores in a file that serves both."""

_INTRODUCTION = """\
# Configuration

<!-- Printed by `flaskreg config reference`; a test compares the two. -->

The configuration file is distribution's `config.yml`: every key of it is known here.
Keys marked † are flaskreg's own; distribution ignores them, so one file serves both.

```yaml
version: 0.1
storage:
  filesystem:
    rootdirectory: /var/lib/registry
  delete:
    enabled: true
http:
  addr: :5000
```

`flaskreg serve config.yml` reads it, or `REGISTRY_CONFIGURATION_PATH` names it. With
neither, content is kept in `./registry-data` and port 5000 is listened on.
`flaskreg config check` says what is wrong with a file, `flaskreg config show` prints
what holds in the end and where each value came from, secrets masked.

- An unknown key and a value of the wrong type are errors. Of a key that stands
  twice the last one holds, and a warning says so.
- A key that is null or empty text has its default.
- A duration is a number with a unit, as in `10s`, `1h30m` or `250ms`. A bare integer is
  a count of nanoseconds, as in distribution.
- `yes`, `no`, `on` and `off` are booleans too.

## Environment variables

Each key can be set by a variable named `REGISTRY_` and its path in capitals, joined
with `_`: `http.addr` by `REGISTRY_HTTP_ADDR`. They win over the file.

- The value is YAML: `REGISTRY_HTTP_TLS_CLIENTCAS='[/a.pem, /b.pem]'`.
- A number stands for a place in a list: `REGISTRY_HTTP_TLS_CLIENTCAS_0=/a.pem`,
  `REGISTRY_NOTIFICATIONS_ENDPOINTS_0_URL`. The next place after the last adds an item.
- `REGISTRY_STORAGE=inmemory` and `REGISTRY_AUTH=htpasswd` choose a driver or an access
  controller; `REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY` sets one of its parameters.
- Keys of maps are lower-cased unless they are there already. One that holds `_` is
  reached when it is there already, or is a known parameter such as `max_retries`.
- A variable that no key is behind is ignored with a warning.
- Distribution names some keys otherwise in variables; both names work:

"""

_MANY = {"text": "text", "list of text": "lists of text"}


def render_reference() -> str:
    """Return the reference page as Markdown."""
    top = [it for it in keys(Settings).values() if it.shape.model is None]
    parts = [
        _INTRODUCTION + _table(("Key", "Variable"), _other_names()),
        _part(
            "Top level", "What stands in no section.", [_row(k.name, k) for k in top]
        ),
    ]
    for name, key in keys(Settings).items():
        if key.shape.model is not None:
            parts.append(_section(name, key.shape.model))
    return "\n".join(parts)


def _section(name: str, model: type[Section]) -> str:
    rows = _selected(name, model)
    rows += [
        _row(path, key)
        for path, key in iter_keys(model, name)
        if key.shape.kind is not Kind.SECTION
    ]
    return _part(f"`{name}`", _summary(model), rows)


def _part(title: str, summary: str, rows: list[tuple[str, ...]]) -> str:
    table = _table(("Key", "Type", "Default", "Meaning"), rows)
    return f"## {title}\n\n{summary}\n\n{table}"


def _summary(model: type[Section]) -> str:
    summary = (model.__doc__ or "").partition("\n")[0]
    text = summary.replace("``", "`").partition(": ")[2].rstrip(".")
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    cells = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def _other_names() -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, key in iter_keys(Settings):
        if len(key.segments) > 1:
            above = name.rpartition(".")[0]
            rows.append((f"`{name}`", f"`{_variable(above)}_{key.segments[0]}`"))
        if key.shape.model is not None and key.shape.model.inlined:
            variable = f"{_variable(name)}_{key.shape.model.inlined}"
            rows.append((f"`{name}`", f"`{variable}`"))
    return rows


def _variable(name: str) -> str:
    path = name.replace("[]", ".0").replace(".", "_").upper()
    return f"REGISTRY_{path}" if path else "REGISTRY"


def _selected(name: str, model: type[Section]) -> list[tuple[str, ...]]:
    if not issubclass(model, Choice):
        return []
    info = model.model_fields[model.selector]
    meaning = f"{info.description} Its parameters stand below it."
    return [(f"`{name}.<{model.selector}>`", "map", f"`{info.default}`", meaning)]


def _row(name: str, key: Key) -> tuple[str, ...]:
    ours = name in OURS or name.partition("[]")[0] in OURS
    marks = " †" * ours
    meaning = key.info.description or ""
    return f"`{name}`{marks}", _type(key.shape), _default(key), meaning


def _type(shape: Shape) -> str:
    if shape.kind is Kind.SECTION:
        return "map"
    if shape.item is None or shape.item.kind is Kind.ANY:
        return str(shape.kind.value)
    item = _type(shape.item)
    return f"{shape.kind.value} of {_MANY.get(item, f'{item}s')}"


def _default(key: Key) -> str:
    value: Any = key.info.get_default(call_default_factory=True, validated_data={})
    if key.info.is_required():
        return "required"
    if value in (None, "", [], {}):
        return ""
    if key.shape.kind is Kind.DURATION:
        return f"`{format_duration(value)}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
