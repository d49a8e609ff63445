"""Ten thousand lines through the page: tried, faults told by their lines, and the good ones alone imported."""

import json
import re
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from tests.pages import Browser, filled, pages, text_of
from tests.world import judging

LINES = 10_000
BAD = (7, 5_000, 9_999)
"""Lines of the file (its heading is the first) that name nothing."""


@pytest.fixture(scope="module")
def ada(module_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    judging(module_engine)
    with pages(module_engine, tmp_path_factory.mktemp("pages"), {"ada": ["admin"]}) as people:
        yield people["ada"]


def file() -> bytes:
    lines = (f"long{line},{'' if line in BAD else f'Long {line}'}" for line in range(2, LINES + 2))
    return "\n".join(["Code,Name", *lines]).encode()


def items(engine: Engine) -> int:
    with engine.connect() as conn:
        return int(conn.execute(text("SELECT count(*) FROM item WHERE code LIKE 'long%'")).scalar_one())


def test_ten_thousand_lines_are_tried_and_the_good_ones_imported(ada: Browser, module_engine: Engine) -> None:
    form, sent = filled(ada.form("/items/import")), {"file": ("long.csv", file())}
    tried = ada.client.post("/items/import", data={**form, "act": "try"}, files=sent, timeout=300)
    read = text_of(tried.text)
    assert tried.status_code == 200, read[:1500]
    for line in BAD:
        assert re.search(rf'<th scope="row" class="num">{line}</th>', tried.text), line
    assert items(module_engine) == 0, "it was only tried"
    good = {**form, "_key": "good-lines", "act": "import", "mode": "good"}
    answer = ada.client.post("/items/import", data=good, files=sent, headers={"x-progress": "1"}, timeout=300)
    told = [json.loads(line) for line in answer.text.splitlines()]
    assert (told[-2]["done"], told[-2]["of"]) == (LINES, LINES)
    assert re.fullmatch(r"/import-runs/\d+", told[-1]["to"]), told[-1]
    assert items(module_engine) == LINES - len(BAD)
