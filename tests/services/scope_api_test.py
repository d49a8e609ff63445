"""A foreign id through every route: two sites, and people who belong to one of them only."""

import re
from collections.abc import Iterator
from typing import Any

import httpx

from core.erp.exposure.model import SourceWatermark
from core.erp.kernel.named import kind_named, kinds
from core.erp.kernel.records.registry import entities
from core.erp.kernel.tabular.model import ImportLine
from core.erp.kernel.unit import Unit
from core.ingest.model import GatewayEpoch, IngestAlarm
from lotwise.reference import api_description
from tests.services.two_sites_api import NOW, PASSWORD, Sites, sites

__all__ = ["sites"]

ECHOED = {"/readings", "/readings/chart"}
"""Answers that name what was asked for."""
BY_HAND = {"/imports", "/imports/files"}
"""Routes that read their body themselves; what they look for is in their own tests."""


ABSENT = 987654321
OWN_LABELS = {"work_centre": "near-WC", "alternatives": "near-WC", "zone": "near/a/room"}
"""Texts that name records of one's own site, instead of what examples have."""
LINKED = {"parent_id": "zone", "consignee_id": "partner", "way_id": "contact_way"}
"""Fields that say by a `Link` what they name."""


def kind_of_field(name: str) -> str | None:
    return LINKED.get(name) or kind_named(name)


def kind_of(path: str, name: str) -> str | None:
    """What an id in a path names."""
    if name != "record_id":
        return {"consignee_id": "field_action_consignee"}.get(name) or kind_named(name)
    first = path.strip("/").partition("/")[0]
    return next((one.name for one in entities().values() if one.path == first), None)


def filled(path: str, ids: dict[str, int]) -> tuple[str, list[str]]:
    """(the path with these ids, the kinds that they are of)."""
    named: list[str] = []

    def one(match: re.Match[str]) -> str:
        kind = kind_of(path, match[1])
        if kind is None or kind not in ids:
            return "high" if match[1] == "kind" else "1"
        named.append(kind)
        return str(ids[kind])

    return re.sub(r"\{(\w+)\}", one, path), named


def asked(operation: dict[str, Any], ids: dict[str, str]) -> dict[str, Any]:
    """Values of the query parameters that must be there."""
    given = {"start": "2026-03-01T00:00:00Z", "stop": "2026-03-03T00:00:00Z", "purpose": "sale", **ids}
    return {
        one["name"]: given[one["name"]]
        for one in operation.get("parameters", ())
        if one.get("required") and one["in"] == "query"
    }


def test_no_read_tells_of_another_site(sites: Sites) -> None:
    reader, leaks = sites.token("reader"), set()
    point = {"point": "distant/a/room/p/temperature", "format": "csv"}
    seen = 0
    for method, path, operation in sites.operations():
        if method != "GET":
            continue
        address, named = filled(path, sites.far)
        answer = sites.client.get(f"/api/v1{address}", params=asked(operation, point), headers=reader)
        seen += 1
        if named or path in ECHOED:
            assert answer.status_code == 404, (path, answer.text)
        elif "distant" in answer.text.lower():
            leaks.add(path)
        else:
            assert answer.status_code in {200, 403, 404}, (path, answer.text)
    assert seen > 60
    assert leaks == set(), sorted(leaks)


def test_people_of_the_site_see_their_own(sites: Sites) -> None:
    """The same reads with the ids of one's own site: what is refused above is refused for the site alone."""
    reader = sites.token("reader")
    for method, path, operation in sites.operations():
        address, named = filled(path, sites.home)
        if method != "GET" or not named or "attachment" in path or "dispatch-list" in path:
            continue
        answer = sites.client.get(f"/api/v1{address}", params=asked(operation, {"format": "csv"}), headers=reader)
        told_of = answer.status_code == 200 or "storage profile" in answer.text
        assert told_of, (path, answer.text)


def with_ids(value: Any, ids: dict[str, int], name: str = "", at_: tuple[str, ...] = ()) -> Any:
    """An example of a body with these ids in it."""
    if isinstance(value, dict):
        return {key: with_ids(one, ids, key, (*at_, key)) for key, one in value.items()}
    if isinstance(value, list):
        return [with_ids(one, ids, name, at_) for one in value]
    if isinstance(value, str) and (name in OWN_LABELS or name == "reference"):
        return OWN_LABELS.get(name, f"shipment:{ids['shipment']}")
    kind = kind_of_field(name)
    return ids[kind] if isinstance(value, int) and kind in ids else value


def fields(value: Any, name: str = "") -> Iterator[str]:
    """Names of the fields of a body that name records of a kind that has sites."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from fields(one, key)
    elif isinstance(value, list):
        for one in value:
            yield from fields(one, name)
    elif isinstance(value, int) and kind_of_field(name) is not None:
        yield name


def swapped(value: Any, name: str, record: int | str, own: str = "") -> Any:
    if isinstance(value, dict):
        return {key: swapped(one, name, record, key) for key, one in value.items()}
    if isinstance(value, list):
        return [swapped(one, name, record, own) for one in value]
    return record if own == name else value


def test_no_act_takes_an_id_of_another_site(sites: Sites) -> None:
    who, count = [sites.token("boss"), sites.token("manager")], 0
    for method, path, operation in sites.operations():
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
        if method == "GET" or path in BY_HAND or "/attachments" in path:
            continue
        home, foreign = with_ids(body, sites.home), []
        if method == "PATCH":
            home = {**home, "version": 1}
        address, named = filled(path, sites.far)
        if named:
            foreign.append((address, home, named))
        own, _ = filled(path, sites.home)
        for field in set(fields(home)):
            kind = kind_of_field(field) or ""
            if kind in sites.far:
                foreign.append((own, swapped(home, field, sites.far[kind]), [kind]))
        for address, given, kinds_ in foreign:
            answers = [sites.client.request(method, f"/api/v1{address}", json=given, headers=one) for one in who]
            if isinstance(given, dict) and "password" in given and "roles" not in given:
                assert {one.status_code for one in answers} == {403}, (path, "a signature begins with the password")
                continue
            answer = next((one for one in answers if one.status_code != 403), answers[0])
            assert answer.status_code == 404, (method, path, given, answer.text)
            said = answer.json()
            assert any(said.get(f"{kind}_id") == sites.far[kind] for kind in kinds_), (path, given, said)
            assert "distant" not in answer.text
            count += 1
    assert count > 60


CALLED = {
    "address": "{}/a/room/p/humidity",
    "alternatives": "{}-WC",
    "assignee": "{}.user",
    "done_on": "{}-WC",
    "gateway": "{}-gateway",
    "owner": "{}.user",
    "point": "{}/a/room/p/temperature",
    "reference": "shipment:{}",
    "shipment": "{}-SH",
    "to": "{}.user",
    "work_centre": "{}-WC",
    "zone": "{}/a/room",
}
"""Fields by which a body names a record or a person by what they are called, and how those of a site are. The serial
of a logger is none: any device may travel, known or not.
"""
OPTIONAL = {("POST", "/tasks"): ("assignee",), ("POST", "/ingest/dead-letters/replay"): ("gateway", "point")}
"""Those that no example of the body has."""


def called(value: Any, name: str = "") -> Iterator[str]:
    """The fields of a body that hold such a name."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from called(one, key)
    elif isinstance(value, list):
        for one in value:
            yield from called(one, name)
    elif isinstance(value, str) and name in CALLED:
        yield name


def test_no_act_takes_what_is_called_so_at_another_site(sites: Sites) -> None:
    """Labels, logins and references: one of the other site is answered as one that is nowhere."""
    who, seen = [sites.token("boss"), sites.token("manager")], set()
    for method, path, operation in sites.operations():
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
        if method == "GET" or path in BY_HAND or not isinstance(body, dict):
            continue
        home = with_ids(body, sites.home)
        address, _ = filled(path, sites.home)
        for field in {*called(home), *OPTIONAL.get((method, path), ())}:
            told = []
            for place, number in (("distant", sites.far["shipment"]), ("nowhere", ABSENT)):
                label = CALLED[field].format(number if field == "reference" else place)
                given = swapped(home, field, label)
                if field not in given and field in OPTIONAL.get((method, path), ()):
                    given |= {field: label}
                answers = [sites.client.request(method, f"/api/v1{address}", json=given, headers=one) for one in who]
                answer = next((one for one in answers if one.status_code != 403), answers[0])
                unnamed = re.sub(rf"\b{number}\b", "X", answer.text) if field == "reference" else answer.text
                said = unnamed.replace(place, "X")
                told.append((answer.status_code, said))
            assert told[0] == told[1], (method, path, field)
            assert told[0][0] in {403, 404, 409, 422}, (method, path, field, told[0])
            seen.add(field)
    assert {"assignee", "owner", "point", "reference", "to", "work_centre"} <= seen


def test_an_import_is_seen_and_undone_by_who_sees_all_that_it_made(sites: Sites) -> None:
    boss, plant = sites.token("boss"), sites.plant
    listed = sites.client.get("/api/v1/import-runs", headers=boss).json()["items"]
    assert [one["file"] for one in listed] == ["near.csv"]
    undo = {"reason": "wrong file"}
    for run in (sites.far["import_run"], ABSENT):
        answer = sites.client.post(f"/api/v1/import-runs/{run}/undo", json=undo, headers=boss)
        assert (answer.status_code, answer.json()["id"]) == (404, "kernel.no_record")
    assert plant.one(f"SELECT lifted_at FROM hold WHERE id = {sites.far['hold']}") is None

    def also_theirs(u: Unit) -> None:
        """A file for both sites."""
        u.session.add(ImportLine(run_id=sites.home["import_run"], line=3, entity="hold", record_id=sites.far["hold"]))

    plant.act("setup", NOW, also_theirs)
    assert sites.client.get("/api/v1/import-runs", headers=boss).json()["items"] == []


def test_a_signature_on_another_sites_goods_is_not_found(sites: Sites) -> None:
    boss = sites.token("boss")
    body = {"decision": "accept", "reason": "x", "login": "boss", "password": PASSWORD, "excursion_ids": [1]}
    far = sites.far["excursion"]
    answer = sites.client.post("/api/v1/dispositions", json=body | {"excursion_ids": [far]}, headers=boss)
    assert (answer.status_code, answer.json()["excursion_id"]) == (404, far)
    answer = sites.client.post(
        f"/api/v1/sublots/{sites.far['sublot']}/release",
        json={"reason": "x", "login": "boss", "password": PASSWORD},
        headers=boss,
    )
    assert (answer.status_code, answer.json()["sublot_id"]) == (404, sites.far["sublot"])


def test_an_act_on_all_of_a_kind_takes_those_of_ones_own_site(sites: Sites) -> None:
    """Named by no id: dead letters to try again, the zones of a source that nobody waits for any more."""
    manager, plant = sites.token("manager"), sites.plant
    answer = sites.client.post("/api/v1/ingest/dead-letters/replay", json={}, headers=manager)
    assert answer.json()["remaining"] == {"unknown_point": 1}
    by_name = {"gateway": "gateway", "reason": "unknown_point", "point": "distant/a/room/p/temperature"}
    answer = sites.client.post("/api/v1/ingest/dead-letters/replay", json=by_name, headers=manager)
    assert answer.status_code == 404

    def spoken(u: Unit) -> None:
        for gateway, ids in (("shared", sites.home), ("shared", sites.far), ("theirs", sites.far)):
            u.session.add(
                SourceWatermark(zone_id=ids["zone"], gateway=gateway, source="probe", upto=NOW, received_at=NOW)
            )

    plant.act("setup", NOW, spoken)
    shown = sites.client.get("/api/v1/ingest/sources", headers=manager).json()
    assert [(one["gateway"], one["zones"]) for one in shown] == [("shared", 1)]
    retire = {"reason": "taken out of service"}
    foreign = sites.client.post("/api/v1/ingest/sources/theirs/probe/retire", json=retire, headers=manager)
    assert foreign.status_code == 404
    shared = sites.client.post("/api/v1/ingest/sources/shared/probe/retire", json=retire, headers=manager)
    assert shared.json()["zones"] == ["near/a/room"]
    left = "SELECT zone_id FROM source_watermark WHERE gateway = 'shared' AND retired_at IS NULL"
    assert plant.one(left) == sites.far["zone"]


def test_a_gateway_is_seen_by_who_sees_all_that_it_speaks_for(sites: Sites) -> None:
    """Gateways have no ids of their own: which epochs there are, what they lack, and who may say that one is lost."""
    boss, plant = sites.token("boss"), sites.plant

    def started(u: Unit) -> None:
        for gateway, ids in (("own", sites.home), ("distant-gw", sites.far), ("both", sites.home), ("both", sites.far)):
            spoken = SourceWatermark(zone_id=ids["zone"], gateway=gateway, source=f"s{ids['zone']}", upto=NOW)
            spoken.received_at = NOW
            u.session.add(spoken)
        for gateway in ("own", "distant-gw", "both"):
            u.session.add(GatewayEpoch(gateway=gateway, epoch="e1", first_seen_at=NOW))
            u.session.add(IngestAlarm(at=NOW, kind="changed", gateway=gateway, detail=f"of {gateway}"))
        u.session.add(IngestAlarm(at=NOW, kind="stopped", partition=3, detail="distant/a/room"))

    plant.act("setup", NOW, started)
    got = {one: sites.client.get(f"/api/v1/ingest/{one}", headers=boss) for one in ("lag", "alarms", "epochs")}
    assert [one["gateway"] for one in got["epochs"].json()["items"]] == ["own"]
    assert {one["gateway"] for one in got["alarms"].json()["items"]} == {"own", None}
    for answer in got.values():
        assert answer.status_code == 200
        assert not any(word in answer.text for word in ("distant", "both"))
    signed = {"reason": "disk replaced", "login": "boss", "password": PASSWORD}
    foreign = [
        sites.client.post(f"/api/v1/ingest/epochs/{gateway}/e1/close", json=signed, headers=boss)
        for gateway in ("distant-gw", "both", "nobody")
    ]
    assert [one.status_code for one in foreign] == [404, 404, 404]
    assert plant.one("SELECT count(*) FROM epoch_closed") == 0
    own = sites.client.post("/api/v1/ingest/epochs/own/e1/close", json=signed, headers=boss)
    assert own.status_code == 201, own.text


def test_what_is_foreign_is_answered_as_what_is_absent(sites: Sites) -> None:
    reader = sites.token("reader")
    for kind in ("sublot", "shipment", "work_order", "hold"):
        path = f"/api/v1/{kind.replace('_', '-')}s"
        answers = [
            sites.client.get(f"{path}/{number}", headers=reader).text.replace(str(number), "N")
            for number in (sites.far[kind], 999999)
        ]
        assert answers[0] == answers[1]


def test_nobody_learns_who_works_at_another_site(sites: Sites) -> None:
    boss = sites.token("boss")

    def given_to(login: str) -> tuple[int, str]:
        body = {"title": "Label pallet 7 anew", "assignee": login, "site_id": sites.home["site"]}
        answer = sites.client.post("/api/v1/tasks", json=body, headers=boss)
        return answer.status_code, answer.text.replace(login, "X")

    assert given_to("distant.user") == given_to("nobody.at.all")
    assert given_to("distant.user")[0] == 404
    assert given_to("near.user")[0] == 201


def test_outside_people_open_nothing(sites: Sites) -> None:
    carrier = sites.token("carrier")
    for method, path, _ in sites.operations():
        address, _ = filled(path, sites.home)
        # what is one's own, and the door of a gateway that has a token of its own
        own = {"/me", "/me/language", "/password", "/instance", "/alert-replies"}
        if path in own or path.startswith("/token"):
            continue
        answer = sites.client.request(method, f"/api/v1{address}", headers=carrier)
        assert answer.status_code == 403, (method, path, answer.text)


def test_whoever_belongs_to_some_sites_reads_the_trail_of_what_they_see(sites: Sites) -> None:
    reader = sites.token("reader")

    def trail(**asked: Any) -> httpx.Response:
        return sites.client.get("/api/v1/audit", params=asked, headers=reader)

    whole = {(one["entity"], one["entity_id"]) for one in trail(limit=500).json()["items"]}
    assert ("sublot", str(sites.home["sublot"])) in whole
    assert ("sublot", str(sites.far["sublot"])) not in whole
    assert not any(entity in {"session", "audit_row"} for entity, _ in whole)
    assert trail(entity="sublot", entity_id=sites.home["sublot"]).json()["items"]
    assert trail(entity="sublot", entity_id=sites.far["sublot"]).json()["items"] == []
    assert trail(entity="session", entity_id="x").json()["items"] == []


def test_a_refusal_does_not_name_what_stands_elsewhere(sites: Sites) -> None:
    """The code is taken, by goods of the other site: that it is taken is told, not by what."""
    boss = sites.token("boss")
    body = {"amount": "1", "zone_id": sites.home["zone"], "code": "distant-S"}
    answer = sites.client.post(f"/api/v1/lots/{sites.home['lot']}/receive", json=body, headers=boss)
    assert answer.status_code == 409
    assert "distant" not in answer.text


def test_every_id_of_a_request_names_a_kind_that_has_a_scope(sites: Sites) -> None:
    """Those that name nothing of a site stand here, written by hand."""
    nothing = {"row_id", "restoration_id", "attachment_id", "record_id", "entity_id"}
    unknown = set()
    for _, path, operation in sites.operations():
        for one in operation.get("parameters", ()):
            name = one["name"]
            if re.fullmatch(r"\w+_ids?", name) and kind_of_field(name) is None and name not in nothing:
                unknown.add((path, name))
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        shapes = api_description()["components"]["schemas"]
        for name in properties(body, shapes, set()):
            if re.fullmatch(r"\w+_ids?", name) and kind_of_field(name) is None and name not in nothing:
                unknown.add((path, name))
    assert unknown == set()
    assert "sublot" in kinds()


def properties(schema: Any, shapes: dict[str, Any], seen: set[str]) -> Iterator[str]:
    """Names of all fields of a shape and of those within."""
    if isinstance(schema, list):
        for one in schema:
            yield from properties(one, shapes, seen)
    if not isinstance(schema, dict):
        return
    reference = str(schema.get("$ref", "")).rpartition("/")[2]
    if reference and reference not in seen:
        yield from properties(shapes[reference], shapes, seen | {reference})
    yield from schema.get("properties", {})
    for part in (*schema.get("properties", {}).values(), *(schema.get(key) for key in ("anyOf", "items", "allOf"))):
        yield from properties(part, shapes, seen)
