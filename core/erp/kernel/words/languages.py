"""The languages that there are, and which of them a browser asks for."""

ENGLISH, CHINESE = "en", "zh"
LANGUAGES = (ENGLISH, CHINESE)
"""The first speaks where nobody asks for another."""


def accepted(header: str | None) -> str:
    """The language of an Accept-Language header (RFC 9110, 12.5.4) that is ours and most wanted, English without one.

    Any Chinese (`zh`, `zh-CN`, `zh-Hans`, `zh-TW`) is answered in the one that there is.
    """
    best, weight = ENGLISH, 0.0
    for part in (header or "").split(","):
        name, _, rest = part.strip().partition(";")
        language, wanted = name.strip().lower().partition("-")[0], _weight(rest)
        if language in LANGUAGES and wanted > weight:
            best, weight = language, wanted
    return best


def _weight(parameters: str) -> float:
    """The `q` of one language: 1 without one, 0 for what is no number."""
    name, _, value = parameters.partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
