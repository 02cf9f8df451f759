"""The handlers of the log, as the configuration wants them."""

from __future__ import annotations

import logging

from flaskreg.config import ConfigError
from flaskreg.config import Settings
from flaskreg.config.log import MailOptions
from flaskreg.logs.formatters import FORMATTERS
from flaskreg.logs.formatters import LineFormatter
from flaskreg.logs.mail import Mailbox
from flaskreg.logs.mail import MailHandler


def make_formatter(settings: Settings) -> LineFormatter:
    """Return the formatter that ``log.formatter`` names."""
    log = settings.log
    return FORMATTERS[log.formatter](log.fields, caller=log.reportcaller)


def make_hooks(settings: Settings) -> list[logging.Handler]:
    """Return the handlers that ``log.hooks`` asks for.

    :raises ConfigError: a mail hook does not say where to, from whom, or to whom.
    """
    handlers: list[logging.Handler] = []
    for at, hook in enumerate(settings.log.hooks):
        if hook.disabled or hook.type != "mail":
            continue
        handler = MailHandler(_mailbox(hook.options, at), hook.levels)
        handler.setFormatter(make_formatter(settings))
        handlers.append(handler)
    return handlers


def _mailbox(options: MailOptions, at: int) -> Mailbox:
    key, smtp = f"log.hooks[{at}].options", options.smtp
    host, _, port = smtp.addr.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ConfigError.wrong(f"{key}.smtp.addr", smtp.addr, "must be host:port")
    if not options.from_ or not options.to:
        raise ConfigError(f"{key}.from and {key}.to are required for a mail hook")
    return Mailbox(
        address=smtp.addr,
        sender=options.from_,
        recipients=options.to,
        username=smtp.username,
        password=smtp.password.get_secret_value() if smtp.password else "",
        verify=not smtp.insecure,
    )


def set_up_logs(settings: Settings) -> None:
    """Let our own log go to standard error and to the hooks, at the configured level.

    What an earlier call had set up is replaced.
    """
    log = logging.getLogger("flaskreg")
    log.setLevel(settings.log.level.upper())
    for handler in list(log.handlers):
        if getattr(handler, "flaskreg", False):
            log.removeHandler(handler)
    errors = logging.StreamHandler()
    errors.setFormatter(make_formatter(settings))
    for handler in (errors, *make_hooks(settings)):
        handler.flaskreg = True  # type: ignore[attr-defined]
        log.addHandler(handler)
    log.propagate = False
