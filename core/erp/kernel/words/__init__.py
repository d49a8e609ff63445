"""What people read: messages by id with parameters, and their texts in the languages that there are.

A module keeps its texts beside its code, in `words/en.po` and `words/zh.po`: the msgid is the message's id
(`lots.sublot_held`), the msgstr its text with a placeholder for each parameter (`sublot {code} is held`).
"""

from core.erp.kernel.words.catalogues import catalogue
from core.erp.kernel.words.languages import CHINESE, ENGLISH, LANGUAGES, accepted
from core.erp.kernel.words.rendering import kept, misfit, render, shown, time_text
from core.telemetry.catalogue import Template
from core.telemetry.message import ID, Message, Parameter, from_json, plain_number, sentence

__all__ = [
    "CHINESE",
    "ENGLISH",
    "ID",
    "LANGUAGES",
    "Message",
    "Parameter",
    "Template",
    "accepted",
    "catalogue",
    "from_json",
    "kept",
    "misfit",
    "plain_number",
    "render",
    "sentence",
    "shown",
    "time_text",
]
