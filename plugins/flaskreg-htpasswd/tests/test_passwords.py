"""Checks that are paid for once, changes that apply at once, and who has to wait."""

from __future__ import annotations

import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from flaskreg_htpasswd import passwords as module
from flaskreg_htpasswd.delays import FIRST
from flaskreg_htpasswd.delays import FREE
from flaskreg_htpasswd.delays import LONGEST
from flaskreg_htpasswd.delays import MEMORY
from flaskreg_htpasswd.delays import REMEMBERED
from flaskreg_htpasswd.delays import WAITING
from flaskreg_htpasswd.delays import Delays
from flaskreg_htpasswd.hashes import check_hash
from flaskreg_htpasswd.hashes import waste
from flaskreg_htpasswd.passwords import PasswordFile

from flaskreg.errors import TooManyRequests


class Clock:
    """A clock that goes when it is told to, or when somebody sleeps."""

    def __init__(self):
        self.now = 1000.0
        self.slept = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock():
    """Return a clock."""
    return Clock()


@pytest.fixture
def counted(monkeypatch):
    """Return what was asked of bcrypt: the costs, dummies as negative ones."""
    asked = []

    def check(password, stored):
        asked.append(int(stored[4:6]))
        return check_hash(password, stored)

    def dummy(password, cost):
        asked.append(-cost)
        waste(password, cost)

    monkeypatch.setattr(module, "check_hash", check)
    monkeypatch.setattr(module, "waste", dummy)
    return asked


@pytest.fixture
def make_passwords(make_file, clock):
    """Return a callable that makes a password file of users."""

    def make(more=b"", **users):
        delays = Delays(clock.sleep, clock)
        return PasswordFile(make_file(more, **users), delays, clock)

    return make


def test_a_thousand_checks_run_bcrypt_once(make_passwords, counted):
    """Also when they come in many threads at once."""
    passwords = make_passwords(alice="secret")
    with ThreadPoolExecutor(16) as pool:
        good = pool.map(lambda _: passwords.verify("alice", "secret"), range(1000))
    assert all(good)
    assert counted == [4]


def test_wrong_passwords_at_once_share_a_check(make_passwords, monkeypatch):
    """And each of them is refused."""
    passwords = make_passwords(alice="secret")
    begun, go_on = threading.Event(), threading.Event()
    asked = []

    def check(password, stored):
        del stored
        asked.append(password)
        begun.set()
        assert go_on.wait(10)
        return False

    monkeypatch.setattr(module, "check_hash", check)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(passwords.verify, "alice", "wrong")
        assert begun.wait(10)
        second = pool.submit(passwords.verify, "alice", "wrong")
        time.sleep(0.05)
        go_on.set()
        assert not first.result()
        assert not second.result()
    assert asked == [b"wrong"]


def test_a_check_that_breaks_lets_others_go_on(make_passwords, monkeypatch):
    """What is running is forgotten, so that the next one is a check of its own."""
    passwords = make_passwords(alice="secret")
    monkeypatch.setattr(module, "check_hash", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        passwords.verify("alice", "secret")
    monkeypatch.setattr(module, "check_hash", check_hash)
    assert passwords.verify("alice", "secret")


def test_a_good_password_is_forgotten(make_passwords, counted, clock):
    """After five minutes it is checked again."""
    passwords = make_passwords(alice="secret")
    assert passwords.verify("alice", "secret")
    clock.now += 299
    assert passwords.verify("alice", "secret")
    assert counted == [4]
    clock.now += 2
    assert passwords.verify("alice", "secret")
    assert counted == [4, 4]


def test_a_wrong_password_is_not_remembered(make_passwords, counted):
    """Each guess costs the guesser."""
    passwords = make_passwords(alice="secret")
    for _ in range(2):
        assert not passwords.verify("alice", "wrong")
    assert counted == [4, 4]


def test_what_is_remembered_is_bounded_and_tells_nothing(make_passwords, monkeypatch):
    """The digests are of a key that each object makes for itself."""
    monkeypatch.setattr(module, "check_hash", lambda *_: True)
    users = {f"user{number}": "secret" for number in range(module.REMEMBERED + 50)}
    passwords = make_passwords(**users)
    for user in users:
        assert passwords.verify(user, "secret")
    assert len(passwords._good) == module.REMEMBERED
    other = PasswordFile(passwords.file.path)
    one = passwords._digest("a", b"b", b"c")
    assert one != other._digest("a", b"b", b"c")
    assert one != passwords._digest("ab", b"", b"c")
    assert len(one) == 32


def test_a_change_applies_at_once(make_passwords, make_file, counted):
    """Another password, another user, and nobody any more."""
    passwords = make_passwords(alice="secret")
    assert passwords.verify("alice", "secret")
    make_file(alice="other", bob="secret")
    assert not passwords.verify("alice", "secret")
    assert passwords.verify("alice", "other")
    assert passwords.verify("bob", "secret")
    make_file(bob="secret")
    assert not passwords.verify("alice", "other")
    before = len(counted)
    assert passwords.verify("bob", "secret")
    assert len(counted) == before + 1, "what was remembered is dropped on change"


def test_a_change_in_the_same_instant(make_passwords, make_file):
    """A file with the same time, size and inode is looked into while it is fresh."""
    passwords = make_passwords(alice="secret")
    path = passwords.file.path
    before = os.stat(path)
    assert passwords.verify("alice", "secret")
    make_file(alice="other")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert os.stat(path).st_size == before.st_size
    assert not passwords.verify("alice", "secret")


@pytest.mark.parametrize("broken", [b"no colon here", None])
def test_a_bad_edit_keeps_what_was_there(make_passwords, make_file, caplog, broken):
    """With one line in the log, until the file is mended."""
    passwords = make_passwords(alice="secret")
    assert passwords.verify("alice", "secret")
    if broken is None:
        os.unlink(passwords.file.path)
    else:
        make_file(broken, bob="secret")
    for _ in range(3):
        assert passwords.verify("alice", "secret")
        assert not passwords.verify("bob", "secret")
    lines = [it.getMessage() for it in caplog.records if it.levelno == logging.ERROR]
    assert len(lines) == 1
    assert "what it said before still holds" in lines[0]
    assert "no colon here" not in lines[0]
    make_file(bob="secret")
    assert passwords.verify("bob", "secret")
    assert not passwords.verify("alice", "secret")


def test_without_a_file_there_are_no_users(tmp_path, make_file, caplog):
    """It is not made here; once it is there, it holds."""
    passwords = PasswordFile(str(tmp_path / "htpasswd"))
    for _ in range(2):
        assert not passwords.verify("docker", "docker")
    assert os.listdir(tmp_path) == []
    assert caplog.text.count("nobody can log in") == 1
    make_file(alice="secret")
    assert passwords.verify("alice", "secret")


def test_an_unknown_user_costs_the_same(make_passwords, counted, hashed):
    """A dummy of the usual cost is computed, also for a hash of another kind."""
    passwords = make_passwords(
        b"rare:" + hashed("x", 5) + b"\nold:{SHA}x", a="s", b="s"
    )
    for user in ("nobody", "old"):
        assert not passwords.verify(user, "s")
    assert counted == [-4, -4]


def test_an_unknown_user_takes_as_long(make_file, hashed):
    """Measured on the thread's own clock: the shortest of several."""
    passwords = PasswordFile(make_file(b"alice:" + hashed("secret", 8)))
    taken = {"alice": [], "nobody": []}
    for number in range(7):
        for user, times in taken.items():
            passwords._delays = Delays(lambda _: None)
            begun = time.thread_time()
            passwords.verify(user, f"wrong{number}")
            times.append(time.thread_time() - begun)
    assert 1 / 3 < min(taken["alice"]) / min(taken["nobody"]) < 3


def test_long_passwords_as_in_go(make_passwords):
    """What bcrypt does not look at is not looked at; it is no error either."""
    passwords = make_passwords(alice="p" * 72)
    assert passwords.verify("alice", "p" * 72 + "x")
    assert not passwords.verify("alice", "p" * 71)
    assert not passwords.verify("alice", "p" * 9000)
    assert not passwords.verify("alice", "a\0b")


def test_who_guesses_waits(make_passwords, clock):
    """Some failures are free; then each wait is longer, and never more than that."""
    passwords = make_passwords(alice="secret")
    for number in range(20):
        assert not passwords.verify("alice", f"wrong{number}")
    assert len(clock.slept) == 20 - FREE
    assert clock.slept[:3] == [FIRST, 2 * FIRST, 4 * FIRST]
    assert clock.slept == sorted(clock.slept)
    assert clock.slept[-1] == LONGEST


def test_a_remembered_password_never_waits(make_passwords, clock):
    """Nor does anybody else, unless they have the address of who guesses."""
    passwords = make_passwords(alice="secret", bob="secret")
    assert passwords.verify("alice", "secret", "192.0.2.1")
    for number in range(20):
        passwords.verify("alice", f"wrong{number}", "192.0.2.9")
    clock.slept.clear()
    assert passwords.verify("alice", "secret", "192.0.2.1")
    assert passwords.verify("alice", "secret", "192.0.2.9")
    assert passwords.verify("bob", "secret", "192.0.2.1")
    assert clock.slept == []


def test_an_address_that_guesses_users_waits(make_passwords, clock):
    """Whatever users it guesses, and from wherever in its network of IPv6."""
    passwords = make_passwords(bob="secret")
    for number in range(FREE + 2):
        passwords.verify(f"user{number}", "password", f"2001:db8::{number}")
    assert clock.slept == [FIRST, 2 * FIRST]
    passwords.verify("another", "password", "2001:db8:0:1::")
    assert len(clock.slept) == 2
    assert passwords.verify("bob", "secret", "2001:db8::ffff")
    assert len(clock.slept) == 3


def test_a_good_password_ends_the_waiting_of_its_user(clock):
    """That of the address goes by itself after a while."""
    delays = Delays(clock.sleep, clock)
    for _ in range(10):
        delays.failed("alice", "192.0.2.1")
    delays.succeeded("alice")
    assert delays.delay("alice", "") == 0
    assert delays.delay("alice", "192.0.2.1") > 0
    clock.now += MEMORY + 1
    assert delays.delay("alice", "192.0.2.1") == 0


def test_failures_are_bounded(clock):
    """However many users and addresses are guessed."""
    delays = Delays(clock.sleep, clock)
    for number in range(REMEMBERED + 100):
        delays.failed(f"user{number}", f"address{number}")
    assert len(delays._users) == len(delays._addresses) == REMEMBERED


def test_many_who_wait_do_not_take_all_threads(make_passwords, clock):
    """The next one is told to come back, and nobody else is held up."""
    passwords = make_passwords(alice="secret", bob="secret")
    go_on = threading.Event()
    passwords._delays = Delays(lambda _: go_on.wait(10), clock)
    for _ in range(FREE):
        passwords.verify("alice", "wrong")
    with ThreadPoolExecutor(WAITING) as pool:
        waiting = [
            pool.submit(passwords.verify, "alice", f"w{n}") for n in range(WAITING)
        ]
        while passwords._delays._places._value:
            time.sleep(0.01)
        with pytest.raises(TooManyRequests) as caught:
            passwords.verify("alice", "wrong")
        assert passwords.verify("bob", "secret")
        go_on.set()
        assert not any(each.result() for each in waiting)
    assert caught.value.headers["Retry-After"] == "3"


def test_no_password_is_logged(make_passwords, caplog):
    """Neither a good one nor a wrong one, at any level."""
    passwords = make_passwords(alice="canary-good")
    with caplog.at_level(logging.DEBUG):
        passwords.verify("alice", "canary-good")
        passwords.verify("alice", "canary-wrong", "192.0.2.1")
    assert "canary" not in caplog.text
    assert "user='alice' address='192.0.2.1'" in caplog.text


def test_who_is_known(make_passwords, make_file, counted):
    """As of now, and without a password."""
    passwords = make_passwords(alice="secret")
    assert passwords.knows("alice")
    assert not passwords.knows("bob")
    make_file(bob="secret")
    assert (passwords.knows("alice"), passwords.knows("bob")) == (False, True)
    assert counted == []
