"""Every path of the layout on disk, which is CNCF distribution's.

::

    /docker/registry/v2/
      blobs/<algorithm>/<first two of hex>/<hex>/data
      repositories/<name>/
        _layers/<algorithm>/<hex>/link
        _manifests/
          revisions/<algorithm>/<hex>/
            link
            signatures/<algorithm>/<hex>/link
          tags/<tag>/
            current/link
            index/<algorithm>/<hex>/link
        _uploads/<session id>/
          data
          startedat
          owner
          hashstates/<algorithm>/<offset>
        _referrers/<algorithm>/<hex>/<algorithm>-<hex>

A link holds a digest without a newline. Content is kept under its sha256 digest; a
link under another algorithm holds that sha256 digest too. ``_referrers`` and ``owner``
are ours: the walks of distribution leave out what begins with ``_``, and it deletes an
upload with all that is in it.
"""

from __future__ import annotations

from flaskreg.digest import Digest


ROOT = "/docker/registry/v2"
REPOSITORIES = f"{ROOT}/repositories"
BLOBS = f"{ROOT}/blobs"


def _encoded(digest: Digest) -> str:
    return digest.replace(":", "/", 1)


def blob_data(digest: Digest) -> str:
    """Return the path of the content of a blob."""
    algorithm, _, encoded = digest.partition(":")
    return f"{ROOT}/blobs/{algorithm}/{encoded[:2]}/{encoded}/data"


def blob(digest: Digest) -> str:
    """Return the directory of a blob."""
    return blob_data(digest).removesuffix("/data")


def repository(name: str) -> str:
    """Return the directory of a repository."""
    return f"{REPOSITORIES}/{name}"


def manifests(name: str) -> str:
    """Return the directory whose existence makes a repository part of the catalog."""
    return f"{REPOSITORIES}/{name}/_manifests"


def layer(name: str, digest: Digest) -> str:
    """Return the directory that makes a blob a member of a repository."""
    return f"{REPOSITORIES}/{name}/_layers/{_encoded(digest)}"


def layers(name: str) -> str:
    """Return the directory of all blobs of a repository, one algorithm each below."""
    return f"{REPOSITORIES}/{name}/_layers"


def revisions(name: str) -> str:
    """Return the directory of all manifests of a repository, likewise."""
    return f"{REPOSITORIES}/{name}/_manifests/revisions"


def revision(name: str, digest: Digest) -> str:
    """Return the directory that makes a manifest a member of a repository."""
    return f"{REPOSITORIES}/{name}/_manifests/revisions/{_encoded(digest)}"


def signatures(name: str, digest: Digest) -> str:
    """Return the directory of a revision's signatures, one algorithm each below it."""
    return f"{revision(name, digest)}/signatures"


def signature(name: str, digest: Digest, signature: Digest) -> str:
    """Return the directory that makes a blob a signature of a revision."""
    return f"{signatures(name, digest)}/{_encoded(signature)}"


def tags(name: str) -> str:
    """Return the directory of all tags."""
    return f"{REPOSITORIES}/{name}/_manifests/tags"


def tag(name: str, tag: str) -> str:
    """Return the directory of a tag."""
    return f"{tags(name)}/{tag}"


def tag_current(name: str, tag: str) -> str:
    """Return the directory of what a tag names now."""
    return f"{tags(name)}/{tag}/current"


def tag_index(name: str, tag: str, digest: Digest) -> str:
    """Return the directory of one manifest that a tag has ever named."""
    return f"{tags(name)}/{tag}/index/{_encoded(digest)}"


def link(directory: str) -> str:
    """Return the link in *directory*."""
    return f"{directory}/link"


def uploads(name: str) -> str:
    """Return the directory of all upload sessions."""
    return f"{REPOSITORIES}/{name}/_uploads"


def upload(name: str, session_id: str) -> str:
    """Return the directory of an upload session."""
    return f"{uploads(name)}/{session_id}"


def upload_data(name: str, session_id: str) -> str:
    """Return the path of the bytes that an upload session has received."""
    return f"{upload(name, session_id)}/data"


def upload_started(name: str, session_id: str) -> str:
    """Return the path of the time at which an upload session was started."""
    return f"{upload(name, session_id)}/startedat"


def upload_owner(name: str, session_id: str) -> str:
    """Return the path of the name of the principal that started an upload session."""
    return f"{upload(name, session_id)}/owner"


def hash_states(name: str, session_id: str) -> str:
    """Return the directory of the digest states of an upload session."""
    return f"{upload(name, session_id)}/hashstates"


def hash_state(name: str, session_id: str, algorithm: str, offset: int) -> str:
    """Return the path of the state of a running digest after *offset* bytes."""
    return f"{hash_states(name, session_id)}/{algorithm}/{offset}"


def all_referrers(name: str) -> str:
    """Return the directory of all subjects, one algorithm each below it."""
    return f"{REPOSITORIES}/{name}/_referrers"


def referrers(name: str, subject: Digest) -> str:
    """Return the directory of the referrers of a manifest."""
    return f"{REPOSITORIES}/{name}/_referrers/{_encoded(subject)}"


def referrer(name: str, subject: Digest, digest: Digest) -> str:
    """Return the path of the descriptor of one referrer of a manifest."""
    return f"{referrers(name, subject)}/{digest.replace(':', '-', 1)}"
