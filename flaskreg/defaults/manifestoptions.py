"""The manifest options of the core: each is one check that settings order or drop."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from flaskreg.config import ConfigError
from flaskreg.config import Settings
from flaskreg.descriptor import Descriptor
from flaskreg.errors import BlobUnknown
from flaskreg.errors import Denied
from flaskreg.errors import ManifestBlobUnknown
from flaskreg.errors import ManifestInvalid
from flaskreg.errors import ManifestTooLarge
from flaskreg.errors import SeveralErrors
from flaskreg.hookspecs import hookimpl
from flaskreg.manifest import Manifest
from flaskreg.manifest import ManifestOption
from flaskreg.manifest import ManifestOptionFactory
from flaskreg.mediatypes import DOCKER_CONFIG
from flaskreg.mediatypes import DOCKER_LIST
from flaskreg.mediatypes import DOCKER_MANIFEST
from flaskreg.mediatypes import DOCKER_PLUGIN_CONFIG
from flaskreg.mediatypes import FOREIGN_LAYERS
from flaskreg.mediatypes import IMAGES
from flaskreg.mediatypes import INDEXES
from flaskreg.mediatypes import OCI_CONFIG
from flaskreg.services import Repository


#: the options that are used, in this order, when the configuration names none.
STANDARD_ORDER = (
    "size",
    "structure",
    "mediatype",
    "classes",
    "urls",
    "references",
    "platforms",
)


class SizeLimit(ManifestOption):
    """Refuses a manifest of more than so many bytes."""

    name = "size"

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def before_put(self, repository: Repository, manifest: Manifest) -> None:
        """Compare the size."""
        del repository
        if len(manifest.content) > self._limit:
            raise ManifestTooLarge(f"a manifest has at most {self._limit} bytes")


class StructureCheck(ManifestOption):
    """Refuses what two readers could read differently, or one could choke on.

    :param maxdepth: how deep objects and lists may be nested.
    :param maxdescriptors: how many blobs or manifests may be listed.
    """

    name = "structure"

    def __init__(self, maxdepth: int, maxdescriptors: int) -> None:
        self._maxdepth = maxdepth
        self._maxdescriptors = maxdescriptors

    def before_put(self, repository: Repository, manifest: Manifest) -> None:
        """Look for duplicate members, deep nesting and long lists."""
        del repository
        listed = len(manifest.blobs) + len(manifest.manifests)
        if listed > self._maxdescriptors:
            raise ManifestInvalid(f"more than {self._maxdescriptors} descriptors")
        self._check_depth(manifest.document, 1)
        _check_text(manifest.document)
        json.loads(manifest.content, object_pairs_hook=_without_duplicates)

    def _check_depth(self, value: Any, depth: int) -> None:
        if isinstance(value, dict | list):
            if depth > self._maxdepth:
                raise ManifestInvalid(f"nested deeper than {self._maxdepth}")
            for child in value.values() if isinstance(value, dict) else value:
                self._check_depth(child, depth + 1)


def _check_text(document: Any) -> None:
    """Refuse halves of characters, which no text can be made of."""
    try:
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise ManifestInvalid("a string holds half of a surrogate pair") from None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ManifestInvalid(f"the member {twice[:100]!r} stands twice in an object")
    return members


class MediaTypeCheck(ManifestOption):
    """Refuses a manifest that could be read as another type than it was pushed as.

    Source: GHSA-qq97-vm5h-rrhg; OCI image specification, "mediaType".
    """

    name = "mediatype"

    def before_put(self, repository: Repository, manifest: Manifest) -> None:
        """Compare the type pushed, the type stated, and the shape."""
        del repository
        stated = manifest.document.get("mediaType")
        wanted = manifest.media_type
        optional = wanted not in {DOCKER_MANIFEST, DOCKER_LIST}
        if stated != wanted and not (optional and stated in (None, "")):
            raise ManifestInvalid(f"mediaType: {stated!r} is not {wanted!r}")
        foreign = ("config", "layers") if wanted in INDEXES else ("manifests",)
        for member in foreign:
            if manifest.document.get(member) is not None:
                raise ManifestInvalid(f"{member}: not a member of {wanted}")


class ClassPolicy(ManifestOption):
    """Takes only some classes of images, ``policy.repository.classes``."""

    name = "classes"

    _CLASSES: Mapping[str, str] = {
        DOCKER_CONFIG: "image",
        OCI_CONFIG: "image",
        DOCKER_PLUGIN_CONFIG: "plugin",
    }

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = frozenset(classes)

    def before_put(self, repository: Repository, manifest: Manifest) -> None:
        """Compare the class that the configuration's media type stands for."""
        del repository
        if not self._classes or manifest.media_type not in IMAGES:
            return
        config = manifest.blobs[0].media_type
        found = self._CLASSES.get(config)
        if found is None:
            raise Denied(message=f"unknown manifest class for {config}")
        if found not in self._classes:
            raise Denied(message=f"registry does not allow {found} manifest")


class UrlPolicy(ManifestOption):
    """Takes only some URLs of foreign layers, ``validation.manifests.urls``.

    The registry never fetches them. With no list at all every ``http`` and ``https``
    URL is taken.
    """

    name = "urls"

    def __init__(self, allow: Iterable[str], deny: Iterable[str]) -> None:
        self._allow = [re.compile(pattern) for pattern in allow]
        self._deny = [re.compile(pattern) for pattern in deny]

    def before_put(self, repository: Repository, manifest: Manifest) -> None:
        """Look at each URL of each descriptor."""
        del repository
        for descriptor in (*manifest.blobs, *manifest.manifests):
            for url in descriptor.urls:
                if not self._acceptable(url):
                    raise ManifestInvalid(f"invalid URL on layer: {url[:200]}")

    def _acceptable(self, url: str) -> bool:
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        if parts.scheme not in {"http", "https"} or not parts.netloc or "#" in url:
            return False
        if self._allow and not any(pattern.search(url) for pattern in self._allow):
            return False
        return not any(pattern.search(url) for pattern in self._deny)


class ReferenceCheck(ManifestOption):
    """Refuses a manifest whose blobs are not in the repository.

    A foreign layer with URLs need not be there, and a ``subject`` never.
    """

    name = "references"
    verifies_references = True

    def before_put(self, repository: Repository, manifest: Manifest) -> None:
        """Look for each blob once; each missing one is an error of its own."""
        raise_missing(
            blob.digest
            for blob in manifest.blobs
            if not (blob.media_type in FOREIGN_LAYERS and blob.urls)
            and not self._held(repository, blob)
        )

    def _held(self, repository: Repository, blob: Descriptor) -> bool:
        nested = blob.media_type in IMAGES or blob.media_type in INDEXES
        if nested and repository.manifests().exists(blob.digest):
            return True
        try:
            repository.blobs.stat(blob.digest)
        except BlobUnknown:
            return False
        return True


class PlatformCheck(ManifestOption):
    """Refuses an index whose manifests are not in the repository.

    :param platforms: ``all``, ``none``, or ``list`` for those of *listed*.
    :param listed: pairs of operating system and architecture.
    """

    name = "platforms"
    verifies_references = True

    def __init__(self, platforms: str, listed: Iterable[tuple[str, str]]) -> None:
        self._platforms = platforms
        self._listed = frozenset(listed)

    def before_put(self, repository: Repository, manifest: Manifest) -> None:
        """Look for each manifest that the setting wants to be there."""
        manifests = repository.manifests()
        raise_missing(
            child.digest
            for child in manifest.manifests
            if self._wanted(child) and not manifests.exists(child.digest)
        )

    def _wanted(self, child: Descriptor) -> bool:
        if self._platforms == "list":
            platform = child.platform or {}
            pair = (str(platform.get("os")), str(platform.get("architecture")))
            return pair in self._listed
        return self._platforms == "all"


def raise_missing(digests: Iterable[str]) -> None:
    """Raise one error for each of *digests*, if there are any.

    :raises SeveralErrors: with a MANIFEST_BLOB_UNKNOWN each.
    """
    missing = [ManifestBlobUnknown(digest) for digest in dict.fromkeys(digests)]
    if missing:
        raise SeveralErrors(missing)


class Warn(ManifestOption):
    """Warns the client of a manifest, without refusing it.

    :param text: the sentence.
    :param repositories: globs of repository names.
    :param mediatypes: media types; empty for all.
    """

    name = "warning"

    def __init__(
        self, text: str, repositories: Sequence[str], mediatypes: Sequence[str]
    ) -> None:
        self._text = text
        self._repositories = tuple(repositories)
        self._mediatypes = frozenset(mediatypes)

    def warnings(self, repository: Repository, manifest: Manifest) -> Sequence[str]:
        """Return the sentence when repository and media type match."""
        if self._mediatypes and manifest.media_type not in self._mediatypes:
            return ()
        if any(fnmatchcase(repository.name, glob) for glob in self._repositories):
            return (self._text,)
        return ()


def _known(option: str, parameters: Mapping[str, Any], *keys: str) -> None:
    for key in parameters.keys() - set(keys):
        known = f"known are {', '.join(keys)}" if keys else "it takes no parameters"
        raise ConfigError(f"manifests.options.{option}.{key}: unknown key; {known}")


def _number(option: str, parameters: Mapping[str, Any], key: str, default: int) -> int:
    value = parameters.get(key, default)
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise ConfigError(f"manifests.options.{option}.{key}: {value!r} is not a number")


def _texts(option: str, parameters: Mapping[str, Any], key: str) -> list[str]:
    value = parameters.get(key, [])
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    raise ConfigError(f"manifests.options.{option}.{key}: {value!r} is not a list")


def _make_size(parameters: Mapping[str, Any], settings: Settings) -> SizeLimit:
    _known("size", parameters, "limit")
    default = settings.manifests.maxbytes
    return SizeLimit(_number("size", parameters, "limit", default))


def _make_structure(
    parameters: Mapping[str, Any], _settings: Settings
) -> StructureCheck:
    _known("structure", parameters, "maxdepth", "maxdescriptors")
    return StructureCheck(
        _number("structure", parameters, "maxdepth", 64),
        _number("structure", parameters, "maxdescriptors", 10_000),
    )


def _make_mediatype(
    parameters: Mapping[str, Any], _settings: Settings
) -> MediaTypeCheck:
    _known("mediatype", parameters)
    return MediaTypeCheck()


def _make_classes(parameters: Mapping[str, Any], settings: Settings) -> ClassPolicy:
    _known("classes", parameters)
    return ClassPolicy(settings.policy.repository.classes)


def _make_urls(parameters: Mapping[str, Any], settings: Settings) -> UrlPolicy:
    _known("urls", parameters)
    urls = settings.validation.manifests.urls
    if not settings.validation.active:
        return UrlPolicy((), ())
    return UrlPolicy(urls.allow, urls.deny)


def _make_references(
    parameters: Mapping[str, Any], _settings: Settings
) -> ReferenceCheck:
    _known("references", parameters)
    return ReferenceCheck()


def _make_platforms(parameters: Mapping[str, Any], settings: Settings) -> PlatformCheck:
    _known("platforms", parameters)
    indexes = settings.validation.manifests.indexes
    if not settings.validation.active:
        return PlatformCheck("none", ())
    return PlatformCheck(
        indexes.platforms,
        [(platform.os, platform.architecture) for platform in indexes.platformlist],
    )


def _make_warning(parameters: Mapping[str, Any], _settings: Settings) -> Warn:
    _known("warning", parameters, "text", "repositories", "mediatypes")
    text = parameters.get("text")
    if not isinstance(text, str) or not text.isprintable() or not text.isascii():
        raise ConfigError(
            f"manifests.options.warning.text: {text!r} is not a line of ASCII text"
        )
    return Warn(
        text,
        _texts("warning", parameters, "repositories") or ["*"],
        _texts("warning", parameters, "mediatypes"),
    )


@hookimpl
def flaskreg_register_manifest_options() -> Mapping[str, ManifestOptionFactory]:
    """Offer the options."""
    return {
        "size": _make_size,
        "structure": _make_structure,
        "mediatype": _make_mediatype,
        "classes": _make_classes,
        "urls": _make_urls,
        "references": _make_references,
        "platforms": _make_platforms,
        "warning": _make_warning,
    }
