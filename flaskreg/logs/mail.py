"""The mail hook of the log: lines of some levels are sent to somebody.

Source: CNCF distribution's ``log.hooks`` of type ``mail``, whose levels, subject and
body these are. A mail is sent by a thread of its own; nothing waits for the server.
"""

from __future__ import annotations

import logging
import os
import queue
import smtplib
import socket
import ssl
import sys
import threading
import time
from collections.abc import Collection
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage

from flaskreg.logs.formatters import level_of


#: mails that may wait; what comes when there are more is counted and not sent.
WAITING = 100

#: how long a mail server may take for each step, in seconds.
TIMEOUT = 20.0

#: how long the end of the process waits for the mails that are left, in seconds.
LAST = 5.0

#: names of levels in the configuration, and the levels of lines that they name.
LEVELS = {
    "panic": "fatal",
    "fatal": "fatal",
    "error": "error",
    "warn": "warning",
    "warning": "warning",
    "info": "info",
    "debug": "debug",
    "trace": "debug",
}


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Where mails go.

    :param address: ``host:port`` of the server.
    :param username: ``""`` for no login.
    :param verify: whether the server's certificate is verified.
    """

    address: str
    sender: str
    recipients: Sequence[str]
    username: str = ""
    password: str = ""
    verify: bool = True

    def send(self, subject: str, text: str) -> None:
        """Send one mail, encrypted where the server can.

        :raises OSError: the server does not take it.
        :raises smtplib.SMTPException: likewise.
        """
        message = EmailMessage()
        message["Subject"] = subject
        message["From"] = self.sender
        message["To"] = ", ".join(self.recipients)
        message.set_content(text)
        host, _, port = self.address.rpartition(":")
        with smtplib.SMTP(host.strip("[]"), int(port), timeout=TIMEOUT) as server:
            server.ehlo()
            if server.has_extn("starttls"):
                server.starttls(context=self._context())
                server.ehlo()
            if self.username:
                server.login(self.username, self.password)
            server.send_message(message, self.sender, list(self.recipients))

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class MailHandler(logging.Handler):
    """Sends lines of some levels.

    :param mailbox: where to.
    :param levels: the levels, by their names in the configuration.
    """

    def __init__(self, mailbox: Mailbox, levels: Collection[str]) -> None:
        super().__init__()
        self._mailbox = mailbox
        self._levels = {LEVELS[level] for level in levels}
        self._queue: queue.Queue[tuple[str, str]] = queue.Queue(WAITING)
        self._sender: tuple[int, threading.Thread] | None = None
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Let a line be sent, if its level is one of those."""
        level = level_of(record)
        if level not in self._levels:
            return
        first = record.getMessage().partition("\n")[0][:200]
        subject = f"[{level}] {socket.gethostname()}: {first}"
        try:
            self._queue.put_nowait((subject, self.format(record)))
        except queue.Full:
            self._lost += 1
        self._ensure_sender()

    def close(self) -> None:
        """Wait a while for the mails that are left."""
        deadline = time.monotonic() + LAST
        while self._queue.unfinished_tasks and time.monotonic() < deadline:
            if self._sender is None or self._sender[0] != os.getpid():
                break
            time.sleep(0.05)
        super().close()

    def _ensure_sender(self) -> None:
        """Start the thread, in each process that has something to send."""
        if self._sender is not None and self._sender[0] == os.getpid():
            return
        thread = threading.Thread(target=self._run, name="mail", daemon=True)
        self._sender = (os.getpid(), thread)
        thread.start()

    def _run(self) -> None:
        while True:
            subject, text = self._queue.get()
            lost, self._lost = self._lost, 0
            if lost:
                text += f"\n\n{lost} further lines were not sent."
            try:
                self._mailbox.send(subject, text)
            except (OSError, smtplib.SMTPException, ValueError) as error:
                # Not logged: that line would be the next mail.
                sys.stderr.write(f"flaskreg: a mail was not sent: {error}\n")
            finally:
                self._queue.task_done()
