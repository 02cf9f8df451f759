"""What a client accepts, and what it has: manifests under conditions."""

from __future__ import annotations

import pytest
from builders import Client
from builders import descriptor
from builders import image
from builders import index
from builders import push_blob
from builders import push_manifest
from builders import refused

from flaskreg.digest import Digest
from flaskreg.mediatypes import DOCKER_LIST
from flaskreg.mediatypes import DOCKER_MANIFEST
from flaskreg.mediatypes import OCI_INDEX
from flaskreg.mediatypes import OCI_MANIFEST


AMD64 = {"os": "linux", "architecture": "amd64"}
ARM64 = {"os": "linux", "architecture": "arm64"}

OCI = image()
DOCKER = image(media_type=DOCKER_MANIFEST)
INDEX = index([descriptor(OCI, OCI_MANIFEST, platform=AMD64)])
LIST = index(
    [
        descriptor(OCI, OCI_MANIFEST, platform=ARM64),
        descriptor(DOCKER, DOCKER_MANIFEST, platform=AMD64),
    ],
    DOCKER_LIST,
)
#: a list whose linux/amd64 manifest is none that docker pushes.
MIXED = index([descriptor(OCI, OCI_MANIFEST, platform=AMD64)], DOCKER_LIST)
FOREIGN = index([descriptor(DOCKER, DOCKER_MANIFEST, platform=ARM64)], DOCKER_LIST)
EMPTY = index(media_type=DOCKER_LIST)

PUSHED = {
    "oci": OCI,
    "docker": DOCKER,
    "index": INDEX,
    "list": LIST,
    "mixed": MIXED,
    "foreign": FOREIGN,
    "empty": EMPTY,
}
DIGESTS = {name: Digest.of(content) for name, content in PUSHED.items()}


@pytest.fixture(autouse=True)
def pushed(client: Client) -> None:
    """Push each, under its name as a tag."""
    push_blob(client, "app", b"{}")
    for name, content in PUSHED.items():
        response = push_manifest(client, "app", content, name)
        assert response.status_code == 201, response.text


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "",
        "*/*",
        "application/*",
        "text/html, */*;q=0.1",
        f"{OCI_MANIFEST},{OCI_INDEX},{DOCKER_MANIFEST},{DOCKER_LIST}",
        f"{OCI_MANIFEST};q=0.1 , {OCI_INDEX};a=b,  {DOCKER_MANIFEST},{DOCKER_LIST};q=0",
        ", ".join(each.upper() for each in (OCI_MANIFEST, OCI_INDEX, "*/*")),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_is_accepted_is_served(
    client: Client, accept: str | None, method: str
) -> None:
    """Byte for byte as it was pushed, with its type, by tag and by digest."""
    headers = {} if accept is None else {"Accept": accept}
    for name, content in PUSHED.items():
        for reference in (name, DIGESTS[name]):
            response = client.open(
                f"/v2/app/manifests/{reference}", method=method, headers=headers
            )
            assert response.status_code == 200
            assert response.data == (content if method == "GET" else b"")
            assert response.headers["Docker-Content-Digest"] == DIGESTS[name]
            assert response.headers["Etag"] == f'"{DIGESTS[name]}"'
            assert response.headers["Content-Length"] == str(len(content))
    assert client.get("/v2/app/manifests/list").content_type == DOCKER_LIST


@pytest.mark.parametrize(
    ("name", "accept", "served"),
    [
        ("oci", OCI_MANIFEST, "oci"),
        ("oci", DOCKER_MANIFEST, None),
        ("oci", "application/json", None),
        ("docker", DOCKER_MANIFEST, "docker"),
        ("docker", OCI_MANIFEST, "docker"),
        ("docker", "text/html", "docker"),
        ("index", OCI_INDEX, "index"),
        ("index", OCI_MANIFEST, "index"),
        ("index", "text/html", "index"),
        ("list", DOCKER_LIST, "list"),
        ("list", DOCKER_MANIFEST, "docker"),
        ("list", f"{DOCKER_MANIFEST}, {OCI_INDEX}", "docker"),
        ("mixed", DOCKER_MANIFEST, "oci"),
        ("foreign", DOCKER_MANIFEST, None),
        ("empty", DOCKER_MANIFEST, None),
    ],
)
def test_what_is_not_accepted(
    client: Client, name: str, accept: str, served: str | None
) -> None:
    """As distribution does it: a list becomes its linux/amd64 manifest, by tag."""
    headers = {"Accept": accept}
    response = client.get(f"/v2/app/manifests/{name}", headers=headers)
    if served is None:
        refused(response, 404, "MANIFEST_UNKNOWN")
    else:
        assert response.data == PUSHED[served]
        assert response.headers["Docker-Content-Digest"] == DIGESTS[served]
        assert response.headers["Content-Length"] == str(len(PUSHED[served]))
    by_digest = client.get(f"/v2/app/manifests/{DIGESTS[name]}", headers=headers)
    if name == "oci":
        assert by_digest.status_code == response.status_code
    else:
        assert by_digest.data == PUSHED[name]


def test_a_list_for_a_client_that_knows_neither(client: Client) -> None:
    """Its linux/amd64 manifest is none for it either."""
    response = client.get("/v2/app/manifests/list", headers={"Accept": OCI_MANIFEST})
    refused(response, 400, "MANIFEST_INVALID")


OTHER = f'"{Digest.of(b"other")}"'
HELD = DIGESTS["oci"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("reference", ["oci", DIGESTS["oci"]])
@pytest.mark.parametrize(
    ("held", "status"),
    [
        (HELD, 304),
        (f'"{HELD}"', 304),
        (f'W/"{HELD}"', 304),
        (f'{OTHER}, "{HELD}"', 304),
        ("*", 304),
        (OTHER, 200),
        ("", 200),
        (f'"{HELD[:-1]}"', 200),
    ],
)
def test_what_the_client_has_is_not_sent(
    client: Client, method: str, reference: str, held: str, status: int
) -> None:
    """Quoted or bare, weak, or one of many; the answer says what it is."""
    headers = {"If-None-Match": held}
    url = f"/v2/app/manifests/{reference}"
    response = client.open(url, method=method, headers=headers)
    assert response.status_code == status
    assert response.headers["Docker-Content-Digest"] == HELD
    assert response.headers["Etag"] == f'"{HELD}"'
    assert response.data == (OCI if (status, method) == (200, "GET") else b"")


def test_a_condition_on_what_is_unknown(client: Client) -> None:
    """There is nothing that could be unchanged."""
    headers = {"If-None-Match": "*"}
    for reference in ("other", Digest.of(b"other")):
        response = client.get(f"/v2/app/manifests/{reference}", headers=headers)
        refused(response, 404, "MANIFEST_UNKNOWN")


@pytest.mark.parametrize("tail", ["manifests/oci", f"blobs/{Digest.of(b'{}')}"])
def test_the_namespace_of_a_proxy_is_accepted(client: Client, tail: str) -> None:
    """containerd sends it to every mirror; it changes nothing here."""
    for query in ("ns=docker.io", "ns=", "ns=a&ns=b", "ns=http://169.254.169.254/"):
        assert client.get(f"/v2/app/{tail}?{query}").status_code == 200
