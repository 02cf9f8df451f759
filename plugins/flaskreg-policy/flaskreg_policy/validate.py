"""Validation whose errors are one line that names the key."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from flaskreg.config import ConfigError
from flaskreg.config.origins import dotted
from flaskreg.config.secrets import is_secret


M = TypeVar("M", bound=BaseModel)


def validated(model: type[M], value: object, key: str) -> M:
    """Return *value* as a model.

    :param key: the dotted name, or the file, of what is validated.
    :raises ConfigError: it does not fit.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _translated(error.errors(include_url=False)[0], model, key) from None


def _translated(details: ErrorDetails, model: type[BaseModel], key: str) -> ConfigError:
    location = tuple(part for part in details["loc"] if part != "[key]")
    name = f"{key}.{dotted(location)}" if location else key
    if details["type"] == "extra_forbidden":
        known = [f"{key}.{field}" for field in model.model_fields]
        return ConfigError.unknown(name, known if len(location) == 1 else [])
    if details["type"] == "value_error":
        sentence = str(details.get("ctx", {}).get("error"))
    elif details["type"] == "missing":
        return ConfigError(f"{name}: is required")
    else:
        sentence = details["msg"].lower().replace("input should", "must")
    value = details["input"]
    if isinstance(value, dict | list) or is_secret(
        str(location[-1]) if location else ""
    ):
        return ConfigError(f"{name}: {sentence}")
    return ConfigError.wrong(name, value, sentence)
