"""The settings of a registry: distribution's ``config.yml`` and its environment."""

from __future__ import annotations

from flaskreg.config.errors import ConfigError as ConfigError
from flaskreg.config.loader import load_settings as load_settings
from flaskreg.config.settings import Settings as Settings
