"""The middlewares ``naming`` and ``tagging``, over HTTP."""

from __future__ import annotations

import json

import pytest
from flaskreg_example.middleware import make_naming
from flaskreg_example.middleware import make_tagging
from werkzeug.test import Client

from flaskreg import create_app
from flaskreg.config import ConfigError
from flaskreg.config import Settings


MANIFEST = "application/vnd.oci.image.index.v1+json"
INDEX = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "manifests": []})


def client_of(**middleware):
    """Return a client of a registry in memory with middleware."""
    settings = {"storage": {"driver": "inmemory"}, "middleware": middleware}
    return Client(create_app(Settings.model_validate(settings)))


def entry(name, pattern):
    """Return an entry of a list."""
    return {"name": name, "options": {"pattern": pattern}}


def push(client, name, tag):
    """Push an empty index; return the answer."""
    url = f"/v2/{name}/manifests/{tag}"
    return client.put(url, data=INDEX, content_type=MANIFEST)


def test_names_that_do_not_follow_the_pattern():
    """They are refused, for a push and for a pull, and are not in the catalog."""
    client = client_of(registry=[entry("naming", "[a-z]+/[a-z]+")])
    assert push(client, "team/app", "v1").status_code == 201
    for answer in (push(client, "app", "v1"), client.get("/v2/app/tags/list")):
        assert answer.status_code == 400
        (error,) = answer.json["errors"]
        assert error["code"] == "NAME_INVALID"
        assert error["detail"]["name"] == "app"
    assert client.get("/v2/_catalog").json == {"repositories": ["team/app"]}


def test_tags_that_do_not_follow_the_pattern():
    """They are refused, what has them already serves, and digests are no tags."""
    client = client_of(repository=[entry("tagging", "v[0-9]+")])
    done = push(client, "app", "v1")
    digest = done.headers["Docker-Content-Digest"]
    refused = push(client, "app", "new")
    assert refused.status_code == 403
    assert refused.json["errors"][0]["detail"]["tag"] == "new"
    assert push(client, "app", digest).status_code == 201
    assert client.get("/v2/app/manifests/v1").status_code == 200
    assert client.get("/v2/app/tags/list").json["tags"] == ["v1"]


def test_entries_that_are_off():
    """They refuse nothing."""
    off = {"disabled": True}
    client = client_of(
        registry=[entry("naming", "a") | off], repository=[entry("tagging", "a") | off]
    )
    assert push(client, "team/app", "new").status_code == 201


@pytest.mark.parametrize("options", [{}, {"pattern": "("}, {"pattern": 1}, {"p": "a"}])
@pytest.mark.parametrize("kind", ["registry", "repository"])
def test_a_wrong_option_is_told_at_the_start(kind, options):
    """The error names it where it stands in the configuration."""
    name = {"registry": "naming", "repository": "tagging"}[kind]
    with pytest.raises(ConfigError, match=rf"middleware.{kind}\[{name}\].options.p"):
        client_of(**{kind: [{"name": name, "options": options}]})


def test_what_is_registered_reads_options_alone():
    """What wraps a repository is made before there is one."""
    assert callable(make_tagging({"pattern": "a"}))
    assert make_naming(None, {"pattern": "a"}).pattern.pattern == "a"
