"""Pushing, pulling and deleting manifests over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from builders import ALGORITHMS
from builders import Client
from builders import codes
from builders import descriptor
from builders import encode
from builders import image
from builders import index
from builders import manifest_url
from builders import push_blob
from builders import push_image
from builders import push_manifest
from builders import refused

from flaskreg.app import RegistryApp
from flaskreg.digest import Digest
from flaskreg.mediatypes import DOCKER_LIST
from flaskreg.mediatypes import DOCKER_MANIFEST
from flaskreg.mediatypes import OCI_EMPTY
from flaskreg.mediatypes import OCI_INDEX
from flaskreg.mediatypes import OCI_MANIFEST


MakeApp = Callable[..., RegistryApp]

TYPES = [OCI_MANIFEST, DOCKER_MANIFEST]
AMD64 = {"os": "linux", "architecture": "amd64"}


@pytest.fixture
def stocked(client: Client) -> Client:
    """Return a client of a registry that has the blobs of the built images."""
    for content in (b"{}", b"layer"):
        push_blob(client, "a", content)
    return client


def listed(content: bytes, **members: Any) -> dict[str, Any]:
    """Return the descriptor of a manifest, for an index."""
    return descriptor(content, json.loads(content)["mediaType"], **members)


@pytest.mark.parametrize("media_type", TYPES)
def test_bytes_and_type_come_back(stocked: Client, media_type: str) -> None:
    """Whatever is in a manifest is kept byte for byte, unknown members too."""
    content = b"  " + image(layers=[b"layer"], media_type=media_type, other=[1.50])
    response = push_manifest(stocked, "a", content, "one")
    assert response.status_code == 201
    digest = Digest.of(content)
    assert response.headers["Location"] == manifest_url("a", digest)
    assert response.headers["Docker-Content-Digest"] == digest
    for reference in ("one", digest):
        for method in (stocked.get, stocked.head):
            answer = method(manifest_url("a", reference))
            assert answer.status_code == 200
            assert answer.headers["Content-Type"] == media_type
            assert answer.headers["Docker-Content-Digest"] == digest
            assert answer.headers["Content-Length"] == str(len(content))
            assert answer.headers["Etag"] == f'"{digest}"'
            assert answer.data == (content if method == stocked.get else b"")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_push_by_digest_with_tags(stocked: Client, algorithm: str) -> None:
    """Tags of the query name the manifest by the digest it was pushed by (end-7b)."""
    content = image(layers=[b"layer"])
    digest = Digest.of(content, algorithm)
    response = push_manifest(stocked, "a", content, digest, query="?tag=one&tag=two")
    assert response.headers.getlist("OCI-Tag") == ["one", "two"]
    for reference in ("one", "two", digest):
        answer = stocked.get(manifest_url("a", reference))
        assert answer.headers["Docker-Content-Digest"] == digest
        assert answer.data == content


def test_too_many_tags(stocked: Client) -> None:
    """A push has a bounded number of tags."""
    content = image(layers=[b"layer"])
    query = "?" + "&".join(f"tag=t{number}" for number in range(101))
    response = push_manifest(stocked, "a", content, Digest.of(content), query=query)
    assert response.status_code == 414
    refused(stocked.get(manifest_url("a", "t1")), 404, "MANIFEST_UNKNOWN")


def test_wrong_digest(stocked: Client) -> None:
    """A manifest of another digest than its URL's is refused."""
    response = push_manifest(stocked, "a", image(layers=[b"layer"]), Digest.of(b"x"))
    refused(response, 400, "DIGEST_INVALID")


def test_missing_references(client: Client) -> None:
    """Each missing blob is an error of its own."""
    push_blob(client, "a", b"{}")
    content = image(layers=[b"one", b"two", b"two"])
    response = push_manifest(client, "a", content, "t")
    assert response.status_code == 400
    assert codes(response) == ["MANIFEST_BLOB_UNKNOWN"] * 2
    details = [error["detail"] for error in json.loads(response.data)["errors"]]
    assert details == [Digest.of(b"one"), Digest.of(b"two")]
    refused(client.get(manifest_url("a", "t")), 404, "MANIFEST_UNKNOWN")


def test_missing_children(client: Client, make_app: MakeApp) -> None:
    """An index wants its manifests; a setting wants only those of some platforms."""
    child = image()
    content = index([listed(child, platform=AMD64)])
    refused(push_manifest(client, "a", content, "t"), 400, "MANIFEST_BLOB_UNKNOWN")
    arm = {"os": "linux", "architecture": "arm64"}
    validation = {
        "manifests": {"indexes": {"platforms": "list", "platformlist": [arm]}}
    }
    lenient = Client(make_app(validation=validation))
    assert push_manifest(lenient, "a", content, "t").status_code == 201
    wanted = index([listed(child, platform=arm)])
    refused(push_manifest(lenient, "a", wanted, "t"), 400, "MANIFEST_BLOB_UNKNOWN")
    assert push_manifest(lenient, "a", index([listed(child)]), "t").status_code == 201


def test_nested_index(client: Client) -> None:
    """An index may list indexes."""
    push_image(client, "a", layers=(b"layer",))
    inner = index([listed(image(layers=[b"layer"]))])
    assert push_manifest(client, "a", inner).status_code == 201
    assert push_manifest(client, "a", index([listed(inner)]), "all").status_code == 201


INVALID = {
    "no JSON": b"{",
    "a list": b"[]",
    "schema 1": encode({"schemaVersion": 1, "config": descriptor(b"{}"), "layers": []}),
    "no config": encode({"schemaVersion": 2, "layers": []}),
    "another type stated": image(media_type=OCI_INDEX),
    "manifests too": image(manifests=[]),
    "a size of text": encode(
        {"schemaVersion": 2, "config": descriptor(b"{}") | {"size": "2"}, "layers": []}
    ),
    "a member twice": b'{"schemaVersion":2,' + image(layers=[])[1:],
    "nested deeply": image(x=json.loads("[" * 100 + "]" * 100)),
    "nested for ever": b'{"a":' * 100_000,
    "annotations of numbers": image(annotations={"a": 1}),
    "layers of text": encode(
        {"schemaVersion": 2, "config": descriptor(b"{}"), "layers": "x"}
    ),
}


@pytest.mark.parametrize("name", INVALID)
def test_invalid_manifests(stocked: Client, name: str) -> None:
    """What is no manifest is refused with a reason, and nothing is stored."""
    response = push_manifest(stocked, "a", INVALID[name], "t", OCI_MANIFEST)
    refused(response, 400, "MANIFEST_INVALID")
    assert "detail" in json.loads(response.data)["errors"][0]
    refused(stocked.get(manifest_url("a", "t")), 404, "MANIFEST_UNKNOWN")


@pytest.mark.parametrize("media_type", ["text/plain", "application/json", "x"])
def test_unknown_media_type(stocked: Client, media_type: str) -> None:
    """A type that no plugin reads is refused."""
    content = image(layers=[b"layer"], media_type=media_type)
    refused(push_manifest(stocked, "a", content, "t"), 400, "MANIFEST_INVALID")


def test_content_type_with_parameters(stocked: Client) -> None:
    """Parameters are ignored."""
    content = image(layers=[b"layer"])
    media_type = f"{OCI_MANIFEST}; charset=utf-8"
    assert push_manifest(stocked, "a", content, "t", media_type).status_code == 201


@pytest.mark.parametrize("digest", ["sha256:abc", "", "md5:" + "0" * 32])
def test_invalid_digest_in_a_manifest(stocked: Client, digest: str) -> None:
    """A descriptor's digest has to be one."""
    document = json.loads(image())
    document["config"]["digest"] = digest
    response = push_manifest(stocked, "a", encode(document), "t")
    refused(response, 400, "DIGEST_INVALID")


def test_foreign_layers(stocked: Client) -> None:
    """A foreign layer with URLs need not be here; without them it must."""
    media_type = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    document = json.loads(image())
    layer = descriptor(b"elsewhere", media_type)
    document["layers"] = [layer | {"urls": ["https://example.com/layer"]}]
    assert push_manifest(stocked, "a", encode(document), "t").status_code == 201
    document["layers"] = [layer]
    refused(
        push_manifest(stocked, "a", encode(document), "t"), 400, "MANIFEST_BLOB_UNKNOWN"
    )
    document["layers"] = [layer | {"urls": ["file:///etc/passwd"]}]
    refused(push_manifest(stocked, "a", encode(document), "t"), 400, "MANIFEST_INVALID")


def test_size_limit(make_app: MakeApp) -> None:
    """413 for one byte too many; the limit itself is taken."""
    client = Client(make_app(manifests={"maxbytes": 2000}))
    push_blob(client, "a", b"{}")
    content = image()
    exactly = content[:-1] + b" " * (2000 - len(content)) + b"}"
    assert push_manifest(client, "a", exactly, "t").status_code == 201
    refused(push_manifest(client, "a", exactly + b" ", "t"), 413, "SIZE_INVALID")


def test_options_are_ordered_and_dropped_by_settings(make_app: MakeApp) -> None:
    """A setting names the checks; what it leaves out is not checked."""
    lenient = Client(make_app(manifests={"options": ["mediatype"]}))
    assert push_manifest(lenient, "a", image(layers=[b"no"]), "t").status_code == 201
    refused(
        push_manifest(lenient, "a", image(manifests=[]), "t"), 400, "MANIFEST_INVALID"
    )


def test_warning(make_app: MakeApp) -> None:
    """An option warns of some manifests, when pushed and when pulled."""
    warning = {"text": 'use "new"', "repositories": ["old/*"]}
    options = ["mediatype", {"warning": warning}]
    client = Client(make_app(manifests={"options": options}))
    for name, warned in (("old/a", ['299 - "use \\"new\\""']), ("new", [])):
        response = push_manifest(client, name, image(), "t")
        assert response.headers.getlist("Warning") == warned
        assert client.get(manifest_url(name, "t")).headers.getlist("Warning") == warned


def test_tag_moves(client: Client) -> None:
    """A tag names what was pushed last; the other manifest stays."""
    first = push_image(client, "a", "t", (b"one",))
    second = push_image(client, "a", "t", (b"two",))
    headers = client.get(manifest_url("a", "t")).headers
    assert headers["Docker-Content-Digest"] == second
    assert client.get(manifest_url("a", first)).status_code == 200


def test_delete_tag(client: Client) -> None:
    """Only the tag goes."""
    digest = push_image(client, "a", "t")
    assert client.delete(manifest_url("a", "t")).status_code == 202
    refused(client.get(manifest_url("a", "t")), 404, "MANIFEST_UNKNOWN")
    refused(client.delete(manifest_url("a", "t")), 404, "MANIFEST_UNKNOWN")
    assert client.get(manifest_url("a", digest)).status_code == 200


@pytest.mark.parametrize("deleted_by", ALGORITHMS)
@pytest.mark.parametrize("pushed_by", ALGORITHMS)
def test_delete_manifest(stocked: Client, pushed_by: str, deleted_by: str) -> None:
    """It goes by all of its digests, with all tags that name it, and no other."""
    content, other = image(layers=[b"layer"]), image()
    digest = Digest.of(content, pushed_by)
    push_manifest(stocked, "a", content, digest, query="?tag=one&tag=two")
    push_manifest(stocked, "a", other, "other")
    by = Digest.of(content, deleted_by)
    if deleted_by not in (pushed_by, "sha256"):
        push_manifest(stocked, "a", content, by)
    assert stocked.delete(manifest_url("a", by)).status_code == 202
    for reference in ("one", "two", digest, by, Digest.of(content)):
        answer = stocked.get(manifest_url("a", reference))
        refused(answer, 404, "MANIFEST_UNKNOWN")
    assert stocked.get(manifest_url("a", "other")).status_code == 200


def test_manifests_are_no_blobs(client: Client) -> None:
    """The content of a manifest is not readable as a blob of the repository."""
    digest = push_image(client, "a", "t")
    refused(client.get(f"/v2/a/blobs/{digest}"), 404, "BLOB_UNKNOWN")


def test_docker_list_for_a_client_that_knows_none(client: Client) -> None:
    """By tag it gets the linux/amd64 manifest; a wildcard takes the list."""
    push_image(client, "a", layers=(b"layer",), media_type=DOCKER_MANIFEST)
    child = image(layers=[b"layer"], media_type=DOCKER_MANIFEST)
    content = index([listed(child, platform=AMD64)], DOCKER_LIST)
    assert push_manifest(client, "a", content, "all").status_code == 201
    url = manifest_url("a", "all")
    assert client.get(url, headers={"Accept": DOCKER_MANIFEST}).data == child
    for accepted in (DOCKER_LIST, "*/*", "application/*", f"{DOCKER_MANIFEST}, */*"):
        assert client.get(url, headers={"Accept": accepted}).data == content
    assert client.get(url).data == content
    refused(client.get(url, headers={"Accept": "text/html"}), 400, "MANIFEST_INVALID")
    by_digest = manifest_url("a", Digest.of(content))
    assert client.get(by_digest, headers={"Accept": DOCKER_MANIFEST}).data == content


def test_oci_image_for_a_client_that_does_not_accept_it(client: Client) -> None:
    """It is unknown to such a client, with a sentence that says why."""
    push_image(client, "a", "t")
    response = client.get(manifest_url("a", "t"), headers={"Accept": DOCKER_MANIFEST})
    refused(response, 404, "MANIFEST_UNKNOWN")
    assert "accept header" in json.loads(response.data)["errors"][0]["message"]


def test_frozen_tags(make_app: MakeApp) -> None:
    """A controller decides where the tag is written whether it may be moved."""
    from flaskreg import hookimpl
    from flaskreg.defaults.open_access import OpenAccess

    class Frozen(OpenAccess):
        def may_overwrite(self, headers: Any, name: str, tag: str) -> bool:
            del headers, name
            return not tag.startswith("v")

    class Plugin:
        @hookimpl
        def flaskreg_make_access_controller(self) -> Frozen:
            return Frozen()

    client = Client(make_app((Plugin(),)))
    first = push_image(client, "a", "v1", (b"one",))
    push_image(client, "a", "v1", (b"one",))
    push_image(client, "a", "latest", (b"one",))
    push_image(client, "a", "latest", (b"two",))
    refused(push_manifest(client, "a", image(layers=[b"two"]), "v1"), 403, "DENIED")
    headers = client.get(manifest_url("a", "v1")).headers
    assert headers["Docker-Content-Digest"] == first


# Referrers


def referrers(client: Client, subject: str, query: str = "") -> Any:
    """Return the list of referrers and the answer's headers."""
    response = client.get(f"/v2/a/referrers/{subject}{query}")
    assert response.status_code == 200
    assert response.content_type == OCI_INDEX
    return json.loads(response.data)["manifests"], response.headers


def test_referrers(client: Client) -> None:
    """A manifest with a subject is listed until it is deleted."""
    subject = Digest.of(b"not here")
    push_blob(client, "a", b"{}")
    about = {"mediaType": OCI_MANIFEST, "digest": subject, "size": 8}
    signed = image(
        config_type="application/x.sig", subject=about, annotations={"k": "v"}
    )
    bill = image(
        config_type=OCI_EMPTY, subject=about, artifactType="application/x.sbom"
    )
    for content in (signed, bill):
        response = push_manifest(client, "a", content)
        assert response.headers["OCI-Subject"] == subject
    found, headers = referrers(client, subject)
    by_type = {each["artifactType"]: each for each in found}
    assert by_type.keys() == {"application/x.sig", "application/x.sbom"}
    assert by_type["application/x.sig"]["annotations"] == {"k": "v"}
    assert by_type["application/x.sig"]["digest"] == Digest.of(signed)
    assert "OCI-Filters-Applied" not in headers
    query = "?artifactType=application/x.sbom"
    (only,), headers = referrers(client, subject, query)
    assert only["digest"] == Digest.of(bill)
    assert headers["OCI-Filters-Applied"] == "artifactType"
    assert client.delete(manifest_url("a", Digest.of(signed))).status_code == 202
    assert [each["digest"] for each in referrers(client, subject)[0]] == [
        Digest.of(bill)
    ]


def test_no_referrers(client: Client) -> None:
    """An empty list, and never a 404; a digest that is none is 400."""
    assert referrers(client, Digest.of(b"x"))[0] == []
    refused(client.get("/v2/a/referrers/x:y"), 400, "DIGEST_INVALID")
    refused(client.get("/v2/a/referrers/tag"), 400, "DIGEST_INVALID")


def test_referrers_in_pages(make_app: MakeApp) -> None:
    """Following the links gives each referrer once, in order, filters kept."""
    client = Client(make_app(referrers={"maxentries": 3}))
    push_blob(client, "a", b"{}")
    about = {"mediaType": OCI_MANIFEST, "digest": Digest.of(b"x"), "size": 1}
    wanted = set()
    for number in range(10):
        kind = "application/x.even" if number % 2 == 0 else "application/x.odd"
        content = image(subject=about, artifactType=kind, number=number)
        push_manifest(client, "a", content)
        if number % 2 == 0:
            wanted.add(Digest.of(content))
    url = f"/v2/a/referrers/{Digest.of(b'x')}?artifactType=application/x.even&n=2"
    found: list[str] = []
    while url:
        response = client.get(url)
        page = json.loads(response.data)["manifests"]
        assert len(page) <= 2
        found += [each["digest"] for each in page]
        link = response.headers.get("Link", "")
        url = link.partition(">")[0].removeprefix("<")
    assert found == sorted(wanted)
