"""The mail hook, against a real mail server."""

from __future__ import annotations

import email
import logging
import socket
import threading
import time
from collections.abc import Iterator
from email.message import Message
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from flaskreg.config import ConfigError
from flaskreg.config import Settings
from flaskreg.logs import mail
from flaskreg.logs.mail import Mailbox
from flaskreg.logs.mail import MailHandler
from flaskreg.logs.setup import make_hooks
from flaskreg.logs.setup import set_up_logs


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Sink:
    """A mail server that keeps what it is sent."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, list[str], Message]] = []
        self.controller = Controller(self, "127.0.0.1", free_port())
        self.controller.start()

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Any, envelope: Any
    ) -> str:
        """Keep a mail."""
        del server, session
        message = email.message_from_bytes(envelope.content)
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, message))
        return "250 OK"

    @property
    def address(self) -> str:
        """Return where it listens."""
        return f"127.0.0.1:{self.controller.port}"

    def wait(self, count: int) -> None:
        """Wait for that many mails."""
        deadline = time.monotonic() + 30
        while len(self.mails) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(self.mails) == count


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A mail server of this test."""
    sink = Sink()
    yield sink
    sink.controller.stop()


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    """The package's log, left as it was."""
    log = logging.getLogger("flaskreg")
    kept = log.handlers[:], log.level, log.propagate
    yield log
    for handler in log.handlers:
        if handler not in kept[0]:
            handler.close()
    log.handlers[:], log.level, log.propagate = kept


def settings(address: str, **hook: Any) -> Settings:
    """Return settings with one mail hook."""
    options = {
        "smtp": {"addr": address},
        "from": "registry@example.com",
        "to": ["a@example.com", "b@example.com"],
    }
    hook = {"type": "mail", "levels": ["error"], "options": options, **hook}
    return Settings.model_validate(
        {"storage": {"driver": "inmemory"}, "log": {"hooks": [hook]}}
    )


def test_a_line_of_a_level_is_sent(sink: Sink, log: logging.Logger) -> None:
    """To all recipients, with the line as the body; other levels are not."""
    set_up_logs(settings(sink.address))
    log.warning("not this")
    log.error("the storage broke")
    sink.wait(1)
    ((sender, recipients, message),) = sink.mails
    assert sender == "registry@example.com"
    assert recipients == ["a@example.com", "b@example.com"]
    assert message["Subject"] == f"[error] {socket.gethostname()}: the storage broke"
    assert "level=error" in str(message.get_payload(decode=True))


def test_critical_lines_are_fatal_and_panic(sink: Sink, log: logging.Logger) -> None:
    set_up_logs(settings(sink.address, levels=["panic"]))
    log.critical("the end")
    sink.wait(1)


def test_no_line_of_a_client_makes_a_header(sink: Sink, log: logging.Logger) -> None:
    set_up_logs(settings(sink.address))
    log.error("one\r\nBcc: eve@example.com")
    sink.wait(1)
    assert sink.mails[0][2]["Bcc"] is None
    assert sink.mails[0][1] == ["a@example.com", "b@example.com"]


def test_a_server_that_is_gone_delays_nobody(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What waits is bounded, and what was lost is told with the next mail."""
    mailbox = Mailbox("127.0.0.1:1", "a@b", ["c@d"])
    sent = threading.Event()
    texts: list[str] = []
    handler = MailHandler(mailbox, ["error"])
    release = threading.Event()

    class Slow(Mailbox):
        def send(self, subject: str, text: str) -> None:
            release.wait(30)
            texts.append(text)
            if len(texts) > mail.WAITING:
                sent.set()
            raise ConnectionRefusedError(subject)

    handler._mailbox = Slow("", "", [])
    for _ in range(mail.WAITING + 5):
        handler.emit(logging.makeLogRecord({"msg": "x", "levelname": "ERROR"}))
        time.sleep(0.001)
    release.set()
    assert sent.wait(30)
    assert any("further lines were not sent" in text for text in texts)
    handler.close()
    assert "a mail was not sent" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"smtp": {"addr": "nowhere"}, "from": "a", "to": ["b"]}, "smtp.addr"),
        ({"smtp": {"addr": ""}, "from": "a", "to": ["b"]}, "smtp.addr"),
        ({"smtp": {"addr": "h:25"}, "to": ["b"]}, ".from"),
        ({"smtp": {"addr": "h:25"}, "from": "a"}, ".to"),
    ],
)
def test_a_hook_that_cannot_work_is_an_error(
    options: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        make_hooks(settings("h:25", options=options))


@pytest.mark.parametrize("hook", [{"disabled": True}, {"type": "other"}])
def test_a_hook_that_is_off_does_nothing(hook: dict[str, Any]) -> None:
    """Distribution knows no other type than mail, and ignores it."""
    assert make_hooks(settings("", **hook)) == []
