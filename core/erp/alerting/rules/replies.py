"""What somebody says by answering a message: their own words, without what mail programs quote below them. Pure."""

import re
from email.message import EmailMessage
from email.utils import parseaddr

LONGEST = 500
"""Letters of an answer that are kept."""
_QUOTED = re.compile(
    r"(>|On .+ wrote:$|Am .+ schrieb.*:$|-- ?$|-{3,} ?(Original|Forwarded|原始邮件|转发邮件)|_{5,}$"
    r"|(From|Von|发件人)[:：]|.*写道[:：]$)"
)
_NAMED = re.compile(r"^\s*#\s?(\d{1,18})\b[\s:：,，.]*")
_MESSAGE = re.compile(r"message-(\d{1,18})-([0-9a-f]{16})@")
_SPACE = re.compile(r"\s+")


def own_words(text: str) -> str:
    """Up to the first line that is quoted; in one line."""
    lines = []
    for line in text.splitlines():
        if _QUOTED.match(line.strip()):
            break
        lines.append(line)
    return _SPACE.sub(" ", " ".join(lines)).strip()[:LONGEST]


def named(text: str) -> tuple[int | None, str]:
    """The message that an answer names (`#123 …`), and the rest."""
    found = _NAMED.match(text)
    return (int(found[1]), text[found.end() :].strip()) if found else (None, text)


def is_echo(text: str, *ours: str) -> bool:
    """Whether it says only what we have said: a robot that sends back what it was sent takes nothing."""
    plain = _SPACE.sub(" ", text).strip().casefold()
    return any(plain and plain in _SPACE.sub(" ", one).casefold() for one in ours)


def by_robot(letter: EmailMessage) -> bool:
    """Whether no person has written it: an answer that somebody is away, a bounce, a list (RFC 3834)."""
    automatic = str(letter.get("Auto-Submitted", "no")).partition(";")[0].strip().casefold() != "no"
    bulk = str(letter.get("Precedence", "")).strip().casefold() in {"bulk", "junk", "list", "auto_reply"}
    nobody = str(letter.get("Return-Path", "<x>")).strip() == "<>"
    return automatic or bulk or nobody or any(name in letter for name in ("X-Autoreply", "X-Autorespond", "List-Id"))


def sender_of(letter: EmailMessage) -> str:
    """The address that it is from."""
    return parseaddr(str(letter.get("From", "")))[1]


def answered(letter: EmailMessage) -> tuple[int, str] | None:
    """The message that a mail answers, with the proof that its writer has got it."""
    for name in ("In-Reply-To", "References"):
        found = _MESSAGE.search(str(letter.get(name, "")))
        if found is not None:
            return int(found[1]), found[2]
    return None


def body_of(letter: EmailMessage) -> str:
    """Its plain text."""
    part = letter.get_body(("plain",))
    return str(part.get_content()) if part is not None else ""
