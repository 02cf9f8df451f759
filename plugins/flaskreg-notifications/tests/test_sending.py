"""Events are not lost, keep their order, and wait for nobody else's endpoint."""

from __future__ import annotations

import json
import socket
import sqlite3
import threading

import flaskreg_notifications
import pytest
from click.testing import CliRunner
from flaskreg_notifications import sender
from flaskreg_notifications.commands import events
from flaskreg_notifications.meter import OutboxMeter
from flaskreg_notifications.outbox import Entry
from flaskreg_notifications.outbox import Outbox
from receiver import eventually
from test_events import push_blob
from werkzeug.test import Client

from flaskreg.config import ConfigError
from flaskreg.digest import Digest
from flaskreg.testing import PluginTests


def folder(tmp_path):
    """Return where the outbox of an application is."""
    return tmp_path / "root" / "flaskreg" / "outbox"


def pushes(client, count, names=("a", "b", "c")):
    """Push blobs to repositories in turn."""
    for at in range(count):
        push_blob(client, f"content {at}".encode(), names[at % len(names)])


def by_repository(taken):
    """Return the digests that were told of each repository, in their order."""
    found = {}
    for event in taken:
        found.setdefault(event["target"]["repository"], []).append(
            event["target"]["digest"]
        )
    return found


def test_a_receiver_that_fails_half_the_time_gets_everything_in_order(
    make_app, make_receiver
):
    """Each event once or more, by one id, and in the order of its repository."""
    lock, requests = threading.Lock(), []

    def flaky(event, _times):
        with lock:
            requests.append(event["id"])
            return 500 if len(requests) % 2 else 200

    receiver = make_receiver(flaky)
    client = Client(make_app({"name": "a", "url": receiver.url}))
    pushes(client, 60)
    receiver.wait(60)
    assert len(requests) > 60
    found = by_repository(receiver.taken)
    for at, name in enumerate(("a", "b", "c")):
        expected = [Digest.of(f"content {n}".encode()) for n in range(at, 60, 3)]
        assert found[name] == expected


def test_a_dead_endpoint_delays_nobody(make_app, make_receiver, tmp_path):
    """Neither another endpoint nor a request; its events wait."""
    receiver = make_receiver()
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        dead = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        app = make_app(
            {"name": "dead", "url": dead, "timeout": "30s"},
            {"name": "gone", "url": "http://127.0.0.1:1/"},
            {"name": "good", "url": receiver.url},
        )
        pushes(Client(app), 20)
        receiver.wait(20)
        outbox = Outbox(folder(tmp_path))
        assert outbox.pending("dead") == 20
        assert outbox.pending("gone") == 20
        eventually(lambda: outbox.pending("good") == 0, "all of it is forgotten")
        outbox.close()


def test_one_bad_event_holds_back_its_own_repository_alone(make_app, make_receiver):
    refused = []

    def picky(event, _times):
        bad = event["target"]["repository"] == "bad"
        if bad:
            refused.append(event["id"])
        return 400 if bad else 200

    receiver = make_receiver(picky)
    client = Client(make_app({"name": "a", "url": receiver.url, "threshold": 1000}))
    pushes(client, 30, ("bad", "good"))
    receiver.wait(15)
    eventually(lambda: len(refused) > 2, "it is tried again")
    assert len(set(refused)) == 1
    assert set(by_repository(receiver.taken)) == {"good"}


def test_an_endpoint_that_comes_back(make_app, make_receiver):
    """After more failures than its threshold it is left alone, and found again."""
    up = threading.Event()
    receiver = make_receiver(lambda _event, _times: 204 if up.is_set() else 503)
    client = Client(make_app({"name": "a", "url": receiver.url, "threshold": 2}))
    pushes(client, 6)
    eventually(lambda: len(receiver.requests) >= 4, "it was tried")
    assert receiver.taken == []
    up.set()
    receiver.wait(6)


def test_what_was_not_sent_is_sent_after_a_restart(make_app, make_receiver, tmp_path):
    """By the id that it had."""
    first = make_app({"name": "a", "url": "http://127.0.0.1:1/"})
    pushes(Client(first), 5)
    first.stop()
    outbox = Outbox(folder(tmp_path))
    ids = [event.id for event in outbox.iter_events("waiting")]
    outbox.close()
    assert len(ids) == 5
    receiver = make_receiver()
    make_app({"name": "a", "url": receiver.url})
    receiver.wait(5)
    assert receiver.ids() == ids


def test_old_events_become_dead_letters_and_are_replayed(
    make_app, make_receiver, tmp_path, monkeypatch
):
    monkeypatch.setattr(sender, "SWEEP", 0.1)
    up = threading.Event()
    receiver = make_receiver(lambda _event, _times: 200 if up.is_set() else 500)
    config = tmp_path / "config.yml"
    endpoint = {"name": "a", "url": receiver.url}
    config.write_text(
        json.dumps(
            {
                "version": "0.1",
                "storage": {"filesystem": {"rootdirectory": str(tmp_path / "root")}},
                "notifications": {"endpoints": [endpoint]},
            }
        )
    )

    def run(*arguments):
        result = CliRunner().invoke(events, [*arguments, str(config)])
        assert result.exit_code == 0, result.output
        return result.output

    app = make_app(endpoint, outbox={"maxage": "100ms"}, start=False)
    pushes(Client(app), 4)
    eventually(
        lambda: len(run("list", "--dead", "--json").splitlines()) == 4, "four letters"
    )
    app.stop()
    lines = [json.loads(each) for each in run("list", "--dead", "--json").splitlines()]
    assert all(each["endpoint"] == "a" for each in lines)
    assert run("list", "--json") == ""
    assert "push" in run("list", "--dead")
    chosen = lines[2]["event"]["id"]
    assert run("replay", "--id", chosen) == "1 events wait again\n"
    assert run("replay", "--endpoint", "other") == "0 events wait again\n"
    assert run("replay") == "3 events wait again\n"
    up.set()
    make_app(endpoint)
    receiver.wait(4)
    assert receiver.ids()[0] == chosen
    assert "a" in run("stats")


def test_an_event_can_be_buried(make_app, tmp_path):
    app = make_app({"name": "a", "url": "http://127.0.0.1:1/"}, start=False)
    pushes(Client(app), 2)
    app.stop()
    outbox = Outbox(folder(tmp_path))
    first, second = [event.id for event in outbox.iter_events("waiting")]
    assert outbox.bury(first) == 1
    assert [event.id for event in outbox.iter_events("waiting")] == [second]
    assert [event.id for event in outbox.iter_events("dead")] == [first]
    outbox.close()


def test_too_many_events_push_out_the_oldest(tmp_path):
    """Of those that wait, and of the dead letters."""
    outbox = Outbox(tmp_path)
    outbox.put(Entry("a", "r", str(at), 1e12, "{}") for at in range(25))
    outbox.put([Entry("b", "r", "other", 1e12, "{}")])
    assert outbox.bury_old(60, "a", 10) == 15
    assert [event.id for event in outbox.iter_events("waiting", "a")] == [
        str(at) for at in range(15, 25)
    ]
    assert [event.id for event in outbox.iter_events("dead")] == [
        str(at) for at in range(5, 15)
    ]
    assert outbox.pending("b") == 1
    outbox.close()


def test_a_push_whose_event_cannot_be_kept_fails(make_app, receiver, monkeypatch):
    """The client pushes again; pulls and deletes go on."""
    app = make_app({"name": "a", "url": receiver.url})
    client = Client(app)
    digest = push_blob(client)

    def full(_self, _entries):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Outbox, "put", full)
    response = client.post(f"/v2/a/blobs/uploads/?digest={digest}", data=b"content")
    assert response.status_code == 507
    assert response.json["errors"][0]["code"] == "UNAVAILABLE"
    with client.get(f"/v2/team/app/blobs/{digest}") as pulled:
        assert pulled.data == b"content"
    assert client.delete(f"/v2/team/app/blobs/{digest}").status_code == 202


def test_the_numbers_are_those_of_distribution(make_app, make_receiver, tmp_path):
    receiver = make_receiver(lambda _event, times: 202 if times > 1 else 500)
    app = make_app({"name": "a", "url": receiver.url})
    pushes(Client(app), 3)
    receiver.wait(3)
    meter = OutboxMeter(folder(tmp_path), ["a"])

    def numbers():
        return {
            (each.name, each.labels.get("type") or each.labels.get("code")): each.value
            for each in meter()
        }

    total = "registry_notifications_events_total"
    eventually(lambda: numbers()[total, "Successes"] == 3, "they are counted")
    found = numbers()
    assert found[total, "Events"] == 3
    assert found[total, "Failures"] == 3
    assert found["registry_notifications_status_total", "202 Accepted"] == 3
    assert found["registry_notifications_pending_total", None] == 0


@pytest.mark.parametrize(
    ("endpoints", "named"),
    [
        ([{"name": "a", "url": "ftp://x"}], r"endpoints\[0\]\.url"),
        ([{"name": "a"}], r"endpoints\[0\]\.url"),
        ([{"url": "http://a/"}, {"url": "http://a/b"}], "name of two endpoints"),
    ],
)
def test_an_endpoint_that_cannot_work_is_an_error(make_app, endpoints, named):
    with pytest.raises(ConfigError, match=named):
        make_app(*endpoints)


def test_nobody_is_told_when_all_endpoints_are_disabled(make_app, tmp_path):
    app = make_app({"name": "a", "url": "http://x/", "disabled": True})
    assert app.site.sinks == []
    push_blob(Client(app))
    assert not folder(tmp_path).exists()


class TestPlugin(PluginTests):
    """It is packaged as a plugin is."""

    plugin_name = "notifications"
    distribution = "flaskreg-notifications"

    def test_it_is_this_module(self, plugin):
        assert plugin is flaskreg_notifications
