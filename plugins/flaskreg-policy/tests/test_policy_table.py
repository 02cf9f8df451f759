"""Method x endpoint x grant: every cell, over HTTP, from the table of the routes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from policy_site import CONFIG
from policy_site import MANIFEST_TYPE
from policy_site import Site
from policy_site import allow
from policy_site import manifest

from flaskreg.digest import Digest
from flaskreg.routes.authorize import ACTIONS
from flaskreg.routes.endpoints import ENDPOINTS


NAME = "team/app"
DIGEST = str(Digest.of(CONFIG))
MANIFEST = manifest()
MANIFEST_DIGEST = str(Digest.of(MANIFEST))

#: what each user is allowed on the repository, or on another one.
GRANTS = {
    "none": (),
    "pull": ("pull",),
    "push": ("push",),
    "delete": ("delete",),
    "pullpush": ("pull", "push"),
    "everything": ("pull", "push", "delete", "overwrite"),
}
RULES = [
    *(allow(NAME, user, *actions) for user, actions in GRANTS.items() if actions),
    allow("other/**", "other"),
    allow("**", "seeder"),
]
USERS = (*GRANTS, "other", "")

CELLS = [
    (endpoint, method, user, scheme)
    for endpoint, methods in ENDPOINTS.items()
    for method in methods
    for user in USERS
    for scheme in ("basic", "bearer")
]

#: what the endpoints answer to who may, when all that they are about is there.
GOOD = {
    ("base", "GET"): 200,
    ("base", "HEAD"): 200,
    ("catalog", "GET"): 200,
    ("catalog", "HEAD"): 200,
    ("tags", "GET"): 200,
    ("tags", "HEAD"): 200,
    ("referrers", "GET"): 200,
    ("referrers", "HEAD"): 200,
    ("manifest", "GET"): 200,
    ("manifest", "HEAD"): 200,
    ("manifest", "PUT"): 201,
    ("manifest", "DELETE"): 202,
    ("blob", "GET"): 200,
    ("blob", "HEAD"): 200,
    ("blob", "DELETE"): 202,
    ("uploads", "POST"): 202,
    ("upload", "GET"): 204,
    ("upload", "HEAD"): 204,
    ("upload", "PATCH"): 202,
    ("upload", "PUT"): 201,
    ("upload", "DELETE"): 204,
}


@pytest.fixture
def site(tmp_path):
    """Return a registry that holds an image."""
    site = Site(tmp_path, rules=RULES)
    headers = site.login("seeder")
    pushed = site.call("POST", f"{NAME}/blobs/uploads/?digest={DIGEST}", headers,
                       data=CONFIG)  # fmt: skip
    assert pushed.status_code == 201
    put(site, headers, NAME, "latest", MANIFEST)
    return site


def put(site, headers, name, reference, content):
    """Push a manifest."""
    answer = site.call("PUT", f"{name}/manifests/{reference}", headers, data=content,
                       content_type=MANIFEST_TYPE)  # fmt: skip
    assert answer.status_code == 201, answer.text


def path_of(endpoint, method, session):
    """Return the path of an endpoint, below ``/v2/``."""
    if endpoint == "upload":
        location = session.headers["Location"].partition("/v2/")[2]
        return f"{location}&digest={DIGEST}" if method == "PUT" else location
    return {
        "base": "",
        "catalog": "_catalog",
        "tags": f"{NAME}/tags/list",
        "referrers": f"{NAME}/referrers/{MANIFEST_DIGEST}",
        "manifest": f"{NAME}/manifests/{'new' if method == 'PUT' else MANIFEST_DIGEST}",
        "blob": f"{NAME}/blobs/{DIGEST}",
        "uploads": f"{NAME}/blobs/uploads/",
    }[endpoint]


def body_of(endpoint, method):
    """Return the body of a request, and its type."""
    if (endpoint, method) == ("manifest", "PUT"):
        return {"data": MANIFEST, "content_type": MANIFEST_TYPE}
    if endpoint == "upload" and method in ("PATCH", "PUT"):
        return {"data": CONFIG, "content_type": "application/octet-stream"}
    return {}


def credentials(site, user, scheme):
    """Return headers: an API key, or a token for all that the endpoint gives."""
    headers = site.login(user)
    if scheme == "basic":
        return headers
    scopes = [f"repository:{NAME}:pull,push,delete", "registry:catalog:*"]
    answer = site.token(headers, *scopes)
    assert answer.status_code == 200
    return {"Authorization": f"Bearer {answer.json['token']}"}


def expected(endpoint, method, user, scheme):
    """Return the status: what the policy says, worked out once more."""
    good = GOOD[endpoint, method]
    if endpoint in ("base", "catalog"):
        known = user or (scheme == "bearer" and endpoint == "base")
        return good if known else 401
    granted = GRANTS.get(user, ())
    if set(ACTIONS[method]) <= set(granted):
        return good
    return 403 if user and scheme == "basic" else 401


@pytest.mark.parametrize(("endpoint", "method", "user", "scheme"), CELLS)
def test_every_cell(site, endpoint, method, user, scheme):
    """Who has the right gets the answer, and nobody else does."""
    headers = credentials(site, user, scheme)
    session = None
    if endpoint == "upload":
        # A session of the user's own; one who cannot push never has one, and is
        # shown that of another.
        session = site.call("POST", f"{NAME}/blobs/uploads/", headers)
        if session.status_code != 202:
            owner = site.login("seeder")
            session = site.call("POST", f"{NAME}/blobs/uploads/", owner)
    path = path_of(endpoint, method, session)
    answer = site.call(method, path, headers, **body_of(endpoint, method))
    wanted = expected(endpoint, method, user, scheme)
    if endpoint == "upload" and wanted < 300 and "push" not in GRANTS[user]:
        wanted = 404
    assert answer.status_code == wanted, answer.text
    if wanted == 401 and method != "HEAD":
        assert answer.json["errors"][0]["code"] == "UNAUTHORIZED"
        assert answer.headers["WWW-Authenticate"].startswith("Bearer realm=")
    if wanted == 403 and method != "HEAD":
        assert answer.json["errors"][0]["code"] == "DENIED"


def test_the_table_is_whole():
    """Each method of each endpoint has its good answer in it."""
    assert GOOD.keys() == {(e, m) for e, methods in ENDPOINTS.items() for m in methods}


@pytest.mark.parametrize(
    ("user", "source", "status"),
    [
        ("pullpush", NAME, 201),
        ("other", NAME, 403),
        ("other", "other/source", 201),
        ("pullpush", "other/source", 403),
    ],
)
def test_a_mount_needs_a_pull_of_its_source(site, user, source, status):
    """Whoever may push here, and not pull there, gets nothing at all."""
    seeder = site.login("seeder")
    site.call("POST", f"other/source/blobs/uploads/?digest={DIGEST}", seeder,
              data=CONFIG)  # fmt: skip
    into = NAME if user == "pullpush" else "other/into"
    query = f"mount={DIGEST}&from={source}"
    headers = site.login(user)
    answer = site.call("POST", f"{into}/blobs/uploads/?{query}", headers)
    assert answer.status_code == status
    if status == 403:
        there = site.call("HEAD", f"other/into/blobs/{DIGEST}", seeder)
        assert there.status_code == 404


def test_a_mount_from_anywhere_is_no_way_around(tmp_path):
    """Without ``from``, only repositories that may be pulled are looked into."""
    site = Site(tmp_path, {"uploads": {"mountsearch": 100}}, rules=RULES)
    seeder = site.login("seeder")
    site.call("POST", f"secret/app/blobs/uploads/?digest={DIGEST}", seeder, data=CONFIG)
    mount = f"blobs/uploads/?mount={DIGEST}"
    assert site.call("POST", f"other/x/{mount}", site.login("other")).status_code == 202
    assert site.call("POST", f"other/x/{mount}", seeder).status_code == 201


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
@pytest.mark.parametrize("scheme", ["basic", "bearer"])
def test_a_session_belongs_to_its_principal(site, method, scheme):
    """For whoever else may push here, it is not there."""
    mine = credentials(site, "pullpush", scheme)
    session = site.call("POST", f"{NAME}/blobs/uploads/", mine)
    path = path_of("upload", method, session)
    body = body_of("upload", method)
    theirs = credentials(site, "everything", scheme)
    answer = site.call(method, path, theirs, **body)
    assert answer.status_code == 404
    assert answer.json["errors"][0]["code"] == "BLOB_UPLOAD_UNKNOWN"
    path = path_of("upload", "GET", session)
    assert site.call("GET", path, site.login("pullpush")).status_code == 204


@pytest.mark.parametrize("scheme", ["basic", "bearer"])
def test_overwrite_is_a_right_of_its_own(site, scheme):
    """Who may push makes tags; who may overwrite moves them. The same is no move."""
    other = manifest(note="other")
    path = f"{NAME}/manifests/latest"
    pusher = credentials(site, "pullpush", scheme)
    put(site, pusher, NAME, "fresh", MANIFEST)
    put(site, pusher, NAME, "latest", MANIFEST)
    answer = site.call("PUT", path, pusher, data=other, content_type=MANIFEST_TYPE)
    assert answer.status_code == 403
    assert site.call("GET", path, pusher).data == MANIFEST
    put(site, credentials(site, "everything", scheme), NAME, "latest", other)
    assert site.call("GET", path, pusher).data == other


def test_of_two_creators_one_makes_the_tag(site):
    """Without the right to overwrite, whoever is second is refused."""
    headers = site.login("pullpush")

    def create(note):
        content = manifest(note=note)
        answer = site.call("PUT", f"{NAME}/manifests/race", headers,
                           data=content, content_type=MANIFEST_TYPE)  # fmt: skip
        return answer.status_code

    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(create, "abcd"))
    assert sorted(statuses) == [201, 403, 403, 403]


def test_the_catalog_is_what_may_be_pulled(site):
    """Of each user, and of nobody when nobody in particular may pull something."""
    seeder = site.login("seeder")
    for name in ("other/a", "secret/b"):
        site.call("POST", f"{name}/blobs/uploads/?digest={DIGEST}", seeder, data=CONFIG)
        put(site, seeder, name, "latest", MANIFEST)
    for scheme in ("basic", "bearer"):
        for user, names in {
            "seeder": ["other/a", "secret/b", NAME],
            "other": ["other/a"],
            "pull": [NAME],
            "push": [],
            "none": [],
        }.items():
            headers = credentials(site, user, scheme)
            assert site.call("GET", "_catalog", headers).json["repositories"] == names
