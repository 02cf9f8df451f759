"""The effective settings as a YAML file, without secrets."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import yaml

from flaskreg.config.durations import format_duration
from flaskreg.config.loader import OLD_NAMES
from flaskreg.config.manifests import Option
from flaskreg.config.origins import dotted
from flaskreg.config.origins import join
from flaskreg.config.secrets import masked
from flaskreg.config.section import Choice
from flaskreg.config.section import Section
from flaskreg.config.settings import Settings
from flaskreg.config.shapes import Kind
from flaskreg.config.shapes import Shape
from flaskreg.config.shapes import keys


def render_settings(settings: Settings, *, origins: bool) -> str:
    """Return settings as YAML that loads again, secrets replaced by ``***``.

    :param settings: the settings.
    :param origins: whether each value is followed by where it came from.
    """
    lines = []
    for text, path in _emit(_section(settings, ""), (), ""):
        note = f"  # {settings.origin(path)}" if origins and path else ""
        lines.append(text + note)
    return "\n".join(lines) + "\n"


def _section(section: Section, path: str) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    if isinstance(section, Choice):
        plain[getattr(section, section.selector)] = masked(dict(section.parameters))
    for key in keys(type(section)).values():
        name = join(path, key.name)
        if name not in OLD_NAMES:
            value = getattr(section, key.attribute)
            plain[key.name] = _plain(value, key.shape, name)
    return plain


def _plain(value: Any, shape: Shape, path: str) -> Any:
    if isinstance(value, Option):
        value = value.as_written()
    if isinstance(value, Section):
        return _section(value, path)
    if isinstance(value, list) and shape.item is not None:
        return [_plain(it, shape.item, path) for it in value]
    if shape.kind is Kind.DURATION and value is not None:
        return format_duration(value)
    return masked(value, path.rpartition(".")[2])


def _emit(
    value: Mapping[str, Any], path: tuple[str | int, ...], indent: str
) -> Iterator[tuple[str, str]]:
    """Yield the lines of a map, each with the path of the value that it holds."""
    for key, child in value.items():
        here = (*path, key)
        if isinstance(child, dict) and child:
            yield f"{indent}{_scalar(key)}:", ""
            yield from _emit(child, here, indent + "  ")
        elif isinstance(child, list) and any(isinstance(it, dict) for it in child):
            yield f"{indent}{_scalar(key)}:", ""
            yield from _emit_items(child, here, indent)
        else:
            yield f"{indent}{_scalar(key)}: {_flow(child)}", dotted(here)


def _emit_items(
    items: list[Any], path: tuple[str | int, ...], indent: str
) -> Iterator[tuple[str, str]]:
    for number, item in enumerate(items):
        here = (*path, number)
        if not isinstance(item, dict) or not item:
            yield f"{indent}- {_flow(item)}", dotted(here)
            continue
        for count, (text, name) in enumerate(_emit(item, here, indent + "  ")):
            yield (text if count else f"{indent}- {text.lstrip()}"), name


def _flow(value: Any) -> str:
    if isinstance(value, str):
        return _scalar(value)
    text: str = yaml.safe_dump(
        value,
        allow_unicode=True,
        default_flow_style=True,
        sort_keys=False,
        width=float("inf"),
    )
    return text.removesuffix("...\n").strip()


def _scalar(text: str) -> str:
    style = None if text.isprintable() else '"'
    dumped: str = yaml.safe_dump(
        text,
        allow_unicode=style is None,
        default_style=style,
        width=float("inf"),
    )
    return dumped.removesuffix("...\n").strip()
