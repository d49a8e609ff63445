"""docs/events.md: what is told, in the same transaction and afterwards, by whom it is told and who acts on it.

Handlers are those that the core registers; who tells is read from its source.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from pydantic import SecretStr

import core
from core.erp.kernel import modules
from core.erp.kernel.events import Event, Handler
from core.erp.kernel.outbox import Outbox
from core.erp.kernel.records.registry import entities
from core.erp.kernel.workflow import workflows
from core.outbound import handlers as outbound
from core.outbound.settings import SHORTEST_WEBHOOK_SECRET, OutboundSettings
from core.wiring import build_events, event_kinds

SOURCE = Path(core.__file__).parent
ANY = "…"
"""What of a topic is only known when it is told."""
WEBHOOK_TOPICS = str(OutboundSettings.model_fields["webhook_topics"].default)
Rows = Sequence[tuple[str, ...]]

LEAD = (
    "A module tells the modules above it in one of two ways. What must happen with it, or may forbid it, is an event: "
    "its handlers run at once, in the same transaction. What may happen later goes into the outbox and is handled row "
    "by row once the transaction is committed. Files are those of `core/` and `core/erp/`.\n"
)
IN_TRANSACTION = (
    "A handler that refuses undoes all of it. Handlers run in the order of their modules; an event that requires one "
    "which nobody registers stops the start."
)
FROM_OUTBOX = (
    "Each handler gets each row by itself, at least once, and none waits for another. `…` stands for what is only "
    "known when it is told. Moves of all life cycles ([life cycles](lifecycles.md)) and changes of all records are "
    "told by the kernel. The webhook gets the topics that `LOTWISE_WEBHOOK_TOPICS` names; shown is what it gets "
    f"without (`{WEBHOOK_TOPICS}`)."
)


@cache
def _trees() -> dict[str, ast.Module]:
    """The source of every file of the core, by its name."""
    files = sorted(SOURCE.glob("**/*.py"))
    return {str(f.relative_to(SOURCE.parent)): ast.parse(f.read_text(encoding="utf-8")) for f in files}


def _calls(method: str) -> Iterator[tuple[str, ast.Module, ast.expr]]:
    """(file, its tree, first argument) of every call of a unit's method of that name."""
    for name, tree in _trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method:
                yield from ((name, tree, first) for first in node.args[:1])


def tellers() -> dict[str, list[str]]:
    """By the name of an in-transaction event: the files that tell it."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, _, argument in _calls("emit"):
        if isinstance(argument, ast.Call) and isinstance(argument.func, ast.Name):
            found[argument.func.id].add(name)
    return {event: sorted(names) for event, names in found.items()}


def topics() -> dict[str, list[str]]:
    """By topic of the outbox: the files that tell it. Moves and changes of records are told by the kernel for all."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, tree, argument in _calls("outbox"):
        topic = _topic(tree, argument)
        if not topic.startswith(ANY):
            found[topic].add(name)
    for cycle in workflows().values():
        for move in cycle.moves:
            found[f"{cycle.noun}.{move}"].add("core/erp/kernel/workflow.py")
    for entity in entities().values():
        acts = [act for act, declared in (("create", entity.create), ("change", entity.change)) if declared]
        for act in acts:
            found[f"{entity.name}.{act}"].add("core/erp/kernel/records/write.py")
    return {topic: sorted(found[topic]) for topic in sorted(found)}


def _topic(tree: ast.Module, argument: ast.expr) -> str:
    if isinstance(argument, ast.Name):
        argument = next(
            node.value
            for node in tree.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == argument.id
        )
    parts = argument.values if isinstance(argument, ast.JoinedStr) else [argument]
    return "".join(part.value if isinstance(part, ast.Constant) else ANY for part in parts)  # type: ignore[misc] # text


def everybodys_outbox() -> Outbox:
    """The handlers of an installation that has Grafana and a webhook, and says nothing of the webhook's topics."""
    outbox, secret = Outbox(), SecretStr("-" * SHORTEST_WEBHOOK_SECRET)
    settings = OutboundSettings.model_construct(
        grafana_url="http://grafana",
        grafana_token=secret,
        webhook_url="http://webhook",
        webhook_secret=secret,
        webhook_topics=WEBHOOK_TOPICS,
    )
    for module in modules.found("handlers"):
        register = getattr(module, "register_outbox", None)
        if register is not None:
            register(*((outbox, settings) if module is outbound else (outbox,)))
    return outbox


def handled(pattern: str, topic: str) -> bool:
    """Whether a handler that wants topics like the pattern gets the topic, or may get one whose end is only known when
    it is told.
    """
    if topic.endswith(ANY) and pattern.startswith(topic.removesuffix(ANY)):
        return True
    wild = {"%": ".*", "_": "."}
    return re.fullmatch("".join(wild.get(sign, re.escape(sign)) for sign in pattern), topic) is not None


def page(written: str, table: Callable[[tuple[str, ...], Rows], str]) -> str:
    """The page."""
    patterns = everybodys_outbox().patterns
    event_head = ("event", "what it says", "told by", "handled by, in this order")
    topic_head = ("topic", "told by", "handled by")
    return "\n".join(
        (
            f"# Events and who handles them\n\n{written}\n",
            LEAD,
            f"## In the same transaction\n\n{IN_TRANSACTION}\n\n{table(event_head, event_rows())}\n",
            f"## Afterwards, from the outbox\n\n{FROM_OUTBOX}\n\n{table(topic_head, topic_rows(patterns))}\n",
        )
    )


def event_rows() -> Rows:
    """In-transaction events: what each says, who tells it, who acts on it in which order."""
    events, told_by = build_events(), tellers()
    rows = []
    for kind in event_kinds():
        acting = [f"{n}. `{name}` ({_where(act)})" for n, (name, act) in enumerate(events.handlers(kind), 1)]
        files = _files(told_by.get(kind.__name__, []))
        rows.append((f"`{kind.__name__}`", _first(kind), files, " ".join(acting) or "nobody"))
    return rows


def topic_rows(patterns: Mapping[str, str]) -> Rows:
    """Topics of the outbox: who tells each, and which handlers (by name: pattern) get it."""
    return [
        (
            f"`{topic}`",
            _files(files),
            ", ".join(f"`{name}`" for name, pattern in patterns.items() if handled(pattern, topic)),
        )
        for topic, files in topics().items()
    ]


def _where(handler: Handler) -> str:
    return _files([f"{handler.__module__.replace('.', '/')}.py"])


def _first(kind: type[Event]) -> str:
    return " ".join((kind.__doc__ or "").split("\n\n")[0].split())


def _files(names: Sequence[str]) -> str:
    return ", ".join(f"`{name.removeprefix('core/').removeprefix('erp/')}`" for name in names)
