"""What is wrong with the fields of a desk's form, as its error summary says it."""

from collections.abc import Mapping
from dataclasses import dataclass

from core.erp.kernel.words import Message
from core.web.frame.templating import Words


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one field: where a click on the summary leads."""

    id: str
    label: str
    error: str


def faults(words: Words, labels: Mapping[str, str], errors: Mapping[str, Message]) -> list[Fault]:
    """Every error by its field; `labels` has the ids of what the fields are called."""
    return [Fault(f"f-{name}", words.label(labels.get(name, name)), words.say(what)) for name, what in errors.items()]
