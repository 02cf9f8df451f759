"""The whole of the settings."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field
from pydantic import PrivateAttr

from flaskreg.config.auth import Auth
from flaskreg.config.health import Health
from flaskreg.config.http import Http
from flaskreg.config.limits import Catalog
from flaskreg.config.limits import Plugins
from flaskreg.config.limits import Policy
from flaskreg.config.limits import Referrers
from flaskreg.config.limits import Tags
from flaskreg.config.limits import Uploads
from flaskreg.config.log import Log
from flaskreg.config.manifests import ManifestSettings
from flaskreg.config.middleware import Middlewares
from flaskreg.config.notifications import Notifications
from flaskreg.config.origins import DEFAULT
from flaskreg.config.origins import Origin
from flaskreg.config.proxy import Proxy
from flaskreg.config.redis import Redis
from flaskreg.config.section import Section
from flaskreg.config.storage import Storage
from flaskreg.config.validation import Validation


class Settings(Section):
    """All settings of a registry, read once and handed on as an argument.

    The keys are those of distribution's ``config.yml``, with a few of our own.
    """

    version: str = Field(
        default="0.1",
        description="The version of the file's format: `0.1`; required in a file.",
    )
    loglevel: str | None = Field(
        default=None,
        description="The old name of `log.level`.",
    )
    log: Log = Field(default_factory=Log, description="Logs.")
    storage: Storage = Field(default_factory=Storage, description="Where content is.")
    auth: Auth = Field(default_factory=Auth, description="Who may do what.")
    middleware: Middlewares = Field(
        default_factory=Middlewares,
        description="What is wrapped around the services.",
    )
    http: Http = Field(default_factory=Http, description="The HTTP server.")
    notifications: Notifications = Field(
        default_factory=Notifications,
        description="Events.",
    )
    redis: Redis = Field(default_factory=Redis, description="Redis.")
    health: Health = Field(default_factory=Health, description="Health checks.")
    catalog: Catalog = Field(
        default_factory=Catalog,
        description="The list of repositories.",
    )
    tags: Tags = Field(default_factory=Tags, description="Lists of tags.")
    proxy: Proxy = Field(default_factory=Proxy, description="Pull-through cache.")
    validation: Validation = Field(
        default_factory=Validation,
        description="Validation of manifests.",
    )
    policy: Policy = Field(default_factory=Policy, description="Policy.")
    manifests: ManifestSettings = Field(
        default_factory=ManifestSettings,
        description="Manifests.",
    )
    uploads: Uploads = Field(default_factory=Uploads, description="Uploads.")
    referrers: Referrers = Field(default_factory=Referrers, description="Referrers.")
    plugins: Plugins = Field(default_factory=Plugins, description="Plugins.")

    _origins: Mapping[str, Origin] = PrivateAttr(default_factory=dict)
    _warnings: tuple[str, ...] = PrivateAttr(default=())

    @property
    def warnings(self) -> tuple[str, ...]:
        """One line for each thing of the configuration that was not heeded."""
        return self._warnings

    def origin(self, key: str) -> Origin:
        """Return where the value of a key came from.

        :param key: the dotted name, as in ``http.addr`` or ``log.hooks[0].type``.
        """
        return self._origins.get(key, DEFAULT)

    def loaded(
        self, origins: Mapping[str, Origin], warnings: tuple[str, ...]
    ) -> Settings:
        """Return these settings with what the loader knows about them."""
        copy = self.model_copy()
        copy._origins = dict(origins)
        copy._warnings = warnings
        return copy
