"""The manifest options of the core: the suite over each, and each setting."""

from __future__ import annotations

import json
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from unittest.mock import create_autospec

import pytest
from builders import descriptor
from builders import encode
from builders import image
from builders import index

from flaskreg.config import ConfigError
from flaskreg.config import Settings
from flaskreg.defaults import dockermanifests
from flaskreg.defaults import ocimanifests
from flaskreg.defaults.manifestoptions import STANDARD_ORDER
from flaskreg.defaults.manifestoptions import flaskreg_register_manifest_options
from flaskreg.descriptor import Descriptor
from flaskreg.digest import Digest
from flaskreg.errors import BlobUnknown
from flaskreg.errors import Denied
from flaskreg.errors import ManifestInvalid
from flaskreg.errors import ManifestTooLarge
from flaskreg.errors import SeveralErrors
from flaskreg.manifest import Manifest
from flaskreg.manifest import ManifestOption
from flaskreg.manifest import ManifestType
from flaskreg.mediatypes import DOCKER_CONFIG
from flaskreg.mediatypes import DOCKER_LIST
from flaskreg.mediatypes import DOCKER_MANIFEST
from flaskreg.mediatypes import DOCKER_PLUGIN_CONFIG
from flaskreg.mediatypes import FOREIGN_LAYERS
from flaskreg.mediatypes import OCI_INDEX
from flaskreg.mediatypes import OCI_MANIFEST
from flaskreg.services import BlobStore
from flaskreg.services import Repository
from flaskreg.testing import ManifestOptionTests


TYPES: dict[str, ManifestType] = {
    **ocimanifests.flaskreg_register_manifest_types(),
    **dockermanifests.flaskreg_register_manifest_types(),
}
OPTIONS = flaskreg_register_manifest_options()
FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"


def parse(content: bytes, media_type: str | None = None) -> Manifest:
    """Parse a manifest of the type that it states, or another."""
    document = json.loads(content)
    kind = TYPES[media_type or document.get("mediaType") or OCI_MANIFEST]
    return kind.parse(content, document, Digest.of(content))


def make(
    name: str, parameters: Mapping[str, Any] | None = None, **sections: Any
) -> ManifestOption:
    """Make an option from its parameters and sections of the settings."""
    settings = Settings.model_validate({"storage": {"driver": "inmemory"}, **sections})
    return OPTIONS[name](parameters or {}, settings)


def foreign(*urls: str, media_type: str = FOREIGN) -> Manifest:
    """Return an image with a layer that is fetched elsewhere."""
    layer = descriptor(b"far", media_type, urls=list(urls))
    return parse(encode({**json.loads(image()), "layers": [layer]}))


def holding(blobs: Sequence[bytes] = (), manifests: Sequence[bytes] = ()) -> Repository:
    """Return a repository that holds some content."""
    held = {Digest.of(content) for content in blobs}
    repository: Any = create_autospec(Repository, instance=True)
    repository.name = "library/alpine"

    def stat(digest: Digest) -> Descriptor:
        if digest not in held:
            raise BlobUnknown
        return Descriptor("a/b", digest, 1)

    repository.blobs = create_autospec(BlobStore, instance=True)
    repository.blobs.stat.side_effect = stat
    known = {Digest.of(content) for content in manifests}
    repository.manifests.return_value.exists.side_effect = known.__contains__
    made: Repository = repository
    return made


def test_every_option_is_made_without_parameters() -> None:
    """The standard ones, by the names under which they are offered."""
    for name in STANDARD_ORDER:
        assert make(name).name == name
    assert {*STANDARD_ORDER, "warning"} == OPTIONS.keys()


@pytest.mark.parametrize("name", OPTIONS)
def test_an_unknown_parameter_is_refused(name: str) -> None:
    """In one line, by its place in the configuration."""
    with pytest.raises(ConfigError, match=rf"manifests\.options\.{name}\.x") as caught:
        make(name, {"x": 1})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "parameters", "named"),
    [
        ("size", {"limit": 0}, "size.limit"),
        ("size", {"limit": -1}, "size.limit"),
        ("size", {"limit": "many"}, "size.limit"),
        ("size", {"limit": True}, "size.limit"),
        ("structure", {"maxdepth": 0}, "structure.maxdepth"),
        ("structure", {"maxdescriptors": None}, "structure.maxdescriptors"),
        ("warning", {}, "warning.text"),
        ("warning", {"text": "a\nb"}, "warning.text"),
        ("warning", {"text": "grüß"}, "warning.text"),
        ("warning", {"text": 5}, "warning.text"),
        ("warning", {"text": "a", "repositories": "b"}, "warning.repositories"),
        ("warning", {"text": "a", "mediatypes": [1]}, "warning.mediatypes"),
    ],
)
def test_a_wrong_parameter_is_refused(
    name: str, parameters: Mapping[str, Any], named: str
) -> None:
    """At the start, and not with the first push."""
    with pytest.raises(ConfigError, match=rf"manifests\.options\.{named}"):
        make(name, parameters)


class TestSize(ManifestOptionTests):
    """``size``: bytes."""

    @pytest.fixture
    def option(self) -> ManifestOption:
        """Return an option with a limit of its own."""
        return make("size", {"limit": len(image())}, manifests={"maxbytes": 1})

    @pytest.fixture
    def accepted(self) -> Sequence[Manifest]:
        """Return manifests up to the limit."""
        return [parse(image()), parse(index())]

    @pytest.fixture
    def refused(self) -> Sequence[Manifest]:
        """Return one that is a byte beyond."""
        return [parse(image() + b" "), parse(image(layers=[b"a"]))]

    def test_without_a_parameter_the_limit_is_the_registrys(self) -> None:
        """``manifests.maxbytes``; it is told as 413."""
        option = make("size", manifests={"maxbytes": 20})
        with pytest.raises(ManifestTooLarge, match="20"):
            option.before_put(holding(), parse(image()))


class TestStructure(ManifestOptionTests):
    """``structure``: what could be read in two ways, or choke a reader."""

    @pytest.fixture
    def option(self) -> ManifestOption:
        """Return an option with small limits."""
        return make("structure", {"maxdepth": 5, "maxdescriptors": 3})

    @pytest.fixture
    def accepted(self) -> Sequence[Manifest]:
        """Return manifests within them."""
        return [
            parse(image(layers=[b"a", b"b"])),
            parse(image(x=[[[[1]]]])),
            parse(index([descriptor(b"a", OCI_MANIFEST)] * 3)),
        ]

    @pytest.fixture
    def refused(self) -> Sequence[Manifest]:
        """Return manifests beyond them, or with a member twice."""
        return [
            parse(image(layers=[b"a", b"b", b"c"])),
            parse(index([descriptor(b"a", OCI_MANIFEST)] * 4)),
            parse(image(x=[[[[[1]]]]])),
            parse(image(x={"a": {"a": {"a": {"a": {}}}}})),
            parse(image()[:-1] + b',"layers":[]}'),
            parse(image()[:-1] + b',"x":{"a":1,"\\u0061":2}}'),
        ]


class TestMediaType(ManifestOptionTests):
    """``mediatype``: one document is one type."""

    @pytest.fixture
    def option(self) -> ManifestOption:
        """Return the option."""
        return make("mediatype")

    @pytest.fixture
    def accepted(self) -> Sequence[Manifest]:
        """Return documents that state their type, or need not."""
        return [
            parse(image()),
            parse(index()),
            parse(image(media_type="")),
            parse(encode({"schemaVersion": 2, "manifests": []}), OCI_INDEX),
            parse(image(manifests=None)),
            parse(image(media_type=DOCKER_MANIFEST)),
            parse(index(media_type=DOCKER_LIST)),
        ]

    @pytest.fixture
    def refused(self) -> Sequence[Manifest]:
        """Return documents that are two."""
        return [
            parse(image(), OCI_INDEX),
            parse(image(), DOCKER_MANIFEST),
            parse(image(media_type=""), DOCKER_MANIFEST),
            parse(encode({"schemaVersion": 2}), DOCKER_LIST),
            parse(image(manifests=[])),
            parse(index(layers=[])),
            parse(index(config={})),
            parse(image(media_type="application/x"), OCI_MANIFEST),
            parse(image(mediaType=5), OCI_MANIFEST),
        ]


class TestClasses(ManifestOptionTests):
    """``classes``: ``policy.repository.classes``."""

    @pytest.fixture
    def option(self) -> ManifestOption:
        """Return one that takes images alone."""
        return make("classes", policy={"repository": {"classes": ["image"]}})

    @pytest.fixture
    def accepted(self) -> Sequence[Manifest]:
        """Return images, and lists, which have no class."""
        return [
            parse(image()),
            parse(image(media_type=DOCKER_MANIFEST, config_type=DOCKER_CONFIG)),
            parse(index()),
        ]

    @pytest.fixture
    def refused(self) -> Sequence[Manifest]:
        """Return a plugin, and what has no class."""
        return [
            parse(image(config_type=DOCKER_PLUGIN_CONFIG)),
            parse(image(config_type="application/x-helm")),
        ]

    def test_the_sentences_are_those_of_distribution(self) -> None:
        """DENIED, with the class or the media type."""
        policy = {"repository": {"classes": ["plugin"]}}
        option = make("classes", policy=policy)
        option.before_put(holding(), parse(image(config_type=DOCKER_PLUGIN_CONFIG)))
        with pytest.raises(Denied, match="registry does not allow image manifest"):
            option.before_put(holding(), parse(image()))
        with pytest.raises(Denied, match="unknown manifest class for a/b"):
            option.before_put(holding(), parse(image(config_type="a/b")))

    def test_without_classes_everything_is_taken(self) -> None:
        """Any OCI artifact, then."""
        make("classes").before_put(holding(), parse(image(config_type="a/b")))


def urls(*, allow: Sequence[str] = (), deny: Sequence[str] = (), **more: Any) -> Any:
    """Return the settings of URLs."""
    lists = {"allow": list(allow), "deny": list(deny)}
    return {"validation": {"manifests": {"urls": lists}, **more}}


class TestUrls(ManifestOptionTests):
    """``urls``: where foreign layers may be fetched by clients."""

    @pytest.fixture
    def option(self) -> ManifestOption:
        """Return one with both lists."""
        settings = urls(
            allow=[r"^https://[^/]+\.example/"], deny=[r"^https://evil\.", "secret"]
        )
        return make("urls", **settings)

    @pytest.fixture
    def accepted(self) -> Sequence[Manifest]:
        """Return layers that are where they may be, or here."""
        return [
            parse(image(layers=[b"a"])),
            foreign("https://good.example/a"),
            foreign("https://good.example/a", "https://other.example/"),
        ]

    @pytest.fixture
    def refused(self) -> Sequence[Manifest]:
        """Return layers with one URL at least that is not."""
        return [
            foreign("https://good.example/a", "https://evil.example/a"),
            foreign("https://good.example/secret"),
            foreign("http://good.example/a"),
            foreign("https://elsewhere/a"),
            foreign("https://good.example/a#b"),
            foreign("https://elsewhere/a", media_type="application/x-any"),
            parse(index([descriptor(b"a", OCI_MANIFEST, urls=["ftp://a/"])])),
        ]

    @pytest.mark.parametrize(
        "url",
        ["", "a", "/a", "//a/b", "file:///etc/passwd", "ftp://a/b", "http:///b"]
        + ["https://a/b#c", "https://a/b#", "http://[::1/", "javascript:alert(1)"],
    )
    @pytest.mark.parametrize(
        "settings", [urls(), urls(disabled=True), urls(allow=["."])]
    )
    def test_what_is_no_url_of_a_layer(self, url: str, settings: Any) -> None:
        """http and https with a host and without a fragment, whatever is configured."""
        with pytest.raises(ManifestInvalid):
            make("urls", **settings).before_put(holding(), foreign(url))

    @pytest.mark.parametrize(
        ("settings", "accepted"),
        [
            (urls(), True),
            (urls(allow=["^https://a"]), True),
            (urls(allow=["^https://b"]), False),
            (urls(allow=["^https://b", "a/"]), True),
            (urls(deny=["^https://b"]), True),
            (urls(deny=["/x"]), False),
            (urls(allow=["."], deny=["/x"]), False),
            (urls(deny=["/x"], disabled=True), True),
            (urls(deny=["/x"], disabled=True, enabled=True), False),
        ],
    )
    def test_lists(self, settings: Any, accepted: bool) -> None:
        """One of the allowed and none of the denied; without lists any."""
        option, manifest = make("urls", **settings), foreign("https://a/x")
        if accepted:
            option.before_put(holding(), manifest)
        else:
            with pytest.raises(ManifestInvalid):
                option.before_put(holding(), manifest)


class TestReferences(ManifestOptionTests):
    """``references``: blobs are there before what lists them."""

    @pytest.fixture
    def option(self) -> ManifestOption:
        """Return the option."""
        return make("references")

    @pytest.fixture
    def repository(self) -> Repository:
        """Return a repository with a configuration, a layer and a manifest."""
        return holding([b"{}", b"here"], [image()])

    @pytest.fixture
    def accepted(self) -> Sequence[Manifest]:
        """Return images of what is there; an index lists no blobs."""
        nested = descriptor(image(), OCI_MANIFEST)
        return [
            parse(image(layers=[b"here", b"here"])),
            parse(encode({**json.loads(image()), "layers": [nested]})),
            foreign("https://a/b"),
            parse(image(subject=descriptor(b"missing", OCI_MANIFEST))),
            parse(index([descriptor(b"missing", OCI_MANIFEST)])),
        ]

    @pytest.fixture
    def refused(self) -> Sequence[Manifest]:
        """Return images of what is not."""
        return [
            parse(image(b"missing")),
            parse(image(layers=[b"here", b"missing"])),
            foreign(),
            foreign("https://a/b", media_type="application/x-any"),
            parse(encode({**json.loads(image()), "layers": [descriptor(image())]})),
        ]

    def test_each_missing_blob_is_one_error(self, repository: Repository) -> None:
        """In their order, each digest once."""
        manifest = parse(image(b"x", [b"y", b"here", b"x", b"z"]))
        with pytest.raises(SeveralErrors) as caught:
            make("references").before_put(repository, manifest)
        expected = [Digest.of(content) for content in (b"x", b"y", b"z")]
        assert [each.detail for each in caught.value.errors] == expected
        assert caught.value.status == 400

    @pytest.mark.parametrize("media_type", sorted(FOREIGN_LAYERS))
    def test_foreign_layers(self, repository: Repository, media_type: str) -> None:
        """Every type of them need not be there when it says where it is."""
        option = make("references")
        option.before_put(repository, foreign("https://a/b", media_type=media_type))
        with pytest.raises(SeveralErrors):
            option.before_put(repository, foreign(media_type=media_type))

    def test_it_is_left_out_with_the_layers(self) -> None:
        """A cache takes manifests before what they list."""
        verifying = {name for name in OPTIONS if name != "warning"} & {
            name for name in STANDARD_ORDER if make(name).verifies_references
        }
        assert verifying == {"references", "platforms"}


def indexes(platforms: str, *pairs: tuple[str, str], **more: Any) -> Any:
    """Return the settings of indexes."""
    listed = [{"os": os, "architecture": each} for os, each in pairs]
    section = {"platforms": platforms, "platformlist": listed}
    return {"validation": {"manifests": {"indexes": section}, **more}}


def child(content: bytes, os: str = "", architecture: str = "") -> dict[str, Any]:
    """Return the descriptor of a manifest of an index."""
    if not os:
        return descriptor(content, OCI_MANIFEST)
    platform = {"os": os, "architecture": architecture}
    return descriptor(content, OCI_MANIFEST, platform=platform)


class TestPlatforms(ManifestOptionTests):
    """``platforms``: manifests are there before the index that lists them."""

    @pytest.fixture
    def option(self) -> ManifestOption:
        """Return the option as it is without settings."""
        return make("platforms")

    @pytest.fixture
    def repository(self) -> Repository:
        """Return a repository with a manifest."""
        return holding(manifests=[b"here"])

    @pytest.fixture
    def accepted(self) -> Sequence[Manifest]:
        """Return indexes of what is there; an image lists no manifests."""
        return [
            parse(index()),
            parse(index([child(b"here", "linux", "amd64"), child(b"here")])),
            parse(image(layers=[b"missing"])),
        ]

    @pytest.fixture
    def refused(self) -> Sequence[Manifest]:
        """Return indexes of what is not."""
        return [
            parse(index([child(b"missing", "linux", "amd64")])),
            parse(index([child(b"here"), child(b"missing")], DOCKER_LIST)),
        ]

    @pytest.mark.parametrize(
        ("settings", "missing"),
        [
            (indexes("all"), ["amd64", "arm64", "none"]),
            (indexes("none"), []),
            (indexes("list"), []),
            (indexes("list", ("linux", "amd64")), ["amd64"]),
            (
                indexes("list", ("linux", "amd64"), ("linux", "arm64")),
                ["amd64", "arm64"],
            ),
            (indexes("list", ("windows", "amd64")), []),
            (indexes("all", disabled=True), []),
            (indexes("all", disabled=True, enabled=True), ["amd64", "arm64", "none"]),
        ],
    )
    def test_settings(
        self, repository: Repository, settings: Any, missing: list[str]
    ) -> None:
        """All, none, or those of a list; one without a platform is not in it."""
        contents = {"amd64": b"1", "arm64": b"2", "none": b"3"}
        manifest = parse(
            index(
                [
                    child(b"1", "linux", "amd64"),
                    child(b"2", "linux", "arm64"),
                    child(b"3"),
                    child(b"here", "linux", "amd64"),
                ]
            )
        )
        option = make("platforms", **settings)
        if not missing:
            option.before_put(repository, manifest)
            return
        with pytest.raises(SeveralErrors) as caught:
            option.before_put(repository, manifest)
        expected = [Digest.of(contents[name]) for name in missing]
        assert [each.detail for each in caught.value.errors] == expected


class TestWarning(ManifestOptionTests):
    """``warning``: refuses nothing, and tells."""

    @pytest.fixture
    def option(self) -> ManifestOption:
        """Return one for some repositories and one type."""
        return make(
            "warning",
            {
                "text": 'the "old" mirror',
                "repositories": ["library/*", "old"],
                "mediatypes": [DOCKER_MANIFEST],
            },
        )

    @pytest.fixture
    def accepted(self) -> Sequence[Manifest]:
        """Return any manifests."""
        return [parse(image(media_type=DOCKER_MANIFEST)), parse(index())]

    @pytest.fixture
    def refused(self) -> Sequence[Manifest]:
        """Return none."""
        return []

    @pytest.mark.parametrize(
        ("parameters", "warned"),
        [
            ({}, True),
            ({"repositories": ["library/*"]}, True),
            ({"repositories": ["team/*"]}, False),
            ({"repositories": ["team/*", "*/alpine"]}, True),
            ({"repositories": []}, True),
            ({"mediatypes": [OCI_MANIFEST]}, True),
            ({"mediatypes": [OCI_INDEX]}, False),
            ({"mediatypes": []}, True),
            ({"repositories": ["team/*"], "mediatypes": [OCI_MANIFEST]}, False),
        ],
    )
    def test_whom_it_warns(self, parameters: Mapping[str, Any], warned: bool) -> None:
        """Repositories and media types both have to match."""
        option = make("warning", {"text": "a sentence", **parameters})
        expected = ["a sentence"] if warned else []
        assert list(option.warnings(holding(), parse(image()))) == expected
