"""What people read is in both languages: every id is there, with its parameters, and none is there in vain."""

import re
from collections import Counter
from zoneinfo import ZoneInfo

import pytest
from pydantic_core._pydantic_core import list_all_errors

from core.erp.kernel import modules
from core.erp.kernel.deadlines.terms import terms
from core.erp.kernel.errors import LotwiseError
from core.erp.kernel.named import kinds
from core.erp.kernel.permits import Role, declared
from core.erp.kernel.records.declare import Entity
from core.erp.kernel.records.registry import entities
from core.erp.kernel.tabular import report  # noqa: F401 - an error's class is found once its module is loaded
from core.erp.kernel.tabular.record_columns import imported
from core.erp.kernel.words import CHINESE, ENGLISH, LANGUAGES, Template, catalogue
from core.erp.kernel.words.catalogues import folders
from core.erp.kernel.workflow import Workflow, workflows
from core.telemetry.catalogue import PLACEHOLDER, read
from core.web.frame.templating import Words
from core.web.records.acts import act_said
from core.web.records.word_ids import choice_ids, field_ids, filter_ids
from tests.architecture.said_in_code import ERRORS, acts, constants, families_used, raised_in_sql, said

FAMILIES = (
    "problem",
    "record",
    "records",
    "empty",
    "state",
    "move",
    "button",
    "field",
    "permit",
    "role",
    "meaning",
    "term",
    "workflow",
    "value",
    "choice",
    "filter",
)
"""First words of ids that are no module's."""
THE_SAME = frozenset[str]()
"""Ids whose text is the same in both languages."""
RESERVED = {"id", "params", "detail", "type", "title", "status", "extra"}
"""What a problem document has already."""
MENDING = re.compile(r"core/series/ddl|core/ingest/ddl").match
"""Where the database refuses nobody but ourselves: partitions are made and dropped by the core alone."""
SENTENCES_LEFT = 0
"""English sentences that no id stands for yet."""


def _kinds(kind: type[LotwiseError]) -> set[type[LotwiseError]]:
    return {kind}.union(*(_kinds(one) for one in kind.__subclasses__()))


def _words() -> dict[str, set[str]]:
    """Families that modules make of their own words (`WORDS` in their rules)."""
    found: dict[str, set[str]] = {}
    for rules in modules.found("rules"):
        for family, names in getattr(rules, "WORDS", {}).items():
            found.setdefault(family, set()).update(map(str, names))
    return found


def _declared() -> set[str]:
    """The ids of the families, from what is registered."""
    found = {f"permit.{permit}" for permit in declared()}
    found |= {f"record.{kind}" for kind in kinds()}
    found |= {f"role.{role}" for role in Role}
    found |= {f"{family}.{name}" for family, names in _words().items() for name in names}
    found |= {f"term.{name}" for name in terms()}
    for cycle in workflows().values():
        found |= _of_cycle(cycle)
    for entity in entities().values():
        found |= _of_entity(entity)
    return found | choice_ids() | field_ids() | filter_ids()


def _buttons() -> set[str]:
    """Verbs whose button may say more than their word in a refusal."""
    return {f"button.{entity.name}.{verb.name}" for entity in entities().values() for verb in entity.verbs}


def _of_entity(entity: Entity) -> set[str]:
    """What a list and a record of it show: its names, its fields, and what may be done with it.

    `NAME_message` is `NAME` for programs.
    """
    return {
        f"record.{entity.name}",
        f"records.{entity.name}",
        f"empty.{entity.name}",
        *(entity.field(name).id for name in entity.shape.model_fields if not name.endswith("_message")),
        *(entity.field(field.name).id for field in imported(entity) or ()),
        *(f"move.{entity.name}.{verb.name}" for verb in entity.verbs),
    }


def _of_cycle(cycle: Workflow) -> set[str]:
    return {
        f"record.{cycle.noun}",
        *(f"state.{cycle.noun}.{state}" for state in cycle.states),
        *(f"move.{cycle.noun}.{move}" for move in cycle.moves),
        *(move.meaning for move in cycle.moves.values() if move.meaning is not None),
    }


def test_the_errors_that_the_source_is_searched_for_are_those_there_are() -> None:
    assert {kind.__name__ for kind in _kinds(LotwiseError)} >= ERRORS
    ours = {kind for kind in _kinds(LotwiseError) if kind.__module__.startswith("core.")}
    assert {kind.__name__ for kind in ours} == ERRORS, "add it to said_in_code.ERRORS"


def test_both_languages_say_the_same_ids_with_the_same_parameters() -> None:
    english, chinese = catalogue(ENGLISH), catalogue(CHINESE)
    assert set(english) == set(chinese)
    assert [one for one in english if english[one].placeholders != chinese[one].placeholders] == []


def test_every_id_belongs_to_the_module_that_keeps_it() -> None:
    strange = [
        (str(path), name)
        for path in folders()
        for name, _ in read(path, ENGLISH)
        if name.partition(".")[0] not in {path.parent.parent.name, *FAMILIES, *_words()}
    ]
    assert strange == []


def test_every_id_told_is_in_the_catalogue_with_exactly_its_parameters() -> None:
    english = catalogue(ENGLISH)
    wrong = []
    for one in said():
        if one.id is None:
            continue
        template = english.get(one.id)
        if template is None:
            wrong.append(f"{one.where}: {one.id} is in no catalogue")
        elif one.params is not None and one.params != set(template.placeholders):
            wrong.append(f"{one.where}: {one.id} is given {sorted(one.params)}, says {sorted(template.placeholders)}")
    assert wrong == []


def test_whatever_is_registered_has_its_words() -> None:
    titles = {f"problem.{kind.title.lower().replace(' ', '_')}" for kind in _kinds(LotwiseError)}
    assert sorted((_declared() | titles) - set(catalogue(ENGLISH))) == []


def test_whatever_the_trail_says_was_done_is_said_in_words() -> None:
    known = acts()
    assert len(known) > 50
    for language in LANGUAGES:
        words = Words(language, ZoneInfo("UTC"))
        assert [one for one in sorted(known) if act_said(one, words) == one] == []


def test_no_word_is_kept_in_vain() -> None:
    used, declared = (
        names_in(constants()),
        _declared() | _buttons() | {f"value.{one['type']}" for one in list_all_errors()},
    )
    others = [name for name in catalogue(ENGLISH) if name not in declared and not name.startswith("problem.")]
    assert [name for name in others if name not in used] == []


def names_in(text: str) -> set[str]:
    """Every run of words with dots between them, and every part of it: `a.b.c`, `a.b`, `b.c` of `a.b.c`."""
    found: set[str] = set()
    for run in set(re.findall(r"\w+(?:\.\w+)+", text)):
        words = run.split(".")
        found.update(".".join(words[first:last]) for last in range(2, len(words) + 1) for first in range(last - 1))
    return found


def test_what_pydantic_refuses_is_told_with_what_it_knows() -> None:
    known = {f"value.{one['type']}": set(one["example_context"] or ()) for one in list_all_errors()}
    words = {name: set(text.placeholders) for name, text in catalogue(ENGLISH).items() if name in known}
    assert len(words) > 30
    assert {name: names - known[name] for name, names in words.items() if names - known[name]} == {}


def test_ids_that_are_put_together_are_of_a_family_that_is_declared() -> None:
    assert families_used() - {*FAMILIES, *_words()} == set()


def test_what_the_database_refuses_it_says_by_id() -> None:
    assert [one for one in raised_in_sql() if "DETAIL = lotwise_message(" not in one[1] and not MENDING(one[0])] == []


def test_no_parameter_takes_a_name_of_the_problem_document() -> None:
    assert [name for name, text in catalogue(ENGLISH).items() if RESERVED & set(text.placeholders)] == []


def test_chinese_is_chinese() -> None:
    english, chinese = catalogue(ENGLISH), catalogue(CHINESE)
    the_same = {name for name, text in chinese.items() if text.forms[-1] == english[name].forms[-1]}
    assert the_same == THE_SAME
    without = {name for name, text in chinese.items() if not _has_chinese(text) and _has_words(english[name])}
    assert without == THE_SAME


def _has_chinese(text: Template) -> bool:
    return all(re.search(r"[\u4e00-\u9fff]", form) for form in text.forms)


def _has_words(text: Template) -> bool:
    """Whether it is more than its parameters and the signs between them."""
    return any(re.search(r"[A-Za-z]", PLACEHOLDER.sub("", form)) for form in text.forms)


def test_chinese_has_its_own_signs_between_its_words() -> None:
    half = re.compile(r"[\u4e00-\u9fff}][,;:!?](?![\w/])|[\u4e00-\u9fff] ?\(|[\u4e00-\u9fff]\.(?:\s|$)")
    assert [(name, form) for name, text in catalogue(CHINESE).items() for form in text.forms if half.search(form)] == []


def test_what_people_are_told_has_an_id() -> None:
    sentences = Counter(one.where.rpartition(":")[0] for one in said() if one.id is None)
    assert sentences.total() <= SENTENCES_LEFT, sentences.most_common(20)


@pytest.mark.parametrize("language", LANGUAGES)
def test_catalogues_are_in_order_of_their_ids(language: str) -> None:
    for path in folders():
        names = [name for name, _ in read(path.with_name(f"{language}.po"), language)]
        assert names == sorted(names), path
