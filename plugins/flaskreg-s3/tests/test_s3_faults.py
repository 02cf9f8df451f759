"""S3 servers that are slow, broken or full, and writers that die: over real servers."""

from __future__ import annotations

import errno
import hashlib
import http.client
import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer

import pytest
from flaskreg_s3 import lock as locks
from flaskreg_s3.failures import S3Error
from flaskreg_s3.lock import SUFFIX

from flaskreg.driver import InvalidOffset
from flaskreg.driver import PathExists
from flaskreg.driver import PathNotFound
from flaskreg.driver import StorageFull
from flaskreg.testing.live import serve


pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

MEBIBYTE = 1 << 20
DATA = "/uploads/1/data"


def error(code):
    """Return the document in which S3 tells an error."""
    return f"<Error><Code>{code}</Code><Message>text</Message></Error>".encode()


class Between(ThreadingHTTPServer):
    """Stands between a driver and a server, and answers some requests itself.

    :attr:`faults` decides: called with a handler, it answers and returns true, or
    lets the request pass.
    """

    daemon_threads = True

    def __init__(self, port):
        super().__init__(("127.0.0.1", 0), Handler)
        self.target = port
        self.faults = lambda _: False
        self.seen = []


class Handler(BaseHTTPRequestHandler):
    """One request, answered or passed on."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Say nothing."""

    def do(self):
        """Answer it."""
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.command, self.path, dict(self.headers)))
        if not self.server.faults(self):
            self.answer(*self.pass_on())

    def pass_on(self):
        """Return the server's own answer."""
        onward = http.client.HTTPConnection("127.0.0.1", self.server.target)
        try:
            headers = dict(self.headers)
            # What was signed is the host that the client sees.
            onward.request(self.command, self.path, self.body, headers)
            answer = onward.getresponse()
            return answer.status, answer.read(), dict(answer.headers)
        finally:
            onward.close()

    def answer(self, status, body=b"", headers=(), size=None):
        """Send an answer.

        :param size: what its length is said to be, if that is another than it is.
        """
        self.send_response(status)
        kept = {"content-length": str(len(body))}
        for name, value in dict(headers).items():
            if name.lower() not in ("connection", "transfer-encoding", "keep-alive"):
                kept[name.lower()] = value
        if self.command != "HEAD":
            kept["content-length"] = str(len(body) if size is None else size)
        for name, value in kept.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do


@pytest.fixture
def between(server):
    """Return what stands between the driver of these tests and the server."""
    proxy = Between(server.port)
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    yield proxy
    proxy.shutdown()
    proxy.server_close()
    thread.join(10)


@pytest.fixture
def faulty(make_driver, between):
    """Return a driver whose requests pass by there."""
    return make_driver(regionendpoint=f"http://127.0.0.1:{between.server_port}")


def every(count, fault):
    """Let each *count*-th request be answered by *fault*."""
    seen = 0
    mutex = threading.Lock()

    def decide(handler):
        nonlocal seen
        with mutex:
            seen += 1
            if seen % count:
                return False
        fault(handler)
        return True

    return decide


def slow_down(handler):
    """Answer what S3 answers to who asks too often."""
    handler.answer(503, error("SlowDown"))


def hang_up(handler):
    """Close the connection instead of answering."""
    handler.close_connection = True
    handler.connection.close()


def do_and_hang_up(handler):
    """Do it, and close the connection without a word."""
    handler.pass_on()
    hang_up(handler)


def fail_late(handler):
    """Answer 200, and tell the error in the body, as a long copy does."""
    handler.answer(200, error("InternalError"))


@pytest.mark.parametrize("fault", [slow_down, hang_up, do_and_hang_up])
def test_passing_faults_are_not_seen(faulty, between, fault):
    """A push over a server that fails at each third request is whole."""
    between.faults = every(3, fault)
    content = hashlib.sha256(b"x").digest() * (11 * MEBIBYTE // 32)
    with faulty.writer(DATA) as writer:
        writer.write(content)
    with faulty.writer(DATA, len(content)) as writer:
        writer.write(content)
        writer.commit()
        faulty.publish([("/links/1", b"digest")], [(DATA, "/blobs/1")])
    between.faults = lambda _: False
    with faulty.reader("/blobs/1") as reader:
        got = reader.read()
    whole = got == content * 2
    assert whole
    assert faulty.get_content("/links/1") == b"digest"
    with pytest.raises(PathNotFound):
        faulty.stat(DATA)


def test_an_error_in_the_body_of_a_copy_is_an_error(faulty, between):
    """Status 200 is sent before a copy is done; what comes then is read."""
    faulty.put_content("/a", b"content")
    copies = []

    def fail_first(handler):
        if "x-amz-copy-source" not in handler.headers or len(copies) > 1:
            return False
        copies.append(handler.path)
        fail_late(handler)
        return True

    between.faults = fail_first
    faulty.move("/a", "/b")
    assert len(copies) == 2
    assert faulty.get_content("/b") == b"content"


def test_what_does_not_pass_is_an_error(faulty, between, monkeypatch):
    """It is told in S3's words, and no secret is in it."""
    monkeypatch.setattr("flaskreg_s3.failures.ATTEMPTS", 2)
    for status, code, kind in (
        (403, "AccessDenied", S3Error),
        (503, "SlowDown", S3Error),
        (507, "XMinioStorageFull", StorageFull),
    ):
        between.faults = every(1, lambda h, s=status, c=code: h.answer(s, error(c)))
        with pytest.raises(kind) as caught:
            faulty.put_content("/a", b"x")
        assert code in str(caught.value)
        assert "secret" not in str(caught.value).lower()


def test_a_reader_goes_on_where_a_connection_broke(faulty, between):
    """It asks for the rest of the very same object."""
    content = bytes(range(256)) * (8 * MEBIBYTE // 256)
    faulty.put_content("/a", content)
    broken = []

    def break_off(handler):
        if handler.command != "GET" or len(broken) > 2:
            return False
        status, body, headers = handler.pass_on()
        broken.append(handler.headers.get("Range"))
        handler.send_response(status)
        for name, value in headers.items():
            if name.lower() != "connection":
                handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body[: len(body) // 3])
        hang_up(handler)
        return True

    between.faults = break_off
    with faulty.reader("/a") as reader:
        whole = reader.read() == content
    assert whole
    assert broken[0] is None
    assert all(each.startswith("bytes=") for each in broken[1:])
    assert len(broken) == 3


@pytest.fixture
def client():
    """Return both ends of a client's connection; what it gets is read in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    ours.settimeout(60)
    received = bytearray()

    def receive():
        while data := theirs.recv(1 << 20):
            received.extend(data)

    thread = threading.Thread(target=receive, daemon=True)
    thread.start()

    def all_of_it():
        ours.close()
        thread.join(60)
        return received

    with ours, theirs:
        yield ours, all_of_it


@pytest.fixture(params=["kernel", "no splice", "no pipe"])
def way(request, monkeypatch):
    """Let content be sent from the kernel, or through this process."""
    # To start one takes pipes.
    request.getfixturevalue("server")
    if request.param == "no splice":
        monkeypatch.delattr("os.splice")
    if request.param == "no pipe":

        def refuse():
            raise OSError(errno.EMFILE, "Too many open files")

        monkeypatch.setattr("os.pipe", refuse)


def cut_off(count, longest=0):
    """Break off the first *count* answers to a GET after a third of them.

    :param longest: those of so many bytes or less pass.
    """
    broken = []

    def break_off(handler):
        if handler.command != "GET" or len(broken) >= count:
            return False
        status, body, headers = handler.pass_on()
        if len(body) <= longest:
            handler.answer(status, body, headers)
            return True
        broken.append(handler.path)
        handler.answer(status, body[: len(body) // 3], headers, size=len(body))
        hang_up(handler)
        return True

    return break_off


@pytest.mark.parametrize(
    ("start", "count"), [(0, 9 << 20), (3, 1), (5 << 20, 4 << 20), (0, 99 << 20)]
)
@pytest.mark.usefixtures("way")
def test_an_object_is_sent(make_driver, client, start, count):
    """A part or all of it, from the kernel or through this process."""
    driver = make_driver()
    content = random.Random(1).randbytes(9 * MEBIBYTE)
    driver.put_content("/a", content)
    wanted = content[start : start + count]
    sock, all_of_it = client
    with driver.reader("/a", start) as reader:
        assert reader.send_to(sock, count) == len(wanted)
        assert reader.tell() == start + len(wanted)
    whole = all_of_it() == wanted
    assert whole


@pytest.mark.usefixtures("way")
def test_what_is_sent_goes_on_where_a_connection_broke(faulty, between, client):
    """Nothing is sent twice, and nothing is left out."""
    content = random.Random(2).randbytes(8 * MEBIBYTE)
    faulty.put_content("/a", content)
    between.faults = cut_off(3)
    sock, all_of_it = client
    with faulty.reader("/a") as reader:
        assert reader.send_to(sock, len(content)) == len(content)
    whole = all_of_it() == content
    assert whole


@pytest.mark.usefixtures("way")
def test_what_cannot_be_had_is_an_error_in_the_middle(
    faulty, between, client, monkeypatch
):
    """It is no fault of the client, and what he got is the beginning."""
    monkeypatch.setattr("flaskreg_s3.failures.ATTEMPTS", 2)
    content = random.Random(3).randbytes(8 * MEBIBYTE)
    faulty.put_content("/a", content)
    first = cut_off(1)
    between.faults = lambda handler: first(handler) or not hang_up(handler)
    sock, all_of_it = client
    with faulty.reader("/a") as reader, pytest.raises(S3Error):
        reader.send_to(sock, len(content))
    received = all_of_it()
    assert 0 < len(received) < len(content)
    whole = received == content[: len(received)]
    assert whole


@pytest.mark.parametrize("recovers", [True, False])
def test_a_download_is_whole_or_cut(server, root, between, tmp_path, recovers):
    """A registry whose server breaks off goes on, or leaves its client short of bytes.

    It never ends the body as if it were whole, and serves the next request.
    """
    endpoint = f"http://127.0.0.1:{between.server_port}"
    storage = {"s3": server.parameters(root, regionendpoint=endpoint)}
    storage["redirect"] = {"disable": True}
    content = random.Random(4).randbytes(8 * MEBIBYTE)
    with serve({"storage": storage}, tmp_path) as registry:
        digest = registry.push_blob("team/app", content)
        # The link is read too, and is short.
        first = cut_off(1, longest=MEBIBYTE)

        def refuse_the_rest(handler):
            if first(handler):
                return True
            if recovers or "Range" not in handler.headers:
                return False
            handler.answer(403, error("AccessDenied"))
            return True

        between.faults = refuse_the_rest
        if recovers:
            whole = registry.pull_blob("team/app", digest) == content
        else:
            with pytest.raises(http.client.IncompleteRead) as caught:
                registry.pull_blob("team/app", digest)
            assert len(caught.value.partial) == len(content) // 3
            between.faults = lambda _: False
            whole = registry.pull_blob("team/app", digest) == content
        assert whole


def test_a_client_that_left_is_no_fault_of_the_server(driver):
    """The object is not asked for again for it."""
    driver.put_content("/a", bytes(8 * MEBIBYTE))
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours, driver.reader("/a") as reader, pytest.raises(BrokenPipeError):
        reader.send_to(ours, 8 * MEBIBYTE)


def test_reads_of_one_object_at_a_time_are_shared(faulty, between):
    """Who asks while it is asked for shares the next request with others."""
    faulty.put_content("/a", b"first")
    begun, free = threading.Event(), threading.Event()

    def hold(handler):
        if handler.command == "GET" and not begun.is_set():
            begun.set()
            told = handler.pass_on()
            assert free.wait(60)
            handler.answer(*told)
            return True
        return False

    between.faults = hold
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(faulty.get_content, "/a")
        assert begun.wait(60)
        faulty.put_content("/a", b"second")
        others = [pool.submit(faulty.get_content, "/a") for _ in range(8)]
        assert [other.result(60) for other in others] == [b"second"] * 8
        free.set()
        assert first.result(60) == b"first"
    faulty.delete("/a")
    with pytest.raises(PathNotFound):
        faulty.get_content("/a")


def test_how_objects_are_kept(faulty, between):
    """Encryption, storage class and access go with whatever makes an object."""
    parameters = faulty._parameters
    assert parameters.storageclass == "STANDARD"
    faulty.put_content("/a", b"x")
    with faulty.writer(DATA) as writer:
        writer.write(b"y")
    faulty.move("/a", "/b")
    made = [
        headers
        for method, path, headers in between.seen
        if (method == "PUT" and "partNumber=" not in path) or path.endswith("?uploads=")
        if method != "GET"
    ]
    assert len(made) >= 4
    for headers in made:
        lower = {name.lower(): value for name, value in headers.items()}
        assert lower["content-type"] == "application/octet-stream"
        assert lower["x-amz-acl"] == "private"
        assert lower["x-amz-storage-class"] == "STANDARD"


@pytest.mark.parametrize(
    ("given", "header", "value"),
    [
        ({"encrypt": True}, "x-amz-server-side-encryption", "AES256"),
        ({"encrypt": True, "keyid": "k"}, "x-amz-server-side-encryption", "aws:kms"),
        ({"keyid": "k"}, "x-amz-server-side-encryption-aws-kms-key-id", "k"),
        ({"storageclass": "standard_ia"}, "x-amz-storage-class", "STANDARD_IA"),
        ({"storageclass": "none"}, "x-amz-storage-class", None),
        ({"objectacl": "public-read"}, "x-amz-acl", "public-read"),
        ({"useragent": "ours/1"}, "user-agent", "ours/1"),
    ],
)
def test_what_is_configured_is_sent(make_driver, between, given, header, value):
    """Whether the server can do it or not, it is asked for it."""
    endpoint = f"http://127.0.0.1:{between.server_port}"
    driver = make_driver(regionendpoint=endpoint, **given)
    between.faults = every(1, lambda handler: handler.answer(200))
    driver.put_content("/a", b"x")
    ((_, _, headers),) = between.seen
    sent = {name.lower(): text for name, text in headers.items()}.get(header)
    assert sent is None if value is None else value in sent


def test_a_health_check_lists_nothing(faulty, between):
    """The root is asked for with one request that costs next to nothing."""
    assert faulty.stat("/").is_dir
    assert [(method, "?" in path) for method, path, _ in between.seen] == [
        ("HEAD", False)
    ]


def test_a_missing_bucket_is_no_missing_path(make_driver):
    """It is an error that names the trouble."""
    driver = make_driver(bucket="no-such-bucket-here")
    with pytest.raises(S3Error):
        driver.stat("/")
    with pytest.raises(S3Error):
        driver.get_content("/a")


def test_large_content_is_copied_in_parts(make_driver, between):
    """Above the threshold, each part is one range, and none of it comes here."""
    driver = make_driver(
        regionendpoint=f"http://127.0.0.1:{between.server_port}",
        multipartcopythresholdsize=8 * MEBIBYTE,
        multipartcopychunksize=5 * MEBIBYTE,
    )
    content = hashlib.sha256(b"y").digest() * (13 * MEBIBYTE // 32)
    driver.put_content("/a", content)
    before = len(between.seen)
    driver.move("/a", "/b")
    ranges = [
        headers["x-amz-copy-source-range"]
        for _, _, headers in between.seen[before:]
        if "x-amz-copy-source-range" in headers
    ]
    assert len(ranges) == 3
    assert not [1 for method, *_ in between.seen[before:] if method == "GET"]
    whole = driver.get_content("/b") == content
    assert whole


def test_a_push_whose_digest_is_known_is_not_copied(faulty, between):
    """It gathers where it belongs, and nobody sees it before it is moved."""
    content = hashlib.sha256(b"z").digest() * (20 * MEBIBYTE // 32)
    with faulty.direct_writer(DATA, "/blobs/1") as writer:
        assert not writer.keeps
        writer.write(content)
        writer.commit()
        with pytest.raises(PathNotFound):
            faulty.stat("/blobs/1/data")
        with pytest.raises(PathNotFound):
            faulty.get_content("/blobs/1")
        faulty.move(DATA, "/blobs/1")
    whole = faulty.get_content("/blobs/1") == content
    assert whole
    copies = [1 for *_, headers in between.seen if "x-amz-copy-source" in headers]
    assert copies == []
    assert list(faulty.bucket.iter_uploads(faulty.prefix)) == []


@pytest.mark.parametrize("end", ["close", "cancel", "commit"])
def test_a_direct_writer_that_moves_nothing_leaves_nothing(driver, end):
    """Unverified content never stays at its destination, not even pending."""
    with driver.direct_writer(DATA, "/blobs/1") as writer:
        writer.write(b"x" * (20 * MEBIBYTE))
        getattr(writer, end)()
    assert list(driver.bucket.iter_objects(driver.prefix)) == []
    uploads = list(driver.bucket.iter_uploads(driver.key("/blobs/1")))
    assert uploads == []


def test_parts_grow_with_their_number(driver, monkeypatch):
    """The largest object that S3 keeps fits into 10,000 parts of any size."""
    with driver.writer(DATA) as writer:
        total, number = 0, 0
        for number in range(10_000):
            monkeypatch.setattr(writer, "_parts", range(number))
            total += writer._next_size()
        assert total > 5 << 40
        monkeypatch.setattr(writer, "_parts", [])
        assert writer._next_size() == 10 * MEBIBYTE


def test_small_chunks_make_whole_content(driver):
    """Parts below the least size that S3 takes are made into larger ones."""
    pieces = [bytes([number]) * (1_700_000 + number) for number in range(9)]
    at = 0
    for piece in pieces:
        with driver.writer(DATA, at) as writer:
            writer.write(piece)
            at = writer.size
        assert driver.stat(DATA).size == at
    with driver.writer(DATA, at) as writer:
        writer.commit()
        driver.move(DATA, "/blobs/1")
    whole = driver.get_content("/blobs/1") == b"".join(pieces)
    assert whole


def test_what_a_dead_writer_left_goes_on(driver, make_driver, monkeypatch):
    """Its lock is taken over after a while; if it lives on, it does no harm."""
    other = make_driver()
    dead = driver.writer(DATA)
    dead.write(b"a" * (6 * MEBIBYTE))
    dead.flush()
    with pytest.raises(InvalidOffset):
        other.writer(DATA, 6 * MEBIBYTE)
    monkeypatch.setattr(locks, "LEASE", 3.0)
    time.sleep(5)
    with other.writer(DATA, 6 * MEBIBYTE) as writer:
        writer.write(b"b" * MEBIBYTE)
        monkeypatch.setattr(locks, "RENEWAL", 0.0)
        with pytest.raises(InvalidOffset):
            dead.write(b"c")
        dead.close()
        writer.write(b"b")
        writer.commit()
    whole = driver.get_content(DATA) == b"a" * (6 * MEBIBYTE) + b"b" * (MEBIBYTE + 1)
    assert whole
    locks_left = [
        each.key
        for each in driver.bucket.iter_objects(driver.prefix)
        if each.key.endswith(SUFFIX)
    ]
    assert locks_left == []


def test_a_deleted_session_takes_its_parts_with_it(driver):
    """Nobody pays for what was abandoned."""
    driver.put_content("/uploads/1/startedat", b"now")
    with driver.writer(DATA) as writer:
        writer.write(b"x" * (12 * MEBIBYTE))
    assert len(list(driver.bucket.iter_uploads(driver.key(DATA)))) == 1
    driver.delete("/uploads/1")
    assert list(driver.bucket.iter_uploads(driver.key(DATA))) == []


def test_a_conditional_write_whose_answer_was_lost(faulty, between):
    """Who wrote it is not told that somebody else did."""
    lost = []

    def lose(handler):
        if "if-none-match" not in {name.lower() for name in handler.headers} or lost:
            return False
        lost.append(handler.path)
        do_and_hang_up(handler)
        return True

    between.faults = lose
    faulty.publish([("/tags/1", b"digest")], exclusive=["/tags/1"])
    assert lost
    assert faulty.get_content("/tags/1") == b"digest"
    with pytest.raises(PathExists):
        faulty.publish([("/tags/1", b"other")], exclusive=["/tags/1"])


def test_version_2_signatures(make_driver, server):
    """A server that takes them is written to and read with them."""
    if server.kind != "seaweedfs":
        driver = make_driver(v4auth=False)
        with pytest.raises(S3Error):
            driver.get_content("/a")
        return
    driver = make_driver(v4auth=False)
    driver.put_content("/a", b"content")
    assert driver.get_content("/a") == b"content"
    with driver.writer(DATA) as writer:
        writer.write(b"x" * (12 * MEBIBYTE))
        writer.commit()
        driver.move(DATA, "/b")
    assert driver.stat("/b").size == 12 * MEBIBYTE
    assert sorted(driver.list("/")) in (["a", "b"], ["a", "b", "uploads"])
