"""The suites for access controllers, manifest types and options, over the defaults."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from flaskreg.config import Settings
from flaskreg.defaults.dockermanifests import flaskreg_register_manifest_types as docker
from flaskreg.defaults.manifestoptions import flaskreg_register_manifest_options
from flaskreg.defaults.ocimanifests import flaskreg_register_manifest_types as oci
from flaskreg.defaults.open_access import flaskreg_register_access_controllers
from flaskreg.digest import Digest
from flaskreg.manifest import Manifest
from flaskreg.mediatypes import DOCKER_LIST
from flaskreg.mediatypes import DOCKER_MANIFEST
from flaskreg.mediatypes import OCI_INDEX
from flaskreg.mediatypes import OCI_MANIFEST
from flaskreg.testing import AccessControllerTests
from flaskreg.testing import ManifestOptionTests
from flaskreg.testing import ManifestTypeTests


class TestOpenAccess(AccessControllerTests):
    """``none`` lets everybody do everything."""

    anonymous = True
    checks_credentials = False

    @pytest.fixture
    def controller(self):
        """Return the controller."""
        return flaskreg_register_access_controllers()["none"]({})

    @pytest.fixture
    def good_request(self):
        """Return no headers, which are enough."""
        return {}

    @pytest.fixture
    def bad_request(self):
        """Return headers that are as good as any."""
        return {"Authorization": "Basic wrong"}


class TestSillyAccess(AccessControllerTests):
    """``silly`` wants credentials, whatever they are."""

    checks_credentials = False

    @pytest.fixture
    def controller(self):
        """Return the controller."""
        parameters = {"realm": "test-realm", "service": "test-service"}
        return flaskreg_register_access_controllers()["silly"](parameters)

    @pytest.fixture
    def good_request(self):
        """Return any credentials."""
        return {"authorization": "seriously, anything"}

    @pytest.fixture
    def bad_request(self):
        """Return credentials that are as good as any."""
        return {"Authorization": "Basic wrong"}


def _descriptor(media_type, text, **more):
    content = text.encode()
    described = {
        "mediaType": media_type,
        "digest": Digest.of(content),
        "size": len(content),
    }
    return described | more


CONFIG = _descriptor("application/vnd.oci.image.config.v1+json", "config")
LAYERS = [
    _descriptor("application/vnd.oci.image.layer.v1.tar", "one"),
    _descriptor(
        "application/vnd.oci.image.layer.v1.tar", "two", annotations={"a": "b"}
    ),
]
CHILDREN = [
    _descriptor(
        OCI_MANIFEST, "amd64", platform={"os": "linux", "architecture": "amd64"}
    ),
    _descriptor(OCI_MANIFEST, "arm64"),
]


def _encode(**document):
    return json.dumps({"schemaVersion": 2, **document}).encode()


IMAGES = [
    _encode(config=CONFIG, layers=[]),
    _encode(config=CONFIG, layers=LAYERS, annotations={"key": "value"}),
    _encode(artifactType="application/x-test", config=CONFIG, layers=LAYERS[:1]),
]
NO_IMAGES = [
    b"{}",
    _encode(),
    _encode(layers=LAYERS),
    _encode(config=CONFIG, layers=LAYERS, schemaVersion=1),
    _encode(config=CONFIG, layers={}),
    _encode(config=CONFIG | {"digest": "sha256:short"}, layers=[]),
    _encode(config=CONFIG | {"size": -1}, layers=[]),
    _encode(config=CONFIG, layers=[], subject="text"),
]
INDEXES = [_encode(manifests=[]), _encode(manifests=CHILDREN, annotations={"a": "b"})]
NO_INDEXES = [
    b"{}",
    _encode(manifests=CHILDREN, schemaVersion="2"),
    _encode(manifests={}),
    _encode(manifests=[{}]),
    _encode(manifests=[CHILDREN[0] | {"platform": "linux"}]),
]

TYPES = {**oci(), **docker()}


class TestImageTypes(ManifestTypeTests):
    """The image manifests of OCI and docker."""

    @pytest.fixture(params=[OCI_MANIFEST, DOCKER_MANIFEST])
    def parser(self, request):
        """Return the type by its media type."""
        return TYPES[request.param]

    @pytest.fixture
    def valid(self):
        """Return manifests of several shapes."""
        return IMAGES

    @pytest.fixture
    def invalid(self):
        """Return what no reader takes for an image manifest."""
        return NO_IMAGES


class TestIndexTypes(ManifestTypeTests):
    """The index of OCI and docker's manifest list."""

    @pytest.fixture(params=[OCI_INDEX, DOCKER_LIST])
    def parser(self, request):
        """Return the type by its media type."""
        return TYPES[request.param]

    @pytest.fixture
    def valid(self):
        """Return indexes of several shapes."""
        return INDEXES

    @pytest.fixture
    def invalid(self):
        """Return what no reader takes for an index."""
        return NO_INDEXES


def _manifest(content, media_type=OCI_MANIFEST) -> Manifest:
    return TYPES[media_type].parse(content, json.loads(content), Digest.of(content))


class TestSizeOption(ManifestOptionTests):
    """An option that refuses."""

    @pytest.fixture
    def option(self):
        """Return a limit that an empty index keeps."""
        make = flaskreg_register_manifest_options()["size"]
        return make({"limit": 100}, Settings())

    @pytest.fixture
    def accepted(self):
        """Return a short manifest."""
        return [_manifest(INDEXES[0], OCI_INDEX)]

    @pytest.fixture
    def refused(self):
        """Return a long manifest."""
        return [_manifest(IMAGES[1])]


class TestMediaTypeOption(ManifestOptionTests):
    """An option that compares."""

    @pytest.fixture
    def option(self):
        """Return the option."""
        return flaskreg_register_manifest_options()["mediatype"]({}, Settings())

    @pytest.fixture
    def accepted(self):
        """Return manifests that state no type, as OCI ones need not."""
        return [_manifest(IMAGES[0]), _manifest(INDEXES[1], OCI_INDEX)]

    @pytest.fixture
    def refused(self):
        """Return manifests that are two things at once."""
        image = _manifest(IMAGES[0])
        return [
            replace(image, media_type=DOCKER_MANIFEST),
            _manifest(_encode(config=CONFIG, layers=[], manifests=[])),
            _manifest(_encode(config=CONFIG, layers=[], mediaType=OCI_INDEX)),
        ]


class TestWarningOption(ManifestOptionTests):
    """An option that only warns."""

    @pytest.fixture
    def option(self):
        """Return an option that warns of everything."""
        make = flaskreg_register_manifest_options()["warning"]
        return make({"text": "this image is deprecated"}, Settings())

    @pytest.fixture
    def accepted(self):
        """Return any manifest."""
        return [_manifest(IMAGES[0])]

    @pytest.fixture
    def refused(self):
        """Return none."""
        return []
