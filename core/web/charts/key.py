"""The sentences of a chart's key, and of what is pointed at."""

from core.web.frame.templating import Words

KEY = {
    "proven": "web.chart_key_proven",
    "uncertain": "web.chart_key_uncertain",
    "unproven": "web.chart_key_unproven",
    "limit": "web.chart_key_limit",
    "band": "web.chart_key_band",
    "broke": "web.chart_key_broke",
    "held": "web.chart_key_held",
    "signature": "web.chart_key_signature",
    "document": "web.chart_key_document",
    "envelope": "web.chart_key_envelope",
    "gap_here": "web.chart_key_gap_here",
    "uncertain_here": "web.chart_key_uncertain_here",
}
"""By mark: the message that says what it means."""


def chart_words(words: Words) -> dict[str, str]:
    """By mark: what it means."""
    return {name: words.t(message) for name, message in KEY.items()}
