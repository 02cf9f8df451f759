"""Our worker against gunicorn's own: the same bytes in, the same bytes out."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from flaskreg.heads import LONGEST_HEAD
from flaskreg.heads import SMALL_BODY
from flaskreg.heads import is_complete
from flaskreg.socketbody import SocketBody
from flaskreg.worker import STREAK


ECHO = '''
import json

KNOWN = ("gunicorn.socket", "wsgi.early_hints", "wsgi.errors", "wsgi.file_wrapper",
         "wsgi.input", "REMOTE_PORT", "SERVER_PORT", "HTTP_HOST")

def app(environ, start_response):
    """Answer the environ and the body that came with it."""
    body = environ["wsgi.input"].read()
    told = {k: str(v) for k, v in environ.items() if k not in KNOWN}
    told["body"] = body.decode("latin-1")
    answer = json.dumps(told, sort_keys=True).encode()
    if environ["PATH_INFO"] == "/empty":
        start_response("204 No Content", [("X-Path", "empty")])
        return [b""]
    if environ["PATH_INFO"] == "/stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return iter([b"one", b"", b"two"])
    if environ["PATH_INFO"] == "/unread":
        answer = b"unread"
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]
'''

HOST = b"Host: x\r\n"
CORPUS = {
    "plain": b"GET / HTTP/1.1\r\n" + HOST + b"\r\n",
    "head": b"HEAD /a?b=c HTTP/1.1\r\n" + HOST + b"\r\n",
    "query": b"GET /a/b?x=%2F&y HTTP/1.1\r\n" + HOST + b"\r\n",
    "headers": b"GET / HTTP/1.1\r\n" + HOST + b"Accept: a, b\r\nX-Some:  v \r\n\r\n",
    "repeated": b"GET / HTTP/1.1\r\n" + HOST + b"Accept: a\r\nAccept: b\r\n\r\n",
    "close": b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
    "keep": b"GET / HTTP/1.1\r\n" + HOST + b"Connection: keep-alive\r\n\r\n",
    "old": b"GET / HTTP/1.0\r\n" + HOST + b"\r\n",
    "absolute": b"GET http://h/a HTTP/1.1\r\n" + HOST + b"\r\n",
    "two slashes": b"GET //a HTTP/1.1\r\n" + HOST + b"\r\n",
    "encoded": b"GET /a%2Fb%20c HTTP/1.1\r\n" + HOST + b"\r\n",
    "fragment": b"GET /a#b HTTP/1.1\r\n" + HOST + b"\r\n",
    "latin": b"GET /\xe9 HTTP/1.1\r\n" + HOST + b"\r\n",
    "post": b"POST /p HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc",
    "typed": b"PUT /p HTTP/1.1\r\n" + HOST
    + b"Content-Type: a/b\r\nContent-Length: 0\r\n\r\n",
    "body of a GET": b"GET /p HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc",
    "chunked": b"POST /p HTTP/1.1\r\n" + HOST
    + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "expect": b"POST /p HTTP/1.1\r\n" + HOST
    + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    "two lengths": b"POST /p HTTP/1.1\r\n" + HOST
    + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "both framings": b"POST /p HTTP/1.1\r\n" + HOST
    + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a length that is none": b"POST /p HTTP/1.1\r\n" + HOST
    + b"Content-Length: +3\r\n\r\nabc",
    "underscore": b"GET / HTTP/1.1\r\n" + HOST + b"X_Some: v\r\n\r\n",
    "lower method": b"get / HTTP/1.1\r\n" + HOST + b"\r\n",
    "bare newline": b"GET / HTTP/1.1\n" + b"Host: x\n\n",
    "no colon": b"GET / HTTP/1.1\r\n" + HOST + b"nothing\r\n\r\n",
    "space before colon": b"GET / HTTP/1.1\r\n" + HOST + b"A : b\r\n\r\n",
    "folded": b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n c\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "version 3": b"GET / HTTP/3.0\r\n" + HOST + b"\r\n",
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00",
    "long line": b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "many headers": b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 200 + b"\r\n",
    "large header": b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"b" * 40000 + b"\r\n\r\n",
    "nothing": b"GET /empty HTTP/1.1\r\n" + HOST + b"\r\n",
    "streamed": b"GET /stream HTTP/1.1\r\n" + HOST + b"\r\n",
    "upgrade": b"GET / HTTP/1.1\r\n" + HOST
    + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "two requests": (b"GET /1 HTTP/1.1\r\n" + HOST + b"\r\n") * 2,
    "after a body": b"POST /p HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc"
    b"GET /after HTTP/1.1\r\n" + HOST + b"\r\n",
}  # fmt: skip


def start(folder: Path, worker: str) -> tuple[subprocess.Popen[bytes], int]:
    """Start gunicorn with the echo application and a worker class."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "gunicorn", "--chdir", str(folder), "-c", "/dev/null",
        "-b", f"127.0.0.1:{port}", "-k", worker, "--threads", "4", "--log-level",
        "critical", "--keep-alive", "5", "--no-control-socket", "echo:app",
    ]  # fmt: skip
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, env=env, cwd=folder)
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return process, port
    process.kill()
    raise TimeoutError(worker)


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """Return the ports of gunicorn's threaded worker and of ours."""
    folder = tmp_path_factory.mktemp("echo")
    (folder / "echo.py").write_text(ECHO)
    started = [
        start(folder, worker)
        for worker in ("gthread", "flaskreg.worker.RegistryWorker")
    ]
    yield started[0][1], started[1][1]
    for process, _ in started:
        process.terminate()
        process.wait(20)


def exchange(port: int, before: int, sent: bytes, pieces: int = 1) -> bytes:
    """Send some requests one by one, then *sent*; return what comes after it."""
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        for _ in range(before):
            sock.sendall(WARM)
            while b"}" not in sock.recv(65536):
                pass
        step = max(len(sent) // pieces, 1)
        for at in range(0, len(sent), step):
            sock.sendall(sent[at : at + step])
            if pieces > 1:
                time.sleep(0.01)
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while data := sock.recv(65536):
                answer += data
        except ConnectionResetError:
            answer += b"<reset>"
        return re.sub(rb"Date: [^\r]+", b"Date:", answer)


WARM = b"GET /warm HTTP/1.1\r\n" + HOST + b"\r\n"
#: requests before the one that is looked at: none, one, and enough of them for the
#: connection to be served with others.
BEFORE = [0, 1, 3 * STREAK]


@pytest.mark.parametrize("name", CORPUS)
@pytest.mark.parametrize("before", BEFORE, ids=["new", "kept", "hot"])
def test_same_answers(ports: tuple[int, int], name: str, before: int) -> None:
    """Whatever is sent, the environ, the answer and the connection's end are equal."""
    theirs, ours = (exchange(port, before, CORPUS[name]) for port in ports)
    if b"text/html" not in theirs:
        assert ours == theirs
        return
    # gunicorn's own errors: the same status, in the form of the registry.
    assert ours.partition(b"\r\n")[0] == theirs.partition(b"\r\n")[0]
    ((error,),) = json.loads(ours.partition(b"\r\n\r\n")[2]).values()
    assert error.keys() == {"code", "message"}


@pytest.mark.parametrize("name", ["plain", "post", "headers", "two requests"])
def test_same_answers_for_pieces(ports: tuple[int, int], name: str) -> None:
    """A request may come in many packets."""
    theirs, ours = (exchange(port, 0, CORPUS[name], 9) for port in ports)
    assert ours == theirs


def test_unread_body_is_no_request(ports: tuple[int, int]) -> None:
    """What the application leaves of a body is never taken for a request."""
    hidden = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
    head = b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    answer = exchange(ports[1], 0, head % len(hidden) + hidden + WARM)
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert b"/hidden" not in answer.partition(b'"body"')[0]


# When a thread takes a request


@given(st.integers(0, 200))
@settings(deadline=None)
def test_a_request_is_complete_at_its_end(cut: int) -> None:
    """And not before: the head has to be whole, and a small body too."""
    request = CORPUS["post"]
    assert is_complete(request[: cut % len(request)]) is (cut % len(request) == 0)
    assert is_complete(request)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03",
        b"GET / HTTP/1.1\nHost: x\n",
        b"A" * (LONGEST_HEAD + 1),
        b"PUT / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (SMALL_BODY + 1),
        b"PUT / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"PUT / HTTP/1.1\r\ncontent-length: 5\r\nExpect: 100-continue\r\n\r\n",
        b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_what_is_not_waited_for(data: bytes) -> None:
    """Large bodies, and what the parser refuses."""
    assert is_complete(data)


# Bodies


class Unreader:
    """gunicorn's buffer of a connection."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def take_buffered(self) -> bytes:
        """Return what is buffered and forget it."""
        data, self.data = self.data, b""
        return data

    def unread(self, data: bytes) -> None:
        """Put something back."""
        self.data = data + self.data


@contextmanager
def make_body(ahead: bytes, later: bytes, length: int) -> Iterator[SocketBody]:
    """Give a body of which some came with the head and some comes later."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            theirs.sendall(later)
        yield SocketBody(Unreader(ahead), ours, length)


@given(st.binary(max_size=60), st.integers(0, 60), st.integers(1, 70))
@settings(deadline=None)
def test_body(data: bytes, cut: int, size: int) -> None:
    """Wherever it is cut, and however it is read, the bytes are those."""
    with make_body(data[:cut], data[cut:], len(data)) as body:
        got = b""
        while chunk := body.read1(size):
            assert len(chunk) <= size
            got += chunk
        assert got == data
        assert not body.failed
    with make_body(data[:cut], data[cut:], len(data)) as body:
        assert body.read() == data
    with make_body(data[:cut], data[cut:], len(data)) as body:
        assert b"".join(iter(lambda: body.read(size), b"")) == data


def test_body_leaves_the_next_request() -> None:
    """What was received beyond it stays in the buffer."""
    unreader = Unreader(b"abcGET /")
    with socket.socket() as sock:
        assert SocketBody(unreader, sock, 3).read() == b"abc"
    assert unreader.data == b"GET /"


def test_body_that_ends_early() -> None:
    """It ends, and the connection is told to be of no use any more."""
    with make_body(b"ab", b"c", 10) as body:
        assert body.read() == b"abc"
        assert body.failed
        assert body.read1(5) == b""
