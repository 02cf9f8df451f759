"""The state on disk, in distribution's form, whatever is found in it."""

from __future__ import annotations

import json
import random
from datetime import UTC
from datetime import datetime

import pytest
from cached import DAY
from cached import Now
from cached import contents
from flaskreg_proxy.scheduling import Limits
from flaskreg_proxy.scheduling import Pace
from flaskreg_proxy.scheduling.statefile import StateFile
from flaskreg_proxy.scheduling.table import Entry
from flaskreg_proxy.scheduling.table import Key
from flaskreg_proxy.scheduling.table import Table
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from flaskreg.defaults.inmemory import InMemoryDriver
from flaskreg.digest import Digest


WEEK = Limits(ttl=7 * DAY)
QUIET = Pace(beat=1.0, expiry=1e6, save=60.0)
STATE = "/scheduler-state.json"

modest = settings(max_examples=100, deadline=None)

digests = st.integers(0, 7).map(lambda number: Digest.of(str(number).encode()))
keys = st.builds(Key, st.sampled_from(["a", "library/b", "ghcr.io/c/d"]), digests)
times = st.floats(-1e6, 5000, allow_nan=False).map(lambda value: round(value, 3))
entries = st.builds(
    Entry, st.sampled_from(["blob", "manifest"]), st.integers(-1, 1 << 50), times
)
accounts = st.lists(st.tuples(keys, entries), max_size=30)


def merged(pieces):
    """Return a table into which pieces were merged."""
    table = Table()
    for piece in pieces:
        for key, entry in piece:
            table.merge(key, entry)
    return table


def facts(table):
    """Return all that a table says, whatever the order of equal ages."""
    return dict(table.items()), table.size


@modest
@given(st.lists(accounts, max_size=5), st.randoms(use_true_random=False))
def test_merging_knows_no_order(pieces, chance):
    """Pieces may come in any order, be cut anywhere, and come twice."""
    whole = [item for piece in pieces for item in piece]
    expected = facts(merged([whole]))
    again = whole + chance.sample(whole, chance.randint(0, len(whole)))
    chance.shuffle(again)
    assert facts(merged([again])) == expected


@modest
@given(accounts)
def test_a_table_adds_up(account):
    """Bytes are those of distinct content, and all go with the last entry."""
    table = merged([account])
    latest = dict(table.items())
    sizes = {}
    for key, entry in account:
        sizes[key.digest] = max(sizes.get(key.digest, 0), entry.size)
    assert table.size == sum(sizes.values())
    assert dict(table.iter_contents()) == sizes
    for key in latest:
        assert key.repository in table.repositories(key.digest)
        uses = [entry.used for other, entry in account if other == key]
        assert latest[key].used == max(uses)
    for key in random.Random(0).sample(list(latest), len(latest)):
        table.discard(key)
        table.discard(key)
    assert (len(table), table.size, list(table.iter_contents())) == (0, 0, [])


@modest
@given(accounts)
def test_the_oldest_come_first(account):
    """When they are merged in the order of their use, as the holder does."""
    table = merged([sorted(account, key=lambda item: item[1].used)])
    used = [entry.used for _, entry in table.items()]
    assert used == sorted(used)
    last = [
        max(table.get(Key(name, digest)).used for name in table.repositories(digest))
        for digest, _ in table.iter_contents()
    ]
    assert last == sorted(last)
    again = merged([account]).sorted()
    assert [entry.used for _, entry in again.items()] == used
    assert again.size == table.size


@modest
@given(accounts)
def test_a_state_comes_back(account):
    """All of it, and distribution's fields are what distribution writes."""
    driver, clock = InMemoryDriver(), Now()
    state = StateFile(driver, clock, 7 * DAY)
    table = merged([account])
    state.write(table.items())
    found = dict(StateFile(driver, clock, 7 * DAY).read())
    assert found.keys() == dict(table.items()).keys()
    for key, entry in table.items():
        assert (found[key].kind, found[key].size) == (entry.kind, entry.size)
        assert found[key].used == pytest.approx(entry.used, abs=1e-3)
    for name, value in json.loads(driver.get_content(STATE)).items():
        assert value["Key"] == name
        assert value["EntryType"] in (0, 1)
        assert datetime.fromisoformat(value["ExpiryData"]).tzinfo == UTC


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("2027-01-15T08:00:00Z", 1_800_000_000),
        ("2027-01-15T08:00:00.123456789Z", 1_800_000_000.123456),
        ("2027-01-15T09:30:00.5+01:30", 1_800_000_000.5),
        ("2027-01-14T20:00:00-12:00", 1_800_000_000),
    ],
)
def test_distributions_times(written, seconds):
    """Go writes nanoseconds, without zeros at the end, and the zone of the machine."""
    driver, clock = InMemoryDriver(), Now(wall=1_800_000_000 - DAY)
    digest = Digest.of(b"one")
    name = f"library/a@{digest}"
    value = {"Key": name, "ExpiryData": written, "EntryType": 1}
    driver.put_content(STATE, json.dumps({name: value}).encode())
    ((key, entry),) = StateFile(driver, clock, 7 * DAY).read()
    assert key == Key("library/a", digest)
    assert entry.kind == "manifest"
    expiry = entry.used + 7 * DAY + clock.ahead
    assert expiry == pytest.approx(seconds, abs=1e-3)


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b"7", b'"x"', b"\xff\xfe", b'{"a":' * 5000, b"\0" * 4096],
)
def test_a_damaged_state_is_put_aside(make_cached, driver, damage, caplog):
    """With a warning, and the content that is there gets entries again."""
    driver.put_content(STATE, damage)
    cached = make_cached(WEEK)
    digest = cached.fill("a", b"one")
    cached.ticks(1)
    cached.scheduler.close()
    (aside,) = [name for name in driver.list("/") if ".damaged-" in name]
    assert driver.get_content(f"/{aside}") == damage
    assert "cannot be read" in caplog.text
    assert aside in caplog.text
    assert list(json.loads(cached.state())) == [f"a@{digest}"]


@pytest.mark.parametrize(
    "bad",
    [
        None,
        7,
        {},
        {"Key": "library/a", "ExpiryData": "2027-01-15T08:00:00Z", "EntryType": 0},
        {"Key": "A@{digest}", "ExpiryData": "2027-01-15T08:00:00Z", "EntryType": 0},
        {"Key": "../a@{digest}", "ExpiryData": "2027-01-15T08:00:00Z"},
        {"Key": "a@sha256:12", "ExpiryData": "2027-01-15T08:00:00Z", "EntryType": 0},
        {"Key": "a@{digest}", "ExpiryData": "tomorrow", "EntryType": 0},
        {"Key": "a@{digest}", "ExpiryData": "2027-01-15T08:00:00", "EntryType": 0},
        {"Key": "a@{digest}", "EntryType": 0},
        {"Key": "a@{digest}", "ExpiryData": 12, "EntryType": 0},
        {"Key": "a@{digest}", "ExpiryData": "2027-01-15T08:00:00Z", "LastUse": []},
    ],
)
def test_entries_that_make_no_sense(bad, caplog):
    """They are left out with one warning; the others are read."""
    driver, digest = InMemoryDriver(), Digest.of(b"one")
    if isinstance(bad, dict) and "Key" in bad:
        bad = {**bad, "Key": bad["Key"].replace("{digest}", digest)}
    good = {
        "Key": f"a@{digest}",
        "ExpiryData": "2027-01-15T08:00:00Z",
        "EntryType": 9,
        "Size": "large",
    }
    driver.put_content(STATE, json.dumps({"good": good, "bad": bad}).encode())
    ((key, entry),) = StateFile(driver, Now(), 7 * DAY).read()
    assert (key, entry.kind, entry.size) == (Key("a", digest), "blob", -1)
    assert "1 entries make no sense" in caplog.text


def test_an_empty_state_is_one():
    """Go writes null for an empty map that was never made."""
    driver = InMemoryDriver()
    for content in (b"null", b"{}", b" {}\n"):
        driver.put_content(STATE, content)
        assert StateFile(driver, Now(), None).read() == []
        assert driver.list("/") == ["scheduler-state.json"]


def test_entries_are_kept_across_restarts(make_cached, clock):
    """Their times go on while nobody runs."""
    cached = make_cached(WEEK)
    early = cached.fill("a", b"early")
    clock.now += 3 * DAY
    late = cached.fill("a", b"late")
    cached.scheduler.close()
    clock.now += 3 * DAY
    second = make_cached(WEEK)
    second.ticks()
    assert second.stored(early)
    second.scheduler.close()
    clock.now += 2 * DAY
    third = make_cached(WEEK)
    third.ticks()
    assert not third.stored(early)
    assert third.stored(late)


def test_what_distribution_wrote_is_taken_over(make_cached, clock, driver):
    """Sizes are looked for; what it renewed is as new as it says."""
    cached = make_cached(WEEK)
    digests = [cached.fill("a", content) for content in contents(3)]
    cached.scheduler.close()
    state = json.loads(cached.state())
    for number, digest in enumerate(digests):
        value = state[f"a@{digest}"]
        del value["Size"], value["LastUse"]
        expiry = datetime.fromtimestamp(clock.wall() + (number + 1) * DAY)
        value["ExpiryData"] = expiry.astimezone().isoformat()
    driver.put_content(STATE, json.dumps(state).encode())
    other = make_cached(WEEK)
    other.ticks()
    assert other.scheduler._here()._holder.table.size == 3000
    for number in range(3):
        clock.now += DAY + 10
        other.ticks()
        assert [other.stored(digest) for digest in digests] == [
            each > number for each in range(3)
        ]


def test_a_shorter_lifetime_holds_at_once(make_cached, clock):
    """What was used longer ago than the new lifetime goes."""
    cached = make_cached(WEEK)
    digest = cached.fill("a", b"one")
    cached.scheduler.close()
    clock.now += 2 * DAY
    other = make_cached(Limits(ttl=DAY))
    other.ticks()
    assert not other.stored(digest)


def test_a_state_that_somebody_else_writes_meanwhile_is_merged(
    make_cached, clock, driver, caplog
):
    """A holder that was thought dead, or distribution: neither's entries are lost."""
    cached = make_cached(WEEK)
    one, two = (cached.fill("a", content) for content in contents(2))
    cached.ticks(1)
    clock.now += 1
    cached.ticks(1)
    state = json.loads(cached.state())
    stale = {f"a@{one}": state[f"a@{one}"], "x@y": {"Key": "x@y"}}
    driver.put_content(STATE, json.dumps(stale).encode())
    cached.use("a", two)
    cached.scheduler.close()
    assert json.loads(cached.state()).keys() == {f"a@{one}", f"a@{two}"}
    assert "somebody else has written" in caplog.text


def test_a_hundred_thousand_entries_cost_few_writes(make_cached, clock, monkeypatch):
    """A use is no write, and neither is a look of the scheduler without news."""
    cached = make_cached(WEEK, pace=QUIET)
    digests = [Digest.of(str(number).encode()) for number in range(100_000)]
    monkeypatch.setattr(
        "flaskreg_proxy.scheduling.survey.Survey.find",
        lambda _, key, kind: (key, len(kind)),
    )
    written = []
    put = cached.driver.put_content

    def count(path, content, *, durable=True):
        written.append(path)
        put(path, content, durable=durable)

    monkeypatch.setattr(cached.driver, "put_content", count)
    cached.ticks(1)
    written.clear()
    for _ in range(2):
        for digest in digests:
            cached.scheduler.touch("a", "blob", digest, 4)
    assert written == []
    cached.ticks(1)
    pieces = [path for path in written if "journal" in path]
    assert len(pieces) == 5
    assert len(written) - len(pieces) <= 1, "a sign of life"
    written.clear()
    cached.ticks(100)
    assert written == []
    assert cached.scheduler._here()._holder.table.size == 400_000
    clock.now += QUIET.save + 1
    cached.ticks(5)
    assert written.count(STATE) == 1
    assert len(cached.state()) > 20_000_000
    assert not [name for name in cached.driver.walk("/") if "journal" in name.path]
