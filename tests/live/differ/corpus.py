"""The corpora: what is sent, in which order, under which configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..images import DOCKER
from ..images import OCI
from ..images import Types
from ..images import digest_of
from . import broken
from .steps import OCTETS
from .steps import Image
from .steps import Step
from .steps import descriptor
from .steps import document
from .steps import get
from .steps import head
from .steps import put_blob
from .steps import put_manifest


REPOSITORY = "differ/image"
BLOB = bytes(range(256)) * 8
SHA = digest_of(BLOB)
MISSING = digest_of(b"never pushed")
ALL = ",".join([OCI.manifest, OCI.index, DOCKER.manifest, DOCKER.index])


@dataclass(frozen=True)
class Corpus:
    """Steps, and what both registries are configured with beyond the usual."""

    config: Mapping[str, Any]
    steps: list[Step]


def make_image(types: Types, mark: str) -> Image:
    """Make an image of one family of media types."""
    config = document({"architecture": "amd64", "os": "linux", "mark": mark})
    layer = f"not really a tar: {mark}".encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": types.manifest,
        "config": descriptor(config, types.config),
        "layers": [descriptor(layer, types.layer)],
    }
    return Image(config, layer, document(manifest), types.manifest)


OCI_IMAGE = make_image(OCI, "oci")
DOCKER_IMAGE = make_image(DOCKER, "docker")
SECOND_IMAGE = make_image(OCI, "second")
INDEX = document(
    {
        "schemaVersion": 2,
        "mediaType": OCI.index,
        "manifests": [
            descriptor(
                image.manifest,
                OCI.manifest,
                platform={"os": "linux", "architecture": arch},
            )
            for image, arch in ((OCI_IMAGE, "amd64"), (SECOND_IMAGE, "arm64"))
        ],
    }
)
LIST = document(
    {
        "schemaVersion": 2,
        "mediaType": DOCKER.index,
        "manifests": [
            descriptor(
                DOCKER_IMAGE.manifest,
                DOCKER.manifest,
                platform={"os": "linux", "architecture": "amd64"},
            )
        ],
    }
)


def base() -> list[Step]:
    """The root, and what is no route at all."""
    steps = [
        Step(f"base-{method.lower()}", method, "/v2/")
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
    ]
    for name, path in {
        "base-without-slash": "/v2",
        "root": "/",
        "nowhere": "/nowhere",
        "nowhere-in-v2": "/v2/nowhere",
        "nowhere-in-repository": f"/v2/{REPOSITORY}/nowhere/list",
        "v1": "/v1/_ping",
        "base-with-query": "/v2/?x=1&y",
        "base-twice-slashed": "/v2//",
        "base-dots": "/v2/../v2/",
    }.items():
        steps += [get(f"{name}-get", path), head(f"{name}-head", path)]
    return steps


def names() -> list[Step]:
    """Repository names, good and bad, at each kind of route."""
    steps = []
    for name, repository in {
        "deep": "a/b/c/d/e/f/g/h",
        "separators": "a.b/c_d/e__f/g-h/i--j",
        "words": "manifests/blobs/uploads/tags",
        "upper": "Upper/case",
        "upper-last": "differ/Upper",
        "dot-end": "differ/a.",
        "triple-underscore": "differ/a___b",
        "long": "a" * 255,
        "too-long": "a" * 256,
        "port": "host:5000/name",
        "empty-part": "differ//name",
        "dots": "differ/../name",
        "slash-encoded": "differ%2Fname",
        "space": "differ/a%20b",
        "nul": "differ/a%00b",
        "newline": "differ/a%0Ab",
        "umlaut": "differ/%C3%A4",
    }.items():
        steps += [
            get(f"name-{name}-tags", f"/v2/{repository}/tags/list"),
            get(f"name-{name}-manifest", f"/v2/{repository}/manifests/latest"),
            head(f"name-{name}-blob", f"/v2/{repository}/blobs/{MISSING}"),
        ]
    return steps


def uploads() -> list[Step]:
    """Upload sessions: in steps, resumed, cancelled, misused."""
    path = f"/v2/{REPOSITORY}/blobs/uploads/"
    put = "{upload}&digest=" + SHA
    first, rest = BLOB[:100], BLOB[100:]

    def start(name: str) -> Step:
        return Step(name, "POST", path, keep="upload")

    def chunk(name: str, data: bytes, start_at: str, **more: Any) -> Step:
        headers = {**OCTETS, "Content-Range": start_at}
        return Step(name, "PATCH", "{upload}", headers, data, **more)

    return [
        start("upload-post"),
        get("upload-status-empty", "{upload}"),
        head("upload-status-head", "{upload}"),
        chunk("upload-chunk", first, "0-99", keep="upload"),
        get("upload-status", "{upload}"),
        chunk("upload-chunk-gap", rest, "200-2147"),
        chunk("upload-chunk-again", first, "0-99"),
        chunk("upload-chunk-backwards", rest, "100-50"),
        chunk("upload-chunk-length", rest, "100-150"),
        chunk("upload-chunk-malformed", rest, "bytes 100-2047/2048"),
        chunk("upload-chunk-words", rest, "some-more"),
        Step("upload-put-no-digest", "PUT", "{upload}", body=b""),
        Step("upload-put-bad-digest", "PUT", "{upload}&digest=sha256:abc", body=b""),
        Step("upload-put-md5", "PUT", "{upload}&digest=md5:" + "0" * 32, body=b""),
        Step("upload-put-wrong", "PUT", "{upload}&digest=" + MISSING, body=b""),
        get("upload-status-after-wrong", "{upload}"),
        Step(
            "upload-put-form",
            "PUT",
            "{upload}",
            {"Content-Type": "application/x-www-form-urlencoded"},
            b"digest=" + SHA.encode(),
        ),
        chunk("upload-chunk-rest", rest, "100-2047", keep="upload"),
        Step("upload-put", "PUT", put, body=b""),
        Step("upload-put-twice", "PUT", put, body=b""),
        get("upload-status-done", "{upload}"),
        start("typed-post"),
        Step("typed-patch", "PATCH", "{upload}", {"Content-Type": "a/b"}, BLOB),
        start("monolithic-post"),
        Step("monolithic-put", "PUT", put, OCTETS, BLOB),
        start("stream-post"),
        Step(
            "stream-patch",
            "PATCH",
            "{upload}",
            OCTETS,
            BLOB,
            chunked=True,
            keep="upload",
        ),
        Step("stream-put", "PUT", put, body=b""),
        start("last-chunk-post"),
        chunk("last-chunk-patch", first, "0-99", keep="upload"),
        Step(
            "last-chunk-put", "PUT", put, {**OCTETS, "Content-Range": "100-2047"}, rest
        ),
        start("no-type-post"),
        Step("no-type-patch", "PATCH", "{upload}", {}, BLOB, keep="upload"),
        Step("no-type-put", "PUT", put, body=b""),
        start("empty-post"),
        Step("empty-put", "PUT", "{upload}&digest=" + digest_of(b""), body=b""),
        start("cancel-post"),
        Step("cancel-delete", "DELETE", "{upload}"),
        Step("cancel-delete-again", "DELETE", "{upload}"),
        Step("cancelled-patch", "PATCH", "{upload}", OCTETS, BLOB),
        get("cancelled-status", "{upload}"),
        start("stateless-post"),
        Step(
            "stateless-patch",
            "PATCH",
            f"{path}11111111-1111-4111-8111-111111111111",
            OCTETS,
            BLOB,
        ),
        Step(
            "bad-state-patch",
            "PATCH",
            f"{path}11111111-1111-4111-8111-111111111111?_state=AAAA",
            OCTETS,
            BLOB,
        ),
        get("unknown-upload", f"{path}11111111-1111-4111-8111-111111111111"),
        get("no-uuid-upload", f"{path}nothing"),
        get("odd-upload", f"{path}..%2F..%2Fx"),
        Step(
            "form-post",
            "POST",
            path,
            {"Content-Type": "application/x-www-form-urlencoded"},
            b"mount=" + SHA.encode() + b"&from=differ/image",
        ),
        Step("post-without-slash", "POST", path.rstrip("/")),
        Step("single-post", "POST", f"{path}?digest={SHA}", OCTETS, BLOB),
        Step("single-post-wrong", "POST", f"{path}?digest={MISSING}", OCTETS, BLOB),
        Step("single-post-bad", "POST", f"{path}?digest=sha256:abc", OCTETS, BLOB),
        Step("algorithm-post", "POST", f"{path}?digest-algorithm=sha512"),
        Step("algorithm-unknown-post", "POST", f"{path}?digest-algorithm=md5"),
        *(
            Step(f"uploads-{method.lower()}", method, path)
            for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS")
        ),
        *(
            Step(f"session-{method.lower()}", method, "{upload}")
            for method in ("POST", "OPTIONS")
        ),
    ]


def mounts() -> list[Step]:
    """Mounts, possible and not."""
    path = "/v2/differ/mounted/blobs/uploads/"
    return [
        Step("mount", "POST", f"{path}?mount={SHA}&from={REPOSITORY}"),
        head("mount-blob", f"/v2/differ/mounted/blobs/{SHA}"),
        Step("mount-unknown-blob", "POST", f"{path}?mount={MISSING}&from={REPOSITORY}"),
        Step("mount-unknown-repository", "POST", f"{path}?mount={SHA}&from=no/where"),
        Step("mount-bad-digest", "POST", f"{path}?mount=sha256:a&from={REPOSITORY}"),
        Step("mount-bad-name", "POST", f"{path}?mount={SHA}&from=UPPER"),
        Step("mount-empty-from", "POST", f"{path}?mount={SHA}&from="),
        Step(
            "mount-from-anywhere",
            "POST",
            f"/v2/differ/anywhere/blobs/uploads/?mount={SHA}",
        ),
    ]


def blobs() -> list[Step]:
    """Reading a blob: whole, in ranges, under conditions."""
    path = f"/v2/{REPOSITORY}/blobs/{SHA}"
    etag = f'"{SHA}"'
    ranges = {
        "first": "bytes=0-9",
        "middle": "bytes=100-199",
        "open": "bytes=2000-",
        "suffix": "bytes=-10",
        "suffix-large": "bytes=-99999",
        "suffix-zero": "bytes=-0",
        "last-beyond": "bytes=2040-99999",
        "beyond": "bytes=2048-",
        "far-beyond": "bytes=99999-100000",
        "several": "bytes=0-1,10-11,2046-",
        "several-overlapping": "bytes=0-2000,0-2000",
        "several-one-beyond": "bytes=0-1,99999-",
        "backwards": "bytes=9-0",
        "words": "bytes=a-b",
        "no-unit": "0-9",
        "other-unit": "lines=0-9",
        "empty": "bytes=",
        "spaces": "bytes= 0 - 9",
    }
    conditions = {
        "none-match": {"If-None-Match": etag},
        "none-match-weak": {"If-None-Match": f"W/{etag}"},
        "none-match-list": {"If-None-Match": f'"x", {etag}'},
        "none-match-star": {"If-None-Match": "*"},
        "none-match-bare": {"If-None-Match": SHA},
        "none-match-other": {"If-None-Match": '"x"'},
        "match": {"If-Match": etag},
        "match-star": {"If-Match": "*"},
        "match-other": {"If-Match": '"x"'},
        "match-weak": {"If-Match": f"W/{etag}"},
        "if-range": {"If-Range": etag, "Range": "bytes=0-9"},
        "if-range-other": {"If-Range": '"x"', "Range": "bytes=0-9"},
        "modified-since": {"If-Modified-Since": "Mon, 01 Jan 2001 00:00:00 GMT"},
    }
    return [
        get("blob-get", path),
        head("blob-head", path),
        get("blob-get-slash", f"{path}/"),
        *(get(f"blob-range-{name}", path, Range=r) for name, r in ranges.items()),
        head("blob-head-range", path, Range="bytes=0-9"),
        *(Step(f"blob-{name}", "GET", path, h) for name, h in conditions.items()),
        *(
            Step(f"blob-head-{name}", "HEAD", path, conditions[name])
            for name in ("none-match", "match-other")
        ),
        get("blob-unknown", f"/v2/{REPOSITORY}/blobs/{MISSING}"),
        head("blob-unknown-head", f"/v2/{REPOSITORY}/blobs/{MISSING}"),
        get("blob-short-digest", f"/v2/{REPOSITORY}/blobs/sha256:abc"),
        get("blob-upper-digest", f"/v2/{REPOSITORY}/blobs/sha256:{'A' * 64}"),
        get("blob-md5", f"/v2/{REPOSITORY}/blobs/md5:{'0' * 32}"),
        get("blob-no-digest", f"/v2/{REPOSITORY}/blobs/latest"),
        get("blob-of-another", f"/v2/differ/stranger/blobs/{SHA}"),
        get("blob-is-a-manifest", f"/v2/{REPOSITORY}/blobs/{OCI_IMAGE.digest}"),
        *(
            Step(f"blob-{method.lower()}", method, path)
            for method in ("POST", "PUT", "PATCH", "OPTIONS")
        ),
    ]


def manifests() -> list[Step]:
    """Pushing and reading manifests of each type."""
    path = f"/v2/{REPOSITORY}/manifests"
    steps: list[Step] = []
    for name, image in {
        "oci": OCI_IMAGE,
        "docker": DOCKER_IMAGE,
        "second": SECOND_IMAGE,
    }.items():
        steps += put_blob(f"{name}-config", REPOSITORY, image.config)
        steps += put_blob(f"{name}-layer", REPOSITORY, image.layer)
        steps.append(
            put_manifest(
                f"{name}-put-tag", REPOSITORY, name, image.manifest, image.media_type
            )
        )
    index, docker_list = digest_of(INDEX), digest_of(LIST)
    steps += [
        put_manifest(
            "oci-put-digest",
            REPOSITORY,
            OCI_IMAGE.digest,
            OCI_IMAGE.manifest,
            OCI.manifest,
        ),
        put_manifest(
            "oci-put-wrong-digest",
            REPOSITORY,
            MISSING,
            OCI_IMAGE.manifest,
            OCI.manifest,
        ),
        put_manifest(
            "oci-put-bad-digest",
            REPOSITORY,
            "sha256:abc",
            OCI_IMAGE.manifest,
            OCI.manifest,
        ),
        put_manifest(
            "oci-put-charset",
            REPOSITORY,
            "charset",
            OCI_IMAGE.manifest,
            f"{OCI.manifest}; charset=utf-8",
        ),
        *put_blob("tagged-config", "differ/tagged", OCI_IMAGE.config),
        *put_blob("tagged-layer", "differ/tagged", OCI_IMAGE.layer),
        put_manifest(
            "oci-put-query-tags",
            "differ/tagged",
            f"{OCI_IMAGE.digest}?tag=one&tag=two",
            OCI_IMAGE.manifest,
            OCI.manifest,
        ),
        put_manifest("index-put", REPOSITORY, "index", INDEX, OCI.index),
        put_manifest("list-put", REPOSITORY, "list", LIST, DOCKER.index),
        put_manifest(
            "oci-move-tag", REPOSITORY, "moved", OCI_IMAGE.manifest, OCI.manifest
        ),
        put_manifest(
            "oci-move-tag-again",
            REPOSITORY,
            "moved",
            SECOND_IMAGE.manifest,
            OCI.manifest,
        ),
        get("moved-get", f"{path}/moved", Accept=ALL),
    ]
    accepts = {
        "all": ALL,
        "star": "*/*",
        "application": "application/*",
        "own-oci": OCI.manifest,
        "own-docker": DOCKER.manifest,
        "text": "text/plain",
        "lists": f"{OCI.index},{DOCKER.index}",
        "weighted": f"{OCI.manifest};q=0.5",
        "json": "application/json",
        "absent": None,
    }
    for tag in ("oci", "docker", "index", "list"):
        for name, accept in accepts.items():
            headers = {} if accept is None else {"Accept": accept}
            steps.append(Step(f"{tag}-get-{name}", "GET", f"{path}/{tag}", headers))
        steps.append(head(f"{tag}-head", f"{path}/{tag}", Accept=ALL))
    for name, digest in {
        "oci": OCI_IMAGE.digest,
        "docker": DOCKER_IMAGE.digest,
        "index": index,
        "list": docker_list,
        "unknown": MISSING,
    }.items():
        steps += [
            get(f"digest-get-{name}", f"{path}/{digest}", Accept=ALL),
            head(f"digest-head-{name}", f"{path}/{digest}", Accept=ALL),
            get(f"digest-get-{name}-plain", f"{path}/{digest}"),
        ]
    etag = f'"{OCI_IMAGE.digest}"'
    for name, value in {
        "quoted": etag,
        "bare": OCI_IMAGE.digest,
        "weak": f"W/{etag}",
        "list": f'"x", {etag}',
        "star": "*",
        "other": '"x"',
    }.items():
        steps.append(
            get(
                f"manifest-none-match-{name}",
                f"{path}/oci",
                Accept=ALL,
                If_None_Match=value,
            )
        )
    return steps + [
        get("manifest-range", f"{path}/oci", Accept=ALL, Range="bytes=0-9"),
        get("manifest-unknown-tag", f"{path}/none", Accept=ALL),
        head("manifest-unknown-tag-head", f"{path}/none", Accept=ALL),
        get("manifest-unknown-name", "/v2/no/where/manifests/latest", Accept=ALL),
        get(
            "manifest-of-another",
            f"/v2/differ/stranger/manifests/{OCI_IMAGE.digest}",
            Accept=ALL,
        ),
        get("manifest-short-digest", f"{path}/sha256:abc", Accept=ALL),
        get("manifest-upper-digest", f"{path}/sha256:{'A' * 64}", Accept=ALL),
        get("manifest-sha512", f"{path}/sha512:{'0' * 128}", Accept=ALL),
        get("manifest-long-tag", f"{path}/{'t' * 129}", Accept=ALL),
        get("manifest-odd-tag", f"{path}/-tag", Accept=ALL),
        get("manifest-encoded-tag", f"{path}/a%2Fb", Accept=ALL),
        *(
            Step(f"manifest-{method.lower()}", method, f"{path}/oci")
            for method in ("POST", "PATCH", "OPTIONS")
        ),
    ]


def broken_manifests() -> list[Step]:
    """Manifests that must be refused, in a repository where nothing else is missing."""
    repository = "differ/broken"
    steps: list[Step] = []
    for name, image in {"oci": OCI_IMAGE, "docker": DOCKER_IMAGE}.items():
        steps += put_blob(f"broken-{name}-config", repository, image.config)
        steps += put_blob(f"broken-{name}-layer", repository, image.layer)
    for name, push in broken.manifests(OCI_IMAGE, DOCKER_IMAGE).items():
        step = put_manifest(f"broken-{name}", repository, name, *push)
        steps += [step, get(f"broken-{name}-get", step.target, Accept=ALL)]
    return steps


def tags() -> list[Step]:
    """Lists of tags, in pages."""
    path = f"/v2/{REPOSITORY}/tags/list"
    queries = {
        "n1": "n=1",
        "n2-last": "n=2&last=docker",
        "n-all": "n=1000",
        "n0": "n=0",
        "n-negative": "n=-1",
        "n-word": "n=abc",
        "n-empty": "n=",
        "n-huge": "n=99999",
        "n-digits": "n=" + "9" * 40,
        "n-float": "n=1.5",
        "n-plus": "n=+1",
        "n-space": "n=%201",
        "last": "last=list",
        "last-unknown": "last=m",
        "last-end": "last=zzz",
        "last-empty": "last=",
        "other": "n=1&x=y",
        "twice": "n=1&n=2",
        "exact": "n=11",
        "exact-page": "n=5&last=index",
    }
    return [
        get("tags", path),
        *(get(f"tags-{name}", f"{path}?{query}") for name, query in queries.items()),
        get("tags-unknown", "/v2/no/where/tags/list"),
        get("tags-unknown-last", "/v2/no/where/tags/list?last=a"),
        get("tags-unknown-n0", "/v2/no/where/tags/list?n=0"),
        get("tags-blobs-only", "/v2/differ/mounted/tags/list"),
        get("tags-slash", f"{path}/"),
        *(
            Step(f"tags-{method.lower()}", method, path)
            for method in ("HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
        ),
    ]


def catalog() -> list[Step]:
    """The list of repositories, in pages."""
    steps: list[Step] = []
    for repository in ("b", "a/1", "a", "a-b", "a/b"):
        for data in (OCI_IMAGE.config, OCI_IMAGE.layer):
            name = f"catalog-{repository.replace('/', '_')}-{digest_of(data)[7:11]}"
            steps += put_blob(name, repository, data)
        steps.append(
            put_manifest(
                f"catalog-{repository.replace('/', '_')}-put",
                repository,
                "latest",
                OCI_IMAGE.manifest,
                OCI.manifest,
            )
        )
    queries = {
        "n1": "n=1",
        "n2-last": "n=2&last=a",
        "n-all": "n=1000",
        "n0": "n=0",
        "n-negative": "n=-1",
        "n-word": "n=abc",
        "n-empty": "n=",
        "n-huge": "n=99999",
        "last": "last=b",
        "last-unknown": "last=aa",
        "last-end": "last=zzz",
        "exact": "n=6",
        "other": "n=1&x=y",
        "last-slash": "n=1&last=a/1",
    }
    return [
        *steps,
        get("catalog", "/v2/_catalog"),
        *(get(f"catalog-{n}", f"/v2/_catalog?{q}") for n, q in queries.items()),
        get("catalog-slash", "/v2/_catalog/"),
        *(
            Step(f"catalog-{method.lower()}", method, "/v2/_catalog")
            for method in ("HEAD", "POST", "PUT", "DELETE", "OPTIONS")
        ),
    ]


def referrers() -> list[Step]:
    """The referrers of a manifest, which distribution has not."""
    path = f"/v2/{REPOSITORY}/referrers"
    return [
        get("referrers", f"{path}/{OCI_IMAGE.digest}"),
        get("referrers-bad-digest", f"{path}/sha256:abc"),
    ]


def deletes() -> list[Step]:
    """Deleting tags, manifests and blobs."""
    path = f"/v2/{REPOSITORY}"
    return [
        Step("delete-tag", "DELETE", f"{path}/manifests/moved"),
        get("delete-tag-get", f"{path}/manifests/moved", Accept=ALL),
        Step("delete-tag-again", "DELETE", f"{path}/manifests/moved"),
        Step("delete-tag-unknown", "DELETE", f"{path}/manifests/none"),
        Step("delete-manifest", "DELETE", f"{path}/manifests/{SECOND_IMAGE.digest}"),
        get("delete-manifest-get", f"{path}/manifests/second", Accept=ALL),
        Step(
            "delete-manifest-again", "DELETE", f"{path}/manifests/{SECOND_IMAGE.digest}"
        ),
        Step("delete-manifest-unknown", "DELETE", f"{path}/manifests/{MISSING}"),
        Step("delete-manifest-bad", "DELETE", f"{path}/manifests/sha256:abc"),
        Step("delete-manifest-nowhere", "DELETE", f"/v2/no/where/manifests/{MISSING}"),
        Step("delete-blob", "DELETE", f"{path}/blobs/{SHA}"),
        get("delete-blob-get", f"{path}/blobs/{SHA}"),
        head("delete-blob-head", f"{path}/blobs/{SHA}"),
        Step("delete-blob-again", "DELETE", f"{path}/blobs/{SHA}"),
        head("delete-blob-elsewhere", f"/v2/differ/mounted/blobs/{SHA}"),
        Step("delete-blob-unknown", "DELETE", f"{path}/blobs/{MISSING}"),
        Step("delete-blob-bad", "DELETE", f"{path}/blobs/sha256:abc"),
        get("delete-tags-left", f"{path}/tags/list"),
        *put_blob("again", REPOSITORY, BLOB),
        get("again-get", f"{path}/blobs/{SHA}"),
    ]


def refusals() -> list[Step]:
    """What a registry that may not do something says."""
    path = f"/v2/{REPOSITORY}"
    return [
        Step("refused-post", "POST", f"{path}/blobs/uploads/", keep="upload"),
        Step("refused-manifest", "DELETE", f"{path}/manifests/{MISSING}"),
        Step("refused-tag", "DELETE", f"{path}/manifests/latest"),
        Step("refused-blob", "DELETE", f"{path}/blobs/{MISSING}"),
        put_manifest("refused-put", REPOSITORY, "latest", b"{}", OCI.manifest),
        get("refused-get", f"{path}/manifests/latest"),
        Step("refused-options", "OPTIONS", f"{path}/manifests/latest"),
    ]


def corpora() -> dict[str, Corpus]:
    """Return every corpus by name."""
    standard = [
        *base(),
        *names(),
        *uploads(),
        *mounts(),
        *manifests(),
        *blobs(),
        *tags(),
        *catalog(),
        *referrers(),
        *deletes(),
    ]
    return {
        "standard": Corpus(
            {"storage": {"cache": {"blobdescriptor": "inmemory"}}}, standard
        ),
        "broken": Corpus({}, broken_manifests()),
        "delete-off": Corpus({"storage": {"delete": {"enabled": False}}}, refusals()),
        "read-only": Corpus(
            {"storage": {"maintenance": {"readonly": {"enabled": True}}}}, refusals()
        ),
        "headers": Corpus(
            {"http": {"headers": {"X-Content-Type-Options": ["nosniff"]}}},
            [*base()[:8], *refusals()],
        ),
    }
