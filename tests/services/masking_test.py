"""A refusal is masked whatever class it is of, and whatever that is made of."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from core.app import create_app  # noqa: F401 - declares every error there is
from core.erp.catalog.model import Site
from core.erp.kernel.errors import LotwiseError, NotFound
from core.erp.kernel.masking import MASKED, mask
from core.erp.kernel.tabular.report import NothingImported
from core.erp.kernel.unit import Actor, system, unit
from core.erp.kernel.words import Message
from core.wiring import build_events

NEAR = Actor("nora", sites=frozenset({1}))


def kinds(of: type[LotwiseError] = LotwiseError) -> Iterator[type[LotwiseError]]:
    yield of
    for one in of.__subclasses__():
        yield from kinds(one)


@pytest.fixture
def two_sites(engine: Engine) -> Engine:
    with unit(engine, system("test"), build_events()) as u:
        u.session.add_all([Site(code="near", name="Near"), Site(code="distant", name="Distant")])
    return engine


@pytest.mark.parametrize("kind", [one for one in kinds() if one not in {NotFound, NothingImported}])
def test_an_error_of_every_class_is_masked(two_sites: Engine, kind: type[LotwiseError]) -> None:
    raised = kind.__new__(kind)
    LotwiseError.__init__(
        raised, "access.approves_own_role", code="distant", login="near", extra={"site_id": 2, "more": [1]}
    )
    raised.beside = "kept"  # type: ignore[attr-defined]  # what a class has of its own
    told = mask(two_sites, NEAR, raised)
    assert type(told) is kind
    assert told.message == Message("access.approves_own_role", code=MASKED, login="near")
    assert told.extra == {"code": MASKED, "login": "near", "site_id": MASKED, "more": [1]}
    assert told.beside == "kept"  # type: ignore[attr-defined]  # as above
    assert raised.extra["code"] == "distant", "the error itself stays as it is, for the log"
    assert mask(two_sites, Actor("ada"), raised) is raised
