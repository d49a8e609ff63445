"""Mail by SMTP, with TLS. A repetition has the same Message-ID, by which mailboxes know it."""

import contextlib
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import formatdate, parseaddr
from urllib.parse import unquote, urlsplit

from core.erp.alerting.service.carrying import Parcel
from core.erp.kernel.outbox import RetryLater
from core.outbound.messages.refused import MessageRefused

_SECURE, _START_TLS, _PLAIN = "smtps", "smtp", "smtp+plain"
SCHEMES = {_SECURE: 465, _START_TLS: 587, _PLAIN: 25}
"""smtps: TLS from the first byte; smtp: STARTTLS, without which nothing is said; smtp+plain: none (on one machine)."""
_LASTING = 500


class Mail:
    """One SMTP server. `timeout`: seconds for each answer, so that a conversation stays within the outbox's lease."""

    def __init__(self, url: str, sender: str, *, context: ssl.SSLContext | None = None, timeout: float = 8.0) -> None:
        self._parts, self._sender, self._timeout = urlsplit(url), sender, timeout
        self._context = context or ssl.create_default_context()

    def send(self, parcel: Parcel, link: str) -> None:
        """Hands the message over. Raises RetryLater where it may be taken later, MessageRefused where never."""
        try:
            with self._connected() as server:
                server.send_message(self._letter(parcel, link), self._sender, [parcel.address])
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()))
            raise self._meant(code, said) from error
        except smtplib.SMTPDataError as error:
            raise self._meant(error.smtp_code, error.smtp_error) from error
        except smtplib.SMTPResponseException as error:  # of the conversation, not of this message
            raise RetryLater(f"mail: {error.smtp_code} {_text(error.smtp_error)}") from error
        except (smtplib.SMTPException, OSError) as error:
            raise RetryLater(f"mail: {type(error).__name__}: {error}") from error

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        parts = self._parts
        host, port = parts.hostname or "localhost", parts.port or SCHEMES[parts.scheme]
        server: smtplib.SMTP
        if parts.scheme == _SECURE:
            server = smtplib.SMTP_SSL(host, port, timeout=self._timeout, context=self._context)
        else:
            server = smtplib.SMTP(host, port, timeout=self._timeout)
        try:
            if parts.scheme == _START_TLS:
                server.starttls(context=self._context)
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            yield server
            with contextlib.suppress(smtplib.SMTPException, OSError):  # it was taken, however they part
                server.quit()
        finally:
            server.close()

    def _letter(self, parcel: Parcel, link: str) -> EmailMessage:
        letter = EmailMessage()
        letter["From"], letter["To"], letter["Subject"] = self._sender, parcel.address, parcel.subject
        letter["Date"] = formatdate(usegmt=True)
        domain = parseaddr(self._sender)[1].partition("@")[2] or "localhost"
        letter["Message-ID"] = f"<{parcel.key}-{parcel.proof}@{domain}>"
        # no robot answers it, and so nothing goes round in a ring
        letter["Auto-Submitted"], letter["X-Auto-Response-Suppress"] = "auto-generated", "All"
        letter.set_content(f"{parcel.body}\n\n{link}\n")
        return letter

    @staticmethod
    def _meant(code: int, said: bytes | str) -> Exception:
        detail = f"mail: {code} {_text(said)}"
        return MessageRefused(detail) if code >= _LASTING else RetryLater(detail)


def _text(said: bytes | str) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else said
