"""Suites for the authors of plugins: inherit one, override its fixtures.

The names are imported when they are asked for, so that pytest can rewrite the
assertions of the modules that they come from, and so that a plugin of one kind needs
nothing of the others.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from flaskreg.testing.access import AccessControllerTests as AccessControllerTests
    from flaskreg.testing.caches import DescriptorCacheTests as DescriptorCacheTests
    from flaskreg.testing.drivers import DriverTests as DriverTests
    from flaskreg.testing.manifests import ManifestOptionTests as ManifestOptionTests
    from flaskreg.testing.manifests import ManifestTypeTests as ManifestTypeTests
    from flaskreg.testing.packaging import PluginTests as PluginTests


_HOMES = {
    "AccessControllerTests": "access",
    "DescriptorCacheTests": "caches",
    "DriverTests": "drivers",
    "ManifestOptionTests": "manifests",
    "ManifestTypeTests": "manifests",
    "PluginTests": "packaging",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
