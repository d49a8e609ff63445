"""The excursion desk: what waits is in order of harm, what is typed is kept, what is signed is what was seen."""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from core.erp.catalog.service import create_site
from core.erp.exposure.rules.assess import Certainty
from core.erp.kernel.access.users import Place
from core.erp.kernel.auth import now_utc
from core.erp.kernel.unit import system, unit
from core.erp.lots import service as lots
from core.erp.quality import service as quality
from core.wiring import build_events
from tests.pages import PASSWORD, Browser, filled, pages, text_of
from tests.services.pages_records_test import SCRIPT
from tests.services.quality_plant import Plant, at, build

HOSTILE = '<script>alert("x")</script>=1+1 \U0001f9ca'


@dataclass(frozen=True)
class Desk:
    """A plant, and people at its pages. Every test has goods of its own."""

    plant: Plant
    people: dict[str, Browser]

    def ended(
        self, *, zone: str = "room-a", start: str = "02:00", certainty: Certainty = "proven", number: str | None = None
    ) -> tuple[int, int]:
        """(sublot, its excursion), which has ended."""
        sublot = self.plant.goods(zone=zone, number=number)
        self.plant.judged(
            at("04:00"), sublot, self.plant.breach(start, "03:00", "03:20", zone=zone, certainty=certainty)
        )
        return sublot, self.excursion(sublot)

    def going_on(self, zone: str, certainty: Certainty = "proven") -> int:
        """The excursion of goods that are still out."""
        sublot = self.plant.goods(zone=zone)
        self.plant.judged(
            at("04:00"), sublot, self.plant.breach("02:00", "03:00", None, zone=zone, certainty=certainty)
        )
        return self.excursion(sublot)

    def assessed(self, *, zone: str = "room-a", number: str | None = None) -> tuple[int, int]:
        sublot, excursion = self.ended(zone=zone, number=number)
        self.plant.do("quinn", at("05:00"), quality.assess, excursion, "80 min at 12 °C")
        return sublot, excursion

    def excursion(self, sublot: int) -> int:
        return int(self.plant.one("SELECT id FROM excursion WHERE sublot_id = :s", s=sublot))

    def incident(self, excursion: int) -> int:
        return int(self.plant.one("SELECT incident_id FROM excursion WHERE id = :e", e=excursion))

    def state(self, excursion: int) -> str:
        return str(self.plant.one("SELECT state FROM excursion WHERE id = :e", e=excursion))

    def decide(self, who: str, excursion: int, status: int = 303, **fields: Any) -> str:
        """Opens the page, fills the decision and sends it."""
        sent = {"decision": "accept", "reason": "stability data", "password": PASSWORD, **fields}
        path = f"/excursions/{excursion}"
        form = filled(form_of(self.people[who].get(path), f"{path}/dispositions"))
        answer = self.people[who].client.post(f"{path}/dispositions", data={**form, **sent})
        assert answer.status_code == status, text_of(answer.text)[:2000]
        return answer.text


def form_of(page: str, address: str) -> str:
    found = re.search(rf'<form[^>]*action="{re.escape(address)}".*?</form>', page, re.DOTALL)
    assert found is not None, text_of(page)[:3000]
    return found[0]


def summary_of(page: str) -> str:
    """What stands in the note of what is wrong."""
    found = re.search(r'<div class="note note-err".*?</div></div>', page, re.DOTALL)
    assert found is not None, text_of(page)[:2000]
    return text_of(found[0])


def typed(page: str, name: str) -> str:
    found = re.search(rf'<textarea[^>]* (?:name|id)="{name}"[^>]*>\n?(.*?)</textarea>', page, re.DOTALL)
    assert found is not None, page
    return html.unescape(found[1])


@pytest.fixture(scope="module")
def desk(module_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    plant = build(module_engine)
    with unit(module_engine, system("test"), build_events()) as u:
        elsewhere = create_site(u, "berlin", "Berlin depot", "Europe/Berlin").id
    for zone in ("room-a", "room-b", "dock"):
        plant.alive(zone, now_utc())
    roles = {"qa": ["qa"], "qb": ["qa"], "eng": ["plant_engineer"], "far": ["qa"], "wh": ["warehouse"]}
    with pages(module_engine, tmp_path_factory.mktemp("pages"), roles, {"far": Place((elsewhere,))}) as people:
        yield Desk(plant, people)


def test_what_waits_is_in_order_of_harm(desk: Desk) -> None:
    """Still out before all; then by how surely it is known; then the older first."""
    _, old = desk.ended(zone="room-b", start="00:30")
    _, unsure = desk.ended(zone="truck", start="00:10", certainty="unproven")
    out = desk.going_on("dock")
    page = desk.people["qa"].get("/excursions")
    places = [page.index(f'href="/excursions/{one}"') for one in (out, old, unsure)]
    assert places == sorted(places)
    assert "Still out" in text_of(page)
    assert "1 still out" in text_of(page)


def test_filters_lead_to_the_list_of_all(desk: Desk) -> None:
    _, excursion = desk.ended()
    page = desk.people["qa"].get("/excursions?sort=-id")
    assert f'href="/excursions/{excursion}"' in page
    assert "web." not in text_of(page)


def test_an_excursion_shows_counts_custody_and_what_happened_and_the_decision_before_it(desk: Desk) -> None:
    sublot, excursion = desk.assessed(number="CUSTODY-1")
    page = desk.people["qa"].get(f"/excursions/{excursion}")
    read = text_of(page)
    for said in ("above 8 °C, in one run", "CUSTODY-1", "room-a", "Broken, proven", "1 hold lifts", "80 min at 12 °C"):
        assert said in read, said
    assert f'href="/sublots/{sublot}"' in page
    assert page.index('id="decide"') < page.index('id="told"'), "on a phone the decision comes first"
    assert len(re.findall("<h1", page)) == 1


def test_the_chinese_page_has_no_word_of_ours_left(desk: Desk) -> None:
    _, excursion = desk.assessed()
    for path in ("/excursions", f"/excursions/{excursion}", f"/incidents/{desk.incident(excursion)}"):
        qb = desk.people["qb"]
        qb.client.post("/language", data={"language": "zh", "back": "/zones"})
        read = text_of(qb.get(path))
        qb.client.post("/language", data={"language": "en", "back": "/zones"})
        assert re.findall(r"\b(?:web|quality|lots|state|choice)\.[a-z_.]+", read) == [], path
        assert "偏离" in read


def test_qa_assesses_and_then_decides_with_a_signature_that_stays_visible(desk: Desk) -> None:
    sublot, excursion = desk.ended()
    path = f"/excursions/{excursion}"
    qa = desk.people["qa"]
    assert "/dispositions" not in qa.get(path), "not before it was assessed"
    form = filled(form_of(qa.get(path), f"{path}/assess"))
    assert qa.client.post(f"{path}/assess", data={**form, "assessment": "80 min at 12 °C"}).status_code == 303
    assert desk.state(excursion) == "assessed"
    desk.decide("qa", excursion)
    read = text_of(qa.get(path))
    assert "Qa accepted it at" in read
    assert "stability data" in read
    assert desk.plant.open_holds(sublot) == []
    close = filled(form_of(qa.get(path), f"{path}/close"))
    assert qa.client.post(f"{path}/close", data=close).status_code == 303
    assert desk.state(excursion) == "closed"


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"password": "not my password"}, 403, "the password does not match: nothing was signed"),
        ({"password": ""}, 422, "Password"),
        ({"decision": ""}, 422, "Choose a decision"),
        ({"decision": "restrict"}, 422, "Condition"),
        ({"decision": "restrict", "restriction": "market.only", "names": " , "}, 422, "Which"),
        ({"decision": "restrict", "restriction": "use_by", "use_by": "soon"}, 422, "To be used by"),
        ({"decision": "restrict", "restriction": "remaining_life", "days": "-3"}, 422, "Days of shelf life"),
        ({"login": "qb"}, 403, "sign"),
        ({"reason": "x" * 2001}, 422, "Reason"),
        ({"reason": SCRIPT}, 422, "U+202E"),
    ],
)
def test_a_refusal_keeps_the_reason_and_drops_the_password(
    desk: Desk, fields: dict[str, str], status: int, said: str
) -> None:
    _, excursion = desk.assessed()
    written: dict[str, Any] = {"reason": HOSTILE, **fields}
    page = desk.decide("qa", excursion, status, **written)
    assert said in summary_of(page)
    assert typed(page, "reason") == fields.get("reason", HOSTILE)
    assert "<script>alert" not in page
    assert re.search(r'<input[^>]*name="password"[^>]*value=""', page)
    assert desk.state(excursion) == "assessed"


def test_conditions_are_put_as_they_were_chosen(desk: Desk) -> None:
    cases: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
        ("market.except", {"names": "DE, AT"}, {"except": ["DE", "AT"]}),
        ("purpose.use", {}, {"only": ["use"]}),
        ("use_by", {"use_by": "2027-03-01"}, {"date": "2027-03-01"}),
        ("remaining_life", {"days": "90"}, {"days": 90}),
    )
    for restriction, more, value in cases:
        sublot, excursion = desk.assessed()
        desk.decide("qa", excursion, decision="restrict", restriction=restriction, **more)
        assert desk.plant.one("SELECT value FROM restriction WHERE sublot_id = :s", s=sublot) == value
    assert "Condition: Remaining life: 90" in text_of(desk.people["qa"].get(f"/excursions/{excursion}"))


def test_who_comes_second_is_told_who_was_first_and_keeps_the_reason(desk: Desk) -> None:
    _, excursion = desk.assessed()
    path = f"/excursions/{excursion}"
    form = filled(form_of(desk.people["qb"].get(path), f"{path}/dispositions"))
    desk.decide("qa", excursion)
    sent = {**form, "decision": "reject", "reason": "my own reason", "password": PASSWORD}
    answer = desk.people["qb"].client.post(f"{path}/dispositions", data=sent)
    assert answer.status_code == 409
    assert re.search(r"Qa accepted it at .* Yours was not signed", summary_of(answer.text))
    assert typed(answer.text, "f-kept") == "my own reason"
    assert desk.plant.one("SELECT decision FROM disposition WHERE excursion_id = :e", e=excursion) == "accept"


def test_a_form_sent_twice_signs_once(desk: Desk) -> None:
    _, excursion = desk.assessed()
    path = f"/excursions/{excursion}"
    qa = desk.people["qa"]
    form = filled(form_of(qa.get(path), f"{path}/dispositions"))
    sent = {**form, "decision": "accept", "reason": "stable", "password": PASSWORD}
    assert [qa.client.post(f"{path}/dispositions", data=sent).status_code for _ in range(2)] == [303, 303]
    assert desk.plant.one("SELECT count(*) FROM disposition WHERE excursion_id = :e", e=excursion) == 1


def test_what_has_changed_since_it_was_seen_is_not_signed(desk: Desk) -> None:
    sublot, excursion = desk.assessed()
    path = f"/excursions/{excursion}"
    qa = desk.people["qa"]
    form = filled(form_of(qa.get(path), f"{path}/dispositions"))
    longer = desk.plant.breach("02:00", "03:00", "03:50")
    desk.plant.judged(at("05:30"), sublot, longer)
    sent = {**form, "decision": "accept", "reason": "stable", "password": PASSWORD}
    answer = qa.client.post(f"{path}/dispositions", data=sent)
    assert (answer.status_code, desk.state(excursion)) == (409, "assessed")
    assert "has changed since you saw it" in summary_of(answer.text)
    assert typed(answer.text, "reason") == "stable"
    desk.decide("qa", excursion)
    assert desk.state(excursion) == "dispositioned"


def test_an_incident_is_decided_with_one_signature_and_what_came_since_is_told(desk: Desk) -> None:
    (_, first), (_, second) = (desk.ended(zone="cage") for _ in range(2))
    incident = desk.incident(first)
    assert incident == desk.incident(second)
    path, qa = f"/incidents/{incident}", desk.people["qa"]
    form = filled(form_of(qa.get(path), f"{path}/assess"))
    assert qa.client.post(f"{path}/assess", data={**form, "assessment": "both the same"}).status_code == 303
    form = filled(form_of(qa.get(path), f"{path}/dispositions"))
    _, late = desk.ended(zone="cage")
    sent = {**form, "decision": "accept", "reason": "stable", "password": PASSWORD}
    answer = qa.client.post(f"{path}/dispositions", data=sent)
    assert answer.status_code == 409
    assert str(late) in summary_of(answer.text)
    form = filled(form_of(answer.text, f"{path}/dispositions"))
    assert (form["left"], form["reason"]) == (str(late), "stable")
    again = qa.client.post(f"{path}/dispositions", data={**form, "decision": "accept", "password": PASSWORD})
    assert again.status_code == 303
    assert [desk.state(one) for one in (first, second, late)] == ["dispositioned", "dispositioned", "ended"]


def test_what_nobody_measures_any_more_can_be_assessed_here(desk: Desk) -> None:
    desk.plant.alive("far-room", now_utc() - timedelta(hours=2))
    excursion = desk.going_on("far-room", "unproven")
    path, qa = f"/excursions/{excursion}", desk.people["qa"]
    page = qa.get(path)
    assert "cannot end by itself" in text_of(page)
    form = filled(form_of(page, f"{path}/assess"))
    assert qa.client.post(f"{path}/assess", data={**form, "assessment": "dead sensor"}).status_code == 303
    assert "another excursion opens" in text_of(qa.get(path)), "the signature does not end it"
    desk.decide("qa", excursion)
    other = desk.going_on("dock")
    assert "/assess" not in qa.get(f"/excursions/{other}")
    answer = qa.client.post(f"/excursions/{other}/assess", data={"assessment": "too early", "_key": "k-early"})
    assert (answer.status_code, desk.state(other)) == (409, "open")
    assert "assessed when it has ended" in summary_of(answer.text)


def test_who_may_not_decide_sees_all_and_is_offered_nothing(desk: Desk) -> None:
    _, excursion = desk.assessed()
    page = desk.people["eng"].get(f"/excursions/{excursion}")
    assert "Waits for somebody who may decide" in text_of(page)
    assert "<form" not in page[page.index('id="decide"') : page.index('id="told"')]
    refused = desk.people["eng"].client.post(f"/excursions/{excursion}/dispositions", data={"decision": "accept"})
    assert refused.status_code == 403


def test_another_site_is_not_there(desk: Desk) -> None:
    """Neither its pages, nor its acts, nor a word of it in the inbox; and its goods are not named on others' pages."""
    sublot, excursion = desk.assessed(number="SECRET-LOT")
    incident = desk.incident(excursion)
    far = desk.people["far"]
    for path in (f"/excursions/{excursion}", f"/incidents/{incident}", f"/excursions/{excursion}/sheet"):
        assert far.client.get(path).status_code == 404, path
    sent = {"decision": "accept", "reason": "mine", "password": PASSWORD, "excursion_ids": str(excursion)}
    for path in (f"/excursions/{excursion}", f"/incidents/{incident}"):
        assert far.client.post(f"{path}/dispositions", data=sent).status_code == 404
        assert far.client.post(f"{path}/assess", data={"assessment": "mine", "_key": f"k{path}"}).status_code == 404
    assert far.client.get("/excursions/next").headers["location"] == "/excursions"
    assert "SECRET-LOT" not in far.get("/excursions")
    assert (desk.state(excursion), len(desk.plant.open_holds(sublot))) == ("assessed", 1)


def test_an_excursion_of_another_cannot_be_signed_through_a_page_of_ones_own(desk: Desk) -> None:
    """The ids in the form decide nothing: an excursion's page decides that one, an incident's page its own."""
    _, mine = desk.assessed(zone="room-b")
    _, other = desk.assessed(zone="cage")
    desk.decide("qa", mine, excursion_ids=str(other))
    assert [desk.state(one) for one in (mine, other)] == ["dispositioned", "assessed"]
    path, qa = f"/incidents/{desk.incident(mine)}", desk.people["qa"]
    _, another = desk.assessed(zone="room-b")
    form = filled(form_of(qa.get(path), f"{path}/dispositions"))
    ids = {"excursion_ids": [str(another), str(other)]}
    sent = {**form, **ids, "decision": "accept", "reason": "x", "password": PASSWORD}
    assert qa.client.post(f"{path}/dispositions", data=sent).status_code == 409
    assert [desk.state(one) for one in (another, other)] == ["assessed", "assessed"]


def test_next_leads_from_one_to_the_other_until_nothing_waits(desk: Desk) -> None:
    (_, first), (_, second) = (desk.ended(zone="shipper") for _ in range(2))
    incident = desk.incident(first)
    qa = desk.people["qa"].client
    assert qa.get(f"/excursions/next?after={first}&incident={incident}").headers["location"] == f"/excursions/{second}"


def test_the_evidence_is_a_pdf(desk: Desk) -> None:
    _, excursion = desk.ended()
    answer = desk.people["qa"].client.get(f"/excursions/{excursion}/sheet", timeout=60)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    assert answer.content.startswith(b"%PDF")


def test_goods_held_by_another_reason_stay(desk: Desk) -> None:
    sublot, excursion = desk.assessed(number="HELD-2")
    hold = {"kind": "manual", "reason": "label torn", "since_at": at("03:00")}
    placed = desk.plant.do("quinn", at("05:05"), lots.place_hold, sublot_id=sublot, **hold)[0].id
    page = desk.people["qa"].get(f"/excursions/{excursion}")
    assert f'href="/holds/{placed}" title="label torn"' in page
    assert "stays stopped" in text_of(page)
