"""The short way of our worker beside gunicorn's own: requests, answers, and bodies.

:mod:`test_worker` compares the two for one request of each kind. Here the environ is
compared with its types, the applications behave in every way that WSGI allows, and the
heads are put together at random. Both run with the settings of ``gunicornconf`` that
decide about requests.
"""

from __future__ import annotations

import io
import os
import random
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from flaskreg.socketbody import SocketBody


APPLICATION = '''
import io, json, os, sys, tempfile

#: what differs between any two servers, and what the short way leaves out.
KNOWN = {"gunicorn.socket", "wsgi.input", "wsgi.early_hints"}

def told(environ):
    """Return the environ with its types."""
    return {
        key: [type(value).__name__, getattr(value, "__name__", None) or (
            str(value) if key != "wsgi.errors" else "")]
        for key, value in environ.items() if key not in KNOWN
    }

def read(environ):
    """Read the body in the way that the query names."""
    source = environ["wsgi.input"]
    way = environ["QUERY_STRING"]
    if way == "readline":
        return list(iter(source.readline, b""))
    if way == "readlines":
        return source.readlines()
    if way == "iterate":
        return list(source)
    if way == "pieces":
        return list(iter(lambda: source.read(7), b""))
    if way == "some":
        return [source.read(2)]
    if way == "unread":
        return []
    return [source.read(), source.read(), source.read(3)]

class Closing:
    """An iterable that says when it was closed."""
    closed = 0

    def __init__(self, parts):
        self.parts = parts

    def __iter__(self):
        return iter(self.parts)

    def close(self):
        Closing.closed += 1

def failing():
    yield b"some"
    raise ValueError("meant")

class Sender(io.BytesIO):
    """Content that is best sent by itself."""

    def __init__(self, ends=False, fails=False):
        super().__init__(b"0123")
        self.ends, self.fails = ends, fails

    def send_to(self, sock, count):
        if self.ends or self.fails:
            sock.sendall(b"se")
            if self.fails:
                raise ValueError("meant")
            return 2
        sock.sendall(b"sent"[:count])
        return count

SENDERS = {
    "/sender": lambda: Sender(),
    "/sender-ends": lambda: Sender(ends=True),
    "/sender-fails": lambda: Sender(fails=True),
}

def lazily(start_response):
    start_response("200 OK", [("Content-Length", "4")])
    yield b"lazy"

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/closed":
        body = str(Closing.closed).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
    if path == "/hints":
        body = str("wsgi.early_hints" in environ).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
    if path == "/lazy":
        return lazily(start_response)
    if path == "/raises":
        raise ValueError("meant")
    if path == "/raises-later":
        start_response("200 OK", [("Content-Length", "8")])
        return failing()
    if path == "/raises-later-chunked":
        start_response("200 OK", [])
        return failing()
    if path == "/error":
        try:
            raise ValueError("meant")
        except ValueError:
            start_response("200 OK", [])
            start_response("500 Oh no", [("Content-Length", "2")], sys.exc_info())
        return [b"oh"]
    if path.startswith("/file"):
        file = tempfile.TemporaryFile()
        file.write(b"0123456789")
        file.seek(3)
        length = [] if path == "/file-unsized" else [("Content-Length", "4")]
        start_response("206 Partial Content", length)
        return environ["wsgi.file_wrapper"](file, 4)
    if path in SENDERS:
        start_response("200 OK", [("Content-Length", "4")])
        return environ["wsgi.file_wrapper"](SENDERS[path](), 3)
    if path == "/memory-file":
        start_response("200 OK", [("Content-Length", "4")])
        return environ["wsgi.file_wrapper"](io.BytesIO(b"0123"), 3)
    if not environ["QUERY_STRING"].startswith("["):
        body = json.dumps([told(environ), [part.decode("latin-1")
                           for part in read(environ)]], sort_keys=True).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
    status, headers, parts = json.loads(environ["QUERY_STRING"].replace("'", '"'))
    headers = [(name, value) for name, value in headers]
    start_response(status.replace("_", " "), headers)
    return Closing([part.encode("latin-1") for part in parts])
'''

#: gunicornconf's, as far as they decide about a request.
SETTINGS = """
limit_request_line = 8190
limit_request_field_size = 32768
forwarded_allow_ips = ""
header_map = "refuse"
control_socket_disable = True
keepalive = 5
threads = 4
loglevel = "critical"
worker_tmp_dir = "/dev/shm"
"""

WORKERS = ("gthread", "flaskreg.worker.RegistryWorker")


@dataclass(frozen=True)
class Address:
    """Where one of the servers listens."""

    port: int
    path: Path

    def connect(self, *, unix: bool = False) -> socket.socket:
        """Return a new connection."""
        if not unix:
            return socket.create_connection(("127.0.0.1", self.port), 5)
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(5)
        sock.connect(str(self.path))
        return sock


Pair = tuple[Address, Address]


def start(
    folder: Path, worker: str, env: dict[str, str]
) -> tuple[subprocess.Popen[bytes], Address]:
    """Start gunicorn with a worker class, on loopback and on a socket of the system."""
    listener = socket.create_server(("127.0.0.1", 0))
    address = Address(listener.getsockname()[1], folder / f"{worker[-6:]}.sock")
    local = socket.socket(socket.AF_UNIX)
    local.bind(str(address.path))
    local.listen()
    command = [
        sys.executable, "-m", "gunicorn", "--chdir", str(folder), "-c", "conf.py",
        "-b", f"fd://{listener.fileno()}", "-b", f"fd://{local.fileno()}",
        "-k", worker, "quickapp:app",
    ]  # fmt: skip
    paths = os.pathsep.join(path for path in sys.path if path)
    environment = os.environ | {"PYTHONPATH": paths} | env
    with listener, local:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            pass_fds=[listener.fileno(), local.fileno()],
        )
    with address.connect() as sock:
        sock.settimeout(60)
        sock.sendall(request("/closed", "Connection: close"))
        sock.recv(1)
    return process, address


def running(folder: Path, env: dict[str, str]) -> Iterator[Pair]:
    """Run gunicorn's threaded worker and ours."""
    (folder / "quickapp.py").write_text(APPLICATION)
    (folder / "conf.py").write_text(SETTINGS)
    started: list[tuple[subprocess.Popen[bytes], Address]] = []
    try:
        started.extend(start(folder, worker, env) for worker in WORKERS)
        yield started[0][1], started[1][1]
    finally:
        for process, _ in started:
            process.terminate()
        for process, _ in started:
            process.wait(20)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Return where gunicorn's threaded worker and ours listen."""
    yield from running(tmp_path_factory.mktemp("quick"), {})


def exchange(
    address: Address, *sent: bytes, unix: bool = False, between: float = 0
) -> bytes:
    """Send something and return all that comes back, without what differs by nature.

    :param between: seconds between two pieces.
    """
    with address.connect(unix=unix) as sock:
        mine = "" if unix else str(sock.getsockname()[1])
        for piece in sent:
            try:
                sock.sendall(piece)
            except OSError:
                break
            time.sleep(between)
        with suppress(OSError):
            sock.shutdown(socket.SHUT_WR)
        answer = bytearray()
        try:
            while data := sock.recv(65536):
                answer += data
        except ConnectionResetError:
            answer += b"<reset>"
    text = re.sub(rb"Date: [^\r]+", b"Date:", bytes(answer))
    text = text.replace(b'"REMOTE_PORT": ["str", "%b"]' % mine.encode(), b"")
    return text.replace(b'"SERVER_PORT": ["str", "%d"]' % address.port, b"")


def same(pair: Pair, *sent: bytes, unix: bool = False, between: float = 0) -> bytes:
    """Return the answer that both give.

    The pages of gunicorn's own errors are in the registry's form from our worker.
    """
    theirs, ours = (exchange(each, *sent, unix=unix, between=between) for each in pair)
    head, _, rest = ours.partition(b"\r\n")
    if b"Content-Type: text/html" in theirs and b"application/json" in rest:
        assert head == theirs.partition(b"\r\n")[0]
        return head
    assert ours == theirs
    return ours


def request(
    target: str = "/plain",
    *headers: str,
    method: str = "GET",
    version: str = "HTTP/1.1",
    body: str = "",
) -> bytes:
    """Return a request."""
    lines = [f"{method} {target} {version}", "Host: x", *headers, "", body]
    return "\r\n".join(lines).encode("latin-1")


# Requests


HEADS = {
    "nothing": [],
    "accept": ["Accept: a/b;q=0.5, */*"],
    "empty value": ["X-Empty:"],
    "blank value": ["X-Blank:  \t "],
    "inner blanks": ["X-Inner: a \t b"],
    "latin value": ["X-Latin: \xe9\xff"],
    "long value": ["X-Long: " + "v" * 30000],
    "all token characters": ["!#$%&'*+-.^`|~09az: v"],
    "case": ["aCCept-ENcoding: gzip"],
    "repeated": ["Accept: a", "X: y", "accept: b"],
    "repeated cookies": ["Cookie: a=b", "Cookie: c=d"],
    "repeated host": ["Host: y"],
    "authorization": ["Authorization: Basic YTpi"],
    "content type": ["Content-Type: a/b; c=d"],
    "repeated content type": ["Content-Type: a/b", "Content-Type: c/d"],
    "keep-alive": ["Connection: keep-alive"],
    "keep-alive in other case": ["Connection: Keep-Alive"],
    "close": ["Connection: close"],
    "close in other case": ["Connection: CLOSE"],
    "close among others": ["Connection: keep-alive, close"],
    "no connection option": ["Connection: "],
    "unknown connection option": ["Connection: x-some"],
    "old keep-alive": ["Keep-Alive: timeout=5"],
    "proxy connection": ["Proxy-Connection: keep-alive"],
    "te": ["TE: trailers"],
    "trailer": ["Trailer: X"],
    "upgrade": ["Connection: upgrade", "Upgrade: h2c", "HTTP2-Settings: AAA"],
    "expect": ["Expect: 100-continue"],
    "expect else": ["Expect: 200-ok"],
    "forwarded": ["X-Forwarded-Proto: https", "X-Forwarded-For: 1.2.3.4"],
    "forwarded ssl": ["X-Forwarded-Ssl: on", "X-Forwarded-Protocol: ssl"],
    "script name": ["Script-Name: /a"],
    "script name of gunicorn": ["SCRIPT_NAME: /plain"],
    "path info": ["Path-Info: /a", "Request-Method: PUT", "Remote-User: me"],
    "underscore": ["Content_Length: 3"],
    "proxy": ["Proxy: http://evil"],
    "length of nothing": ["Content-Length: 0"],
    "length with zeros": ["Content-Length: 000"],
    "length that is signed": ["Content-Length: +0"],
    "length that is negative": ["Content-Length: -1"],
    "length with a blank": ["Content-Length: 0 0"],
    "length in a list": ["Content-Length: 0, 0"],
    "length with an underscore": ["Content-Length: 0_0"],
    "length of another digit": ["Content-Length: \xb3"],
    "empty length": ["Content-Length:"],
    "two lengths": ["Content-Length: 0", "Content-Length: 0"],
    "huge length": ["Content-Length: 99999999999999999999999"],
    "unknown coding": ["Transfer-Encoding: gzip"],
    "identity": ["Transfer-Encoding: identity"],
    "chunked with a blank": ["Transfer-Encoding : chunked"],
    "chunked with a vertical tab": ["Transfer-Encoding: \x0bchunked"],
    "null": ["X: a\0b"],
    "return": ["X: a\rb"],
    "newline": ["X: a\nY: b"],
    "folded": ["X: a", " b"],
    "no colon": ["X"],
    "no name": [": x"],
    "blank in a name": ["X Y: z"],
    "latin name": ["\xe9: x"],
    "100 headers": [f"X-{number}: y" for number in range(99)],
    "101 headers": [f"X-{number}: y" for number in range(100)],
}


@pytest.mark.parametrize("name", HEADS)
def test_heads(pair: Pair, name: str) -> None:
    """Every header gives one environ and one answer, new connection or kept one."""
    sent = request("/plain", *HEADS[name])
    answer = same(pair, sent)
    assert answer, "no answer at all"
    same(pair, request(), sent, request("/plain?after"), between=0.005)


TARGETS = [
    "/plain?", "/plain??a", "/plain?a=%2F&b=c+d", "/plain?a#b", "/plain#a", "/plain;a",
    "//plain", "/plain/", "/plain/../x", "/./plain", "/%70lain", "/pl%61in?x", "/a%2Fb",
    "/a%zz", "/%00", "/%e9", "/%C3%A9", "/\xe9", "/plain?\xe9", "*", "plain", "",
    "http://x/plain", "http://y:80/plain?z", "https://x/plain", "HTTP://x/plain", "x:1",
    "/" + "a" * 8000, "/" + "a" * 9000, "/plain?" + "a" * 8000, '/"', "/\\", "/<>",
    "/[", "/|", "/a b", "/\t", "/\x7f", "/a?b?c", "/:80", "/@", "?", "#", "///plain",
]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: ascii(target)[:20])
def test_targets(pair: Pair, target: str) -> None:
    """Every form of a target."""
    for method in ("GET", "PUT"):
        sent = request(target, method=method)
        assert same(pair, sent), "no answer at all"


LINES = [
    b"get /plain HTTP/1.1",
    b"Get /plain HTTP/1.1",
    b"GETS /plain HTTP/1.1",
    b"OPTIONS /plain HTTP/1.1",
    b"OPTIONS * HTTP/1.1",
    b"G-T /plain HTTP/1.1",
    b"CONNECT x:1 HTTP/1.1",
    b"TRACE /plain HTTP/1.1",
    b"HEAD /plain HTTP/1.1",
    b"DELETE /plain HTTP/1.1",
    b"GET /plain HTTP/1.0",
    b"GET /plain HTTP/0.9",
    b"GET /plain HTTP/2.0",
    b"GET /plain HTTP/1.10",
    b"GET /plain http/1.1",
    b"GET /plain",
    b"GET  /plain HTTP/1.1",
    b"GET /plain  HTTP/1.1",
    b"GET\t/plain HTTP/1.1",
    b"GET /plain HTTP/1.1 ",
    b" GET /plain HTTP/1.1",
    b"\r\nGET /plain HTTP/1.1",
    b"\r\n\r\nGET /plain HTTP/1.1",
    b"GET /plain HTTP/1.1\nX: y",
    b"\nGET /plain HTTP/1.1",
    b"\0GET /plain HTTP/1.1",
    b"PRI * HTTP/2.0",
    b"\xff\xfe",
    b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1",
]


@pytest.mark.parametrize("line", LINES, ids=repr)
def test_request_lines(pair: Pair, line: bytes) -> None:
    """Every method and version, and what is neither."""
    same(pair, line + b"\r\nHost: x\r\n\r\n")


def test_no_host(pair: Pair) -> None:
    """A request without a Host."""
    same(pair, b"GET /plain HTTP/1.1\r\n\r\n")
    same(pair, b"GET /plain HTTP/1.1\r\nAccept: a\r\n\r\n")


WAYS = ["read", "readline", "readlines", "iterate", "pieces", "some", "unread"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_bodies(pair: Pair, way: str, method: str) -> None:
    """However the application reads a body, it gets the same; and so does the next."""
    for body in ("", "a", "one\ntwo\r\nthree", "x" * 100):
        length = f"Content-Length: {len(body)}"
        sent = request(f"/plain?{way}", length, method=method, body=body)
        same(pair, sent)
        same(pair, sent + request("/plain?after"))
        same(pair, sent[:-1], sent[-1:] + request("/plain?after"), between=0.005)


@pytest.mark.parametrize("size", [65535, 65536, 65537, 300_000])
def test_large_bodies(pair: Pair, size: int) -> None:
    """Bodies around the size up to which they are waited for."""
    length = f"Content-Length: {size}"
    sent = request("/plain?read", length, method="PUT", body="z" * size)
    same(pair, sent + request("/plain?after"))


@pytest.mark.parametrize("way", ["some", "unread"])
@pytest.mark.parametrize("size", [65536, 300_000])
def test_large_unread_bodies(pair: Pair, size: int, way: str) -> None:
    """gunicorn ends a connection with so much unread; ours may go on after it."""
    length = f"Content-Length: {size}"
    sent = request(f"/plain?{way}", length, method="PUT", body="GET /x " * size)
    sent = sent[: sent.index(b"\r\n\r\n") + 4 + size] + request("/plain?after")
    theirs, ours = (exchange(address, sent) for address in pair)
    assert ours.startswith(theirs.removesuffix(b"<reset>"))
    assert ours.count(b"HTTP/1.1 200 OK") in {1, 2}
    assert b'"/x' not in ours


CHUNKED = {
    "nothing": "0\r\n\r\n",
    "one": "3\r\nabc\r\n0\r\n\r\n",
    "many": "1\r\na\r\n" * 50 + "0\r\n\r\n",
    "extension": "3;x=y\r\nabc\r\n0\r\n\r\n",
    "trailer": "3\r\nabc\r\n0\r\nX: y\r\n\r\n",
    "capital": "A\r\n0123456789\r\n0\r\n\r\n",
    "no size": "\r\nabc\r\n0\r\n\r\n",
    "wrong size": "2\r\nabc\r\n0\r\n\r\n",
    "prefixed size": "0x3\r\nabc\r\n0\r\n\r\n",
    "negative size": "-3\r\nabc\r\n0\r\n\r\n",
    "no end": "3\r\nabc\r\n",
    "cut": "9\r\nabc",
}


@pytest.mark.parametrize("name", CHUNKED)
def test_chunked(pair: Pair, name: str) -> None:
    """Bodies of no stated length go gunicorn's way."""
    coding = "Transfer-Encoding: chunked"
    sent = request("/plain?read", coding, method="PUT", body=CHUNKED[name])
    same(pair, sent)
    same(pair, sent + request("/plain?after"))


def test_unread_chunked(pair: Pair) -> None:
    """What is left of such a body ends its connection: its end is not known."""
    coding = "Transfer-Encoding: chunked"
    for body in CHUNKED.values():
        sent = request("/plain?unread", coding, method="PUT", body=body)
        theirs, ours = (exchange(address, sent) for address in pair)
        assert theirs.startswith(ours)
        assert ours.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("sent", [0, 1, 9])
def test_short_body(pair: Pair, sent: int) -> None:
    """A body that ends early is as short in both, and ends the connection."""
    head = request("/plain", "Content-Length: 10", method="PUT")
    same(pair, head + b"x" * sent)


def test_pipelined(pair: Pair) -> None:
    """Requests that come at once are answered in their order."""
    numbers = range(12)
    sent = b"".join(request(f"/plain?{number}") for number in numbers)
    answer = same(pair, sent)
    assert re.findall(rb'"QUERY_STRING": \["str", "(\d+)"', answer) == [
        b"%d" % number for number in numbers
    ]
    mixed = [
        request("/plain?read", "Content-Length: 3", method="PUT", body="abc"),
        request("/plain", method="HEAD"),
        request("/plain", "Connection: close"),
        request("/plain?never"),
    ]
    assert b"never" not in same(pair, b"".join(mixed))


@pytest.mark.parametrize("size", [1, 3, 17])
def test_pieces(pair: Pair, size: int) -> None:
    """A request may come byte by byte."""
    sent = request("/plain?read", "Content-Length: 4", method="PUT", body="abcd")
    pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
    same(pair, *pieces, between=0.002)


def make_head(choose: random.Random) -> bytes:
    """Return a request that is put together at random."""
    method = choose.choice(["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"])
    target = choose.choice(
        ["/plain", "/plain?read", "/plain?some", "/%41", "//", "/\xe9"]
    )
    version = choose.choices(["HTTP/1.1", "HTTP/1.0", "HTTP/1.2"], [18, 1, 1])[0]
    names = [name for name in HEADS if "header" not in name and "huge" not in name]
    headers = [
        line for _ in range(choose.randrange(4)) for line in HEADS[choose.choice(names)]
    ]
    body = choose.choice(["", "", "abc", "GET / HTTP/1.1\r\n\r\n"])
    if body and choose.random() < 0.8:
        headers.append(f"Content-Length: {len(body)}")
    sent = request(target, *headers, method=method, version=version, body=body)
    if choose.random() < 0.2:
        at = choose.randrange(len(sent))
        sent = sent[:at] + bytes([choose.randrange(256)]) + sent[at + 1 :]
    return sent


@pytest.mark.parametrize("seed", range(8))
def test_random_heads(pair: Pair, seed: int) -> None:
    """Whatever is put together, valid or not, both answer the same."""
    choose = random.Random(seed)
    for _ in range(40):
        sent = make_head(choose)
        theirs, ours = (exchange(address, sent) for address in pair)
        if b"text/html" in theirs:
            theirs, ours = (each.partition(b"\r\n")[0] for each in (theirs, ours))
        assert ours == theirs, sent


def test_socket_of_the_system(pair: Pair) -> None:
    """The environ is the same where there are no ports."""
    same(pair, request(), unix=True)
    same(pair, request("/plain", "Connection: close"), unix=True)
    same(pair, b"GET /plain HTTP/1.1\r\nHost: a.b:1234\r\n\r\n", unix=True)


@pytest.fixture
def pair_below(tmp_path: Path) -> Iterator[Pair]:
    """Return where both listen with ``SCRIPT_NAME`` in their environment."""
    yield from running(tmp_path, {"SCRIPT_NAME": "/below"})


def test_script_name_of_the_process(pair_below: Pair) -> None:
    """gunicorn serves below the path that its environment names; so do we."""
    same(pair_below, request("/below/plain"))


# Answers


#: status, headers and parts of a body. A blank in a status is written as ``_``.
ANSWERS = {
    "sized": "200_OK', [['Content-Length', '3']], ['abc']",
    "sized in parts": "200_OK', [['Content-Length', '3']], ['a', '', 'bc']",
    "unsized": "200_OK', [], ['abc']",
    "unsized parts": "200_OK', [], ['a', '', 'bc']",
    "unsized nothing": "200_OK', [], []",
    "empty parts": "200_OK', [], ['', '']",
    "sized nothing": "200_OK', [['Content-Length', '0']], []",
    "too long": "200_OK', [['Content-Length', '3']], ['abc', 'def']",
    "too long at once": "200_OK', [['Content-Length', '3']], ['abcdef']",
    "too short": "200_OK', [['Content-Length', '3']], ['a']",
    "no content": "204_No_Content', [], []",
    "content of no content": "204_No_Content', [], ['abc']",
    "length of no content": "204_No_Content', [['Content-Length', '0']], []",
    "not modified": "304_Not_Modified', [['Content-Length', '3']], ['abc']",
    "not modified unsized": "304_Not_Modified', [], []",
    "created": "201_Created', [['Content-Length', '0'], ['Location', '/x']], ['']",
    "error": "404_Not_Found', [['Content-Length', '2'], ['X-Y', 'z']], ['no']",
    "no reason": "299', [['Content-Length', '0']], []",
    "repeated": "200_OK', [['Warning', 'a'], ['Warning', 'b']], ['abc']",
    "length in other case": "200_OK', [['content-LENGTH', '3']], ['abc']",
    "connection": "200_OK', [['Content-Length', '0'], ['Connection', 'close']], []",
    "keep-alive": "200_OK', [['Keep-Alive', 'a'], ['Content-Length', '0']], []",
    "coding": "200_OK', [['Transfer-Encoding', 'chunked']], ['abc']",
    "server": "200_OK', [['Server', 'me'], ['Content-Length', '0']], []",
    "date": "200_OK', [['Date', 'now'], ['Content-Length', '0']], []",
    "blanks": "200_OK', [['X', '  a  '], ['Content-Length', '0']], []",
}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
@pytest.mark.parametrize("name", ANSWERS)
def test_answers(pair: Pair, name: str, method: str) -> None:
    """Every form of answer is framed the same, and what follows it too."""
    target = "/?['" + ANSWERS[name].replace(" ", "") + "]"
    sent = request(target, method=method)
    assert same(pair, sent)
    same(pair, sent + request("/plain?after"))
    same(pair, request("/closed"))


#: for HEAD gunicorn reads a body that fails, and ours does not.
APPLICATIONS = [
    ("GET", "/lazy"), ("GET", "/raises"), ("GET", "/raises-later"), ("GET", "/error"),
    ("GET", "/raises-later-chunked"), ("GET", "/file"), ("GET", "/file-unsized"),
    ("GET", "/memory-file"), ("HEAD", "/lazy"), ("HEAD", "/raises"), ("HEAD", "/error"),
    ("HEAD", "/file"), ("HEAD", "/file-unsized"), ("HEAD", "/memory-file"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), APPLICATIONS)
def test_applications(pair: Pair, path: str, method: str) -> None:
    """Applications that fail, are lazy, or answer with files."""
    sent = request(path, method=method)
    assert same(pair, sent)
    same(pair, sent + request("/plain?after"))


@pytest.mark.parametrize("path", ["/sender", "/sender-ends", "/sender-fails"])
def test_content_that_sends_itself(pair: Pair, path: str) -> None:
    """It is asked to; where it does not send all, the connection ends short of it."""
    theirs, ours = (
        exchange(each, request(path) + request("/plain?after")) for each in pair
    )
    assert b"0123HTTP/1.1 200" in theirs
    if path == "/sender":
        assert ours.startswith(theirs.partition(b"0123")[0] + b"sentHTTP/1.1 200")
    else:
        assert ours == theirs.partition(b"0123")[0] + b"se"
    same(pair, request(path, method="HEAD") + request("/plain?after"))


def test_short_way_is_taken(pair: Pair) -> None:
    """And so two ways are compared: the short one alone has no early hints."""
    theirs, ours = (exchange(address, request("/hints")) for address in pair)
    assert theirs.endswith(b"True")
    assert ours.endswith(b"False")


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


@dataclass
class Connection:
    """Both ends of a connection, and a body that comes over it."""

    ours: socket.socket
    theirs: socket.socket
    unreader: Unreader

    def body(self, length: int) -> SocketBody:
        """Return a body of a length."""
        return SocketBody(self.unreader, self.ours, length)


@pytest.fixture
def connection() -> Iterator[Connection]:
    """Return a connection on which ``ab`` was received already."""
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    with ours, theirs:
        yield Connection(ours, theirs, Unreader(b"ab"))


def test_read1_waits_for_no_more_than_is_there(connection: Connection) -> None:
    """It gives what came with the head, then what has arrived."""
    body = connection.body(10)
    assert body.read1(100) == b"ab"
    connection.theirs.sendall(b"cd")
    assert body.read1() == b"cd"
    assert body.left == 6
    assert not body.failed


def test_read1_of_nothing(connection: Connection) -> None:
    """Nothing is asked for, nothing is received."""
    body = connection.body(10)
    assert body.read1(0) == b""
    assert body.read(0) == b""
    assert body.left == 10


def test_read_waits_for_all(connection: Connection) -> None:
    """It gives as much as is asked for when that comes in parts."""
    body = connection.body(6)
    sender = threading.Timer(0.05, connection.theirs.sendall, [b"ef"])
    connection.theirs.sendall(b"cd")
    sender.start()
    assert body.read(6) == b"abcdef"
    sender.join()
    assert body.read(1) == b""
    assert not body.failed


@pytest.mark.parametrize("size", [None, -1, 10**12])
def test_read_of_all(connection: Connection, size: int | None) -> None:
    """However all is asked for."""
    connection.theirs.sendall(b"cd")
    assert connection.body(4).read(size) == b"abcd"


def test_readinto(connection: Connection) -> None:
    """It fills a part of a buffer and says how much; readers of lines stand on it."""
    body = connection.body(8)
    connection.theirs.sendall(b"\nc\ndef")
    buffer = bytearray(5)
    assert body.readinto(buffer) == 2
    assert bytes(buffer) == b"ab\0\0\0"
    assert body.readinto(memoryview(buffer)[:1]) == 1
    assert body.readline() == b"c\n"
    assert list(io.BufferedReader(body)) == [b"def"]
    assert body.readinto(buffer) == 0


def test_short_body_that_ends(connection: Connection) -> None:
    """What came is given, then nothing, and the connection is of no use."""
    body = connection.body(5)
    connection.theirs.sendall(b"c")
    connection.theirs.shutdown(socket.SHUT_WR)
    assert body.read() == b"abc"
    assert body.failed
    assert body.read() == body.read1() == b""


def test_body_that_is_reset(connection: Connection) -> None:
    """An error of the connection is raised and remembered."""
    body = connection.body(5)
    assert body.read1() == b"ab"
    connection.ours.close()
    with pytest.raises(OSError, match="closed|descriptor"):
        body.read1()
    assert body.failed


def test_body_that_stalls(connection: Connection) -> None:
    """A time-out is raised; what came before it was given and is not lost."""
    body = connection.body(5)
    connection.ours.settimeout(0.02)
    assert body.read1() == b"ab"
    with pytest.raises(TimeoutError):
        body.read1()
    assert body.failed
    assert body.left == 3


@pytest.mark.parametrize("length", [0, 1, 2])
def test_next_request_is_kept(connection: Connection, length: int) -> None:
    """What was received beyond the body is still there, and nothing is received."""
    body = connection.body(length)
    connection.theirs.sendall(b"later")
    assert body.read() == b"ab"[:length]
    assert connection.unreader.data == b"ab"[length:]
    assert connection.ours.recv(10) == b"later"


def test_no_byte_of_the_next_request_is_received(connection: Connection) -> None:
    """A body ends at its length when more has arrived."""
    connection.theirs.sendall(b"cdGET /")
    body = connection.body(4)
    assert body.read(100) == b"abcd"
    assert body.left == 0
    assert connection.ours.recv(10) == b"GET /"
