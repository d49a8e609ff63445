"""Lists, records and forms as pages: what is typed is kept, sent once, and shown to whom it belongs."""

import itertools
import re
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import Engine, text

from core.erp.catalog.service import create_site
from core.erp.kernel.access.users import Place
from core.erp.kernel.records import read
from core.erp.kernel.unit import system, unit
from core.web.records.finding import scanned
from core.wiring import build_events
from tests.pages import Browser, filled, pages, text_of

_numbers = itertools.count(1)


def room() -> dict[str, str]:
    """Another cold room for each test."""
    return {"address": f"suzhou/cold/room-{next(_numbers)}", "name": "Cold room 1", "site_id": "suzhou"}


def count(engine: Engine, address: str) -> int:
    with engine.connect() as conn:
        found = conn.execute(text("SELECT count(*) FROM zone WHERE address = :a"), {"a": address})
        return int(found.scalar_one())


SCRIPT = '<script>alert("x")</script>\u202e=1+1 \U0001f9ca'


@pytest.fixture(scope="module")
def people(module_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Browser]]:
    with unit(module_engine, system("test"), build_events()) as u:
        suzhou = create_site(u, "suzhou", "Suzhou plant", "Asia/Shanghai").id
        berlin = create_site(u, "berlin", "Berlin depot", "Europe/Berlin").id
    roles = {"eng": ["admin"], "bea": ["buyer"], "bo": ["admin"], "ada": ["admin"], "qa": ["qa"], "wall": ["display"]}
    places = {"eng": Place((suzhou,)), "bo": Place((berlin,))}
    with pages(module_engine, tmp_path_factory.mktemp("pages"), roles, places) as found:
        yield found


def test_a_page_names_its_language_and_has_one_heading(people: dict[str, Browser]) -> None:
    page = people["eng"].get("/zones")
    assert '<html lang="en">' in page
    assert len(re.findall("<h1", page)) == 1
    assert 'href="#main"' in page


def test_a_record_is_made_changed_and_its_history_told(people: dict[str, Browser], module_engine: Engine) -> None:
    eng = people["eng"]
    cold = room()
    made = eng.send("/zones/new", {**cold, "band_low": "2", "band_high": "8"})
    assert "Cold room 1" in text_of(eng.get(made.headers["location"]))
    eng.send(f"{made.headers['location']}/edit", {"name": "Cold room A"})
    read = text_of(eng.get(f"{made.headers['location']}/record"))
    assert "Cold room 1 → Cold room A" in read
    assert count(module_engine, cold["address"]) == 1


def test_a_refused_form_keeps_what_was_typed_and_says_at_which_field(people: dict[str, Browser]) -> None:
    eng = people["eng"]
    answer = eng.send("/zones/new", {**room(), "name": SCRIPT, "site_id": "nowhere", "band_low": "warm"}, 422)
    read = text_of(answer.text)
    assert "no site is called “nowhere”" in read
    assert "is no number" in read
    assert 'href="#f-site_id"' in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert" in answer.text


def test_a_form_sent_twice_is_posted_once(people: dict[str, Browser], module_engine: Engine) -> None:
    eng = people["eng"]
    key = re.search('name="_key" value="([^"]+)"', eng.get("/zones/new"))
    assert key is not None
    cold = room()
    fields = {"_key": key[1], **cold}
    one, two = (eng.client.post("/zones/new", data=fields) for _ in range(2))
    assert (one.status_code, two.status_code) == (303, 303)
    assert one.headers["location"] == two.headers["location"]
    assert count(module_engine, cold["address"]) == 1


def test_a_form_of_an_ended_session_waits_behind_the_sign_in(people: dict[str, Browser], module_engine: Engine) -> None:
    eng = people["bo"]
    eng.get("/zones/new")
    eng.client.cookies.clear()
    cold = room()
    answer = eng.client.post("/zones/new", data={**cold, "name": "typed by hand"})
    assert answer.status_code == 401
    assert "nothing was posted" in text_of(answer.text)
    kept = dict(re.findall('<input type="hidden" name="([^"]+)" value="([^"]*)"', answer.text))
    resumed = eng.client.post("/login", data={**kept, "login": "bo", "password": "correct horse battery"})
    assert "typed by hand" in resumed.text
    again = eng.client.post("/zones/new", data={"name": "typed by hand", "_resume": "1"})
    assert 'value="typed by hand"' in again.text
    assert count(module_engine, cold["address"]) == 0


def test_who_saw_an_older_record_is_told_who_changed_it(people: dict[str, Browser]) -> None:
    eng = people["eng"]
    at = eng.send("/zones/new", room()).headers["location"]
    seen = filled(eng.form(f"{at}/edit"))
    eng.send(f"{at}/edit", {"name": "Cold room A"})
    answer = eng.client.post(f"{at}/edit", data={**seen, "name": "Cold room B"})
    assert answer.status_code == 409
    told = text_of(answer.text)
    assert re.search(r"Eng, \d+ \w+ \d\d:\d\d: Changed", told), told
    assert "Cold room 1 → Cold room A" in told
    assert 'value="Cold room B"' in answer.text


def test_nobody_sees_or_picks_what_is_of_another_site(people: dict[str, Browser]) -> None:
    cold = room()
    at = people["eng"].send("/zones/new", cold).headers["location"]
    bo = people["bo"]
    assert cold["address"] not in bo.get("/zones")
    assert "There is no" not in bo.get(at, 404)
    assert bo.client.post(f"{at}/edit", data={"name": "mine", "_version": "1"}).status_code == 404
    assert cold["address"] not in bo.get(f"/pick/zone?q={cold['address']}")
    assert cold["address"] in people["eng"].get(f"/pick/zone?q={cold['address']}")


def test_who_lacks_the_permit_is_told_so_and_a_missing_page_is_404(people: dict[str, Browser]) -> None:
    assert people["bea"].client.get("/zones/new").status_code == 403
    assert people["wall"].client.post("/zones/new", data={"name": "x"}).status_code == 403
    assert people["eng"].client.get("/zones/999").status_code == 404
    assert people["eng"].client.get("/zones/abc").status_code == 404


def test_what_nobody_serves_is_a_page_here_and_a_problem_below_the_api(people: dict[str, Browser]) -> None:
    client = people["qa"].client
    answer = client.get("/no-such-page", headers={"accept-language": "zh", "accept": "text/html"})
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "没有" in text_of(answer.text)
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    for method, path, status in (
        ("GET", "/api/v1/no-such", 404),
        ("GET", "/api", 404),
        ("DELETE", "/api/v1/sites", 405),
    ):
        answer = client.request(method, path)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), path
    assert "GET" in answer.headers["allow"]
    assert client.request("PUT", "/plant").status_code == 405


def test_signing_in_over_a_session_ends_it(people: dict[str, Browser]) -> None:
    """Whoever was signed in at this browser before is signed out: nobody could end that session afterwards."""
    first = people["eng"].client.cookies["lotwise_session"]
    fields = {"login": "bea", "password": "correct horse battery", "back": "/"}
    with httpx.Client(base_url=people["eng"].client.base_url, cookies={"lotwise_session": first}) as shared:
        assert shared.get("/plant").status_code == 200
        assert shared.post("/login", data=fields | {"password": "wrong"}).status_code == 401
        assert shared.get("/plant").status_code == 200
        assert shared.post("/login", data=fields).status_code == 303
    assert people["eng"].client.get("/plant").headers["location"].startswith("/login?why=out")
    assert people["eng"].sign_in().status_code == 303


def test_a_browser_finds_its_icon(people: dict[str, Browser]) -> None:
    client = people["eng"].client
    for page in ("/", "/login"):
        icon = re.search(r'<link rel="icon"[^>]* href="([^"]+)"', client.get(page).text)
        assert icon is not None
        assert client.get(icon[1]).headers["content-type"] == "image/svg+xml"
    assert client.get("/favicon.ico").status_code == 200


def test_another_site_signs_nobody_in_and_posts_nothing(people: dict[str, Browser]) -> None:
    eng = people["eng"]
    foreign = {"origin": "https://elsewhere.example"}
    fields = {"login": "eng", "password": "correct horse battery"}
    assert eng.client.post("/login", data=fields, headers=foreign).status_code == 403
    assert eng.client.post("/zones/new", data={"name": "x"}, headers=foreign).status_code == 403


def test_after_signing_in_one_is_led_to_our_own_pages_only(people: dict[str, Browser]) -> None:
    for back, led in (
        ("/zones?sort=address", "/zones?sort=address"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
    ):
        assert people["eng"].sign_in(back=back).headers["location"] == led


def test_pages_run_no_script_but_ours(people: dict[str, Browser]) -> None:
    answer = people["eng"].client.get("/zones")
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert re.search(r"<[^>]+ (style|on\w+)=", answer.text) is None


def test_the_language_is_the_readers_choice(people: dict[str, Browser]) -> None:
    eng = people["bea"]
    answer = eng.client.post("/language", data={"language": "zh", "back": "/zones"})
    assert answer.headers["location"] == "/zones"
    page = eng.get("/zones")
    assert 'lang="zh-Hans"' in page
    assert "筛选" in page


def test_a_list_is_filtered_sorted_and_paged_by_its_address(people: dict[str, Browser]) -> None:
    eng = people["eng"]
    for number in range(30):
        eng.send("/zones/new", {**room(), "address": f"suzhou/paged/room-{number:02}", "name": f"Room {number}"})
    first = eng.get("/zones?q=suzhou/paged&sort=-address")
    assert "room-29" in first
    assert "room-04" not in first
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following is not None
    assert "room-04" in eng.get(following[1].replace("&amp;", "&"))
    assert "30 found" in text_of(first)
    assert "Nothing matches these filters" in text_of(eng.get("/zones?site_id=999999999999999999999"))


def test_one_search_finds_everything_by_name_and_opens_what_is_called_so(people: dict[str, Browser]) -> None:
    eng, cold = people["eng"], room()
    at = eng.send("/zones/new", cold).headers["location"]
    assert eng.client.get("/find", params={"q": cold["address"]}).headers["location"] == at
    assert cold["address"] in eng.get("/find?q=suzhou/cold")
    assert cold["address"] not in people["bo"].get("/find?q=suzhou/cold")


def test_a_scanned_code_is_looked_for_by_its_serial_lot_and_handling_unit() -> None:
    assert scanned("]d201069357186000101726123110B7240\x1d21S1") == [
        "]d201069357186000101726123110B7240\x1d21S1",
        "S1",
        "B7240",
    ]
    assert scanned("10123456") == ["10123456"]
    assert scanned("WO-1") == ["WO-1"]


def test_an_act_on_what_somebody_else_has_changed_is_told_and_not_done(people: dict[str, Browser]) -> None:
    bea, qa = people["bea"], people["qa"]
    at = qa.send("/tasks/new", {"title": "count the stock", "permit": "task.act"}).headers["location"]
    del bea
    seen = filled(qa.form(f"{at}/cancel"))
    qa.send(f"{at}/take", {})
    answer = qa.client.post(f"{at}/cancel", data={**seen, "reason": "typed by hand"})
    assert answer.status_code == 409
    told = text_of(answer.text)
    assert re.search(r"Qa, \d+ \w+ \d\d:\d\d: Take", told), told
    assert "Open → Taken" in told
    assert "typed by hand" in answer.text
    again = qa.client.post(f"{at}/cancel", data={**filled(answer.text), "reason": "typed by hand"})
    assert again.status_code == 303


def test_people_are_found_by_name_or_login_by_who_may_give_them_something_to_do(people: dict[str, Browser]) -> None:
    qa = people["qa"]
    offers = re.findall(r'<option value="([^"]*)">([^<]*)', qa.get("/pick/person?q=be"))
    assert offers == [("bea", "Bea")]
    assert people["wall"].client.get("/pick/person?q=be").status_code == 403
    assert "bo" not in [
        one for one, _ in re.findall(r'<option value="([^"]*)">([^<]*)', people["eng"].get("/pick/person"))
    ]
    at = qa.send("/tasks/new", {"title": "call the carrier", "permit": "task.act", "assignee": ""}).headers["location"]
    assert 'data-pick="/pick/person"' in qa.get(f"{at}/hand-over")
    nobody = qa.send(f"{at}/hand-over", {"to": "Nobody Known"}, 422)
    assert "Nobody Known" in text_of(nobody.text)
    qa.send(f"{at}/hand-over", {"to": "Bea"})
    assert "bea" in text_of(qa.get(at))


def test_a_long_history_goes_on_behind_a_link(people: dict[str, Browser]) -> None:
    eng = people["eng"]
    at = eng.send("/zones/new", room()).headers["location"]
    for number in range(51):
        eng.send(f"{at}/edit", {"name": f"Called {number}"})
    first = eng.get(f"{at}/record")
    assert "Called 50" in text_of(first)
    assert "Cold room 1 → Called 0" not in text_of(first)
    following = re.search(r'rel="next" href="(\?history=[^"#]+)', first)
    assert following is not None
    earlier = text_of(eng.get(f"{at}/record{following[1]}"))
    assert "Cold room 1 → Called 0" in earlier
    assert "Created" in earlier


def test_a_form_of_a_verb_says_of_what_it_is(people: dict[str, Browser]) -> None:
    eng, cold = people["eng"], room()
    address = eng.send("/zones/new", {**cold, "name": "Cold room beside the dock"}).headers["location"]
    said = text_of(eng.get(f"{address}/withdraw"))
    assert "Cold room beside the dock" in said.partition("Withdraw")[2]
    assert "Suzhou plant" in said


def test_sites_of_a_user_are_ticked_by_name_and_stay_when_something_else_is_changed(people: dict[str, Browser]) -> None:
    ada = people["ada"]
    fields = {"login": "nia", "name": "Nia", "password": "first only 1234", "roles": ["warehouse"]}
    made = ada.send("/users/new", {**fields, "place.site_ids": ["suzhou"]}).headers["location"]
    assert "Suzhou plant" in text_of(ada.get(made))
    begun = filled(ada.form(f"{made}/change"))
    assert begun["place.site_ids"] == "suzhou"
    ada.send(f"{made}/change", {"place.language": "zh"})
    assert "Suzhou plant" in text_of(ada.get(made))
    ada.send(f"{made}/change", {"place.site_ids": []})
    assert "Suzhou plant" not in text_of(ada.get(made).partition('id="history"')[0])


def test_an_empty_list_says_what_comes_into_it_and_where_to_begin(people: dict[str, Browser]) -> None:
    page = people["ada"].get("/alerts")
    assert "What people are told of comes here" in text_of(page)
    assert re.search(r'<a class="b" href="/alert-routes">', page)
    assert re.search(r'class="empty">.*<a class="b b-go" href="/points/new">', people["eng"].get("/points"))
    assert "What people are told of" not in text_of(people["ada"].get("/alerts?state=open"))


def test_what_is_counted_of_some_sites_ends_sooner_and_says_so(
    people: dict[str, Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        people["eng"].send("/zones/new", room())
    monkeypatch.setattr(read, "COUNTED_OF_SITES", 2)
    assert "more than 2" in text_of(people["eng"].get("/zones"))
    assert "more than 2" not in text_of(people["ada"].get("/zones"))
