"""The page of patterns shows every state in both languages, and only a test instance has it."""

from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from core.app import create_app
from core.erp.kernel.workflow import workflows
from core.settings import Settings
from core.web.frame.installing import install
from core.web.frame.templating import Words
from tests.pages import Browser, pages, text_of
from tests.services.pages_crawl_test import RAW
from tests.serving import serving


@pytest.fixture(scope="module")
def tess(module_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with pages(module_engine, tmp_path_factory.mktemp("pages"), {"tess": ["tester"]}) as people:
        yield people["tess"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_state_is_there_in_words(tess: Browser, language: str) -> None:
    tess.client.post("/language", data={"language": language, "back": "/"})
    read = text_of(tess.get("/patterns"))
    words = Words(language, ZoneInfo("UTC"))
    missing = [
        (cycle.noun, state)
        for cycle in workflows().values()
        for state in cycle.states
        if words.label(f"state.{cycle.noun}.{state}") not in read
    ]
    assert missing == []
    assert RAW.search(read) is None


def test_a_live_instance_has_no_such_page(engine: Engine, tmp_path: Path) -> None:
    settings = Settings(instance="live", secret_key=SecretStr("s" * 40), data_dir=tmp_path)
    app = create_app(settings, engine, run_background=False)
    install(app)
    with serving(app) as client:
        assert client.get("/patterns").status_code == 404


def test_an_address_of_nothing_is_a_page_for_people_and_a_document_for_programs(tess: Browser) -> None:
    shown = tess.client.get("/nowhere", headers={"accept": "text/html"})
    assert shown.status_code == 404
    assert "Not found" in text_of(shown.text)
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    assert tess.client.get("/nowhere").json()["status"] == 404
    assert tess.client.get("/api/v1/nowhere", headers={"accept": "text/html"}).json()["status"] == 404
