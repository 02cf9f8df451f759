"""The contracts of manifests: the document, its types, and the checks on it."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING
from typing import Any

from flaskreg.descriptor import Descriptor
from flaskreg.digest import Digest


if TYPE_CHECKING:
    from flaskreg.services import Repository


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest: the exact bytes, and what was read from them."""

    media_type: str
    content: bytes
    #: the digest by which it was pushed or asked for.
    digest: Digest
    #: blobs that it lists: the configuration and the layers.
    blobs: tuple[Descriptor, ...] = ()
    #: manifests that it lists, when it is an index.
    manifests: tuple[Descriptor, ...] = ()
    #: the manifest that this one is about; ``None`` for most.
    subject: Descriptor | None = None
    #: the ``artifactType``, or for an image manifest the configuration's media type.
    artifact_type: str | None = None
    annotations: Mapping[str, str] | None = None
    #: the decoded document.
    document: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def descriptor(self) -> Descriptor:
        """Return the descriptor by which a list of referrers names this manifest."""
        return Descriptor(
            media_type=self.media_type,
            digest=self.digest,
            size=len(self.content),
            annotations=self.annotations,
            artifact_type=self.artifact_type,
        )


class ManifestType(ABC):
    """Reads the manifests of one media type."""

    #: the media type, without parameters.
    media_type: str
    #: whether a manifest of this type lists manifests.
    index: bool = False

    @abstractmethod
    def parse(
        self, content: bytes, document: Mapping[str, Any], digest: Digest
    ) -> Manifest:
        """Read a manifest.

        :param content: the exact bytes.
        :param document: the JSON object that they hold.
        :param digest: the digest by which it is known.
        :raises ManifestInvalid: it is not a manifest of this type.
        :raises DigestInvalid: a digest in it is not one.
        """


class ManifestOption(ABC):
    """One named check, or effect, on the manifests that are pushed.

    Options stand in a configured order; each method has a default that does nothing.
    """

    #: the name by which the configuration orders or drops it.
    name: str
    #: whether it has to look for blobs and manifests that the manifest lists; the
    #: service option ``skip_layer_verification`` leaves such options out.
    verifies_references: bool = False

    def before_put(self, repository: Repository, manifest: Manifest) -> None:
        """Refuse a manifest by raising a RegistryError; nothing is stored then."""

    def after_put(self, repository: Repository, manifest: Manifest) -> None:
        """Act on a manifest that is stored."""

    def before_delete(self, repository: Repository, digest: Digest) -> None:
        """Refuse a delete by raising a RegistryError; nothing is deleted then."""

    def warnings(self, repository: Repository, manifest: Manifest) -> Sequence[str]:
        """Return sentences that the client is warned with (``Warning: 299``)."""
        del repository, manifest
        return ()


#: makes a manifest option from its own parameters and all of the settings.
ManifestOptionFactory = Callable[[Mapping[str, Any], Any], ManifestOption]
