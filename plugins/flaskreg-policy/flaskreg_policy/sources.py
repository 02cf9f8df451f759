"""Identity sources that other distributions offer, found by their entry points.

They have a group of their own, since a plugin cannot add a hook to flaskreg: hooks are
specified by the core, and a name that it does not know is a start-up error. Here a name
is a parameter of ``auth.policy``, and only what is configured is imported.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from importlib.metadata import entry_points
from typing import Any

from flaskreg.config import ConfigError
from flaskreg_policy.identity import IdentitySource


#: the group of the entry points; each is an identity source's factory.
GROUP = "flaskreg_policy.identities"


def make_sources(
    parameters: Mapping[str, Any], key: str, known: Iterable[str]
) -> tuple[IdentitySource, ...]:
    """Make the sources that *parameters* name, in their order.

    :param parameters: the parameters of each source by its name.
    :param key: what stands before the names in errors.
    :param known: further names that may stand there, for the error about a wrong one.
    :raises ConfigError: no distribution offers a source, or its parameters are wrong.
    """
    offered = {each.name: each for each in entry_points(group=GROUP)}
    return tuple(
        _make(name, value, key, offered, known) for name, value in parameters.items()
    )


def _make(
    name: str,
    parameters: object,
    key: str,
    offered: Mapping[str, EntryPoint],
    known: Iterable[str],
) -> IdentitySource:
    where = f"{key}.{name}"
    if name not in offered:
        if name == "ldap":
            raise ConfigError(f"{where}: needs `pip install flaskreg-ldap`")
        raise ConfigError.unknown(where, [f"{key}.{each}" for each in known])
    if not isinstance(parameters, Mapping):
        raise ConfigError(f"{where}: must be a map of parameters")
    try:
        factory = offered[name].load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{where}: its plugin cannot be loaded: {error}") from error
    source: IdentitySource = factory(parameters, where)
    return source
