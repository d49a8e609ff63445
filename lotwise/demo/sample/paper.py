"""What people did with the sample's goods: decisions, holds, shipments, orders, certificates, CAPA."""

import io
import json
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from core.erp.capa import service as capa
from core.erp.kernel.attachments import service as attachments
from core.erp.kernel.signatures import Signing, prove
from core.erp.kernel.unit import Unit, transact
from core.erp.kernel.words import Message, kept
from core.erp.lots import service as lots
from core.erp.partners.model import SupplierCertificate
from core.erp.partners.service import verify_certificate
from core.erp.quality import service as quality
from lotwise.demo.sample.floor import make
from lotwise.demo.sample.movement import ship
from lotwise.demo.sample.site import PASSWORD, Sample, add

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def write(sample: Sample) -> None:
    """All of it."""
    _decide(sample)
    free = _free(sample)
    _holds(sample, free)
    _certificates(sample)
    ship(sample, free)
    make(sample, free)
    _capas(sample)
    _dead_letters(sample)
    sample.do(_alarms, who="engineer")


def _sign(sample: Sample, who: str, signing: Signing[Any], now: datetime) -> Any:
    actor = sample.actors[who]
    proof = prove(sample.engine, actor, signing.act, PASSWORD, login=who, now=now)
    return transact(sample.engine, actor, sample.events, lambda u: signing.work(u, proof), now)


DECISIONS = (
    ("accept", "Within the stability budget of the product: 12 h above 8 °C are covered by the maker's letter."),
    ("accept", "稳定性数据支持：累计超温时间在允许范围内。"),
    ("reject", "Above the stability data that the maker gives."),
)


def _decide(sample: Sample) -> None:
    """Excursions that ended more than two days ago are decided, incident by incident."""
    with sample.engine.connect() as conn:
        old = conn.execute(
            text(
                "SELECT incident_id, array_agg(id ORDER BY id) AS ids, max(known_at) AS at FROM excursion"
                " WHERE state = 'ended' AND known_at < :before GROUP BY incident_id ORDER BY max(known_at)"
            ),
            {"before": sample.now - 4 * DAY},
        ).all()
    for number, row in enumerate(old):
        decision, reason = DECISIONS[number % len(DECISIONS)]
        at = row.at + 3 * HOUR
        for excursion in row.ids:
            sample.do(lambda u, e=excursion: quality.assess(u, e, "Chart and stays reviewed."), now=at, who="qa")
        _sign(sample, "qa", quality.dispositions_signing(row.ids, decision, reason), at + HOUR / 6)


def _free(sample: Sample) -> list[int]:
    with sample.engine.connect() as conn:
        rows = conn.scalars(
            text(
                "SELECT s.id FROM sublot s JOIN zone z ON z.id = s.zone_id WHERE s.state = 'released'"
                " AND z.address IN ('north/cold/room-2', 'suzhou/cold/room-a') AND s.created_at < :before"
                " AND NOT EXISTS (SELECT FROM hold h WHERE h.sublot_id = s.id AND h.lifted_at IS NULL) ORDER BY s.id"
            ),
            {"before": sample.now - 6 * DAY},
        ).all()
    return list(rows)


REASONS = (
    ("quality", "Label print differs from the approved artwork"),
    ("manual", "包装外箱有压痕，等待检查"),
    ("manual", "Count differs by 2 boxes, recount asked for"),
    ("quality", "Certificate of analysis not received"),
)


def _holds(sample: Sample, free: list[int]) -> None:
    for number, (kind, reason) in enumerate(REASONS * 2):
        sublot = free.pop(7)
        since = sample.now - (number + 1) * 9 * HOUR
        sample.do(
            lambda u, s=sublot, k=kind, r=reason, at=since: lots.place_hold(
                u, sublot_id=s, kind=k, reason=r, since_at=at
            ),
            now=since + HOUR / 4,
            who="qa",
        )
    restrictions: tuple[tuple[str, dict[str, Any], str], ...] = (
        ("market", {"only": ["DE", "AT"]}, "Leaflet in German only"),
        ("remaining_life", {"days": 180}, "Agreed with Customer 03"),
        ("customer", {"except": ["Customer 07"]}, "Complaint open"),
        ("purpose", {"only": ["sampling"]}, "留样"),
    )
    for kind, value, reason in restrictions:
        sublot = free.pop(3)
        sample.do(lambda u, s=sublot, k=kind, v=value, r=reason: lots.restrict(u, s, k, v, r), who="qa")


UNVERIFIED = {"GMP-0917", "13485-2206"}
"""Numbers of certificates that wait for a second person."""


def _certificates(sample: Sample) -> None:
    today = sample.now.date()
    rows = (
        ("S01", "iso_13485", "13485-0451", "TÜV", 12),
        ("S02", "gmp", "GMP-2213", "Authority", 41),
        ("S03", "gdp", "GDP-771", "Authority", 200),
        ("S04", "iso_9001", "9001-88", "TÜV", -6),
        ("T01", "gdp", "GDP-1002", "Authority", 27),
        ("T02", "gsp", "GSP-3301", "药品监督管理局", 90),
        ("S05", "licence", "L-5520", "Authority", 5),
    )

    drafts = (("S06", "gmp", "GMP-0917", "Authority", 720), ("S02", "iso_13485", "13485-2206", "TÜV", 700))
    for code, kind, number, issuer, days in (*rows, *drafts):
        row = SupplierCertificate(
            partner_id=sample.partners[code],
            kind=kind,
            number=number,
            issuer=issuer,
            valid_from=today - 300 * DAY,
            valid_until=today + days * DAY,
        )
        made = sample.do(lambda u, row=row: add(u, row), now=sample.began, who="buyer")
        file = sample.store.keep(io.BytesIO(f"Certificate {number}".encode()), f"{number}.txt")
        sample.do(
            lambda u, m=made, f=file: attachments.attach(u, "supplier_certificate", m, f), now=sample.began, who="buyer"
        )
        if number not in UNVERIFIED:
            sample.do(lambda u, made=made: verify_certificate(u, made), now=sample.began + HOUR, who="qa")


def _capas(sample: Sample) -> None:
    texts = (
        (
            "corrective",
            "audit_finding",
            "Door of Truck 7 is left open while loading",
            "Three excursions in two weeks began at the dock.",
        ),
        ("preventive", "other", "一号冷库备用压缩机切换测试", "年度维护计划。"),
        ("corrective", "complaint", "Labels smear when wet", "Two customers have told of it."),
    )
    for kind, source, title, problem in texts:
        sample.do(
            lambda u, k=kind, s=source, t=title, p=problem: capa.open_capa(
                u,
                site_id=sample.sites["north"],
                kind=k,
                source=s,
                reference="A-17",
                deviation_id=None,
                incident_id=None,
                title=t,
                problem=p,
            ),
            now=sample.now - 5 * DAY,
            who="qa",
        )


_DEAD = text("""
    INSERT INTO dead_letter (at, gateway, partition, kind, reason, detail, detail_message, point, reading_at, raw)
    VALUES (:at, :gateway, 3, 'reading', :reason, :detail, :detail_message, :point, :at, '\\x7b7d')
""")


def _dead_letters(sample: Sample) -> None:
    rows = []
    for n in range(1, 9):
        point = f"north/cold/room-{n}/probe-2/temperature"
        reason = "unknown_point" if n % 2 else "wrong_unit"
        more = {} if n % 2 else {"unit": "%", "wanted": "Cel"}
        detail, message = kept(Message(f"ingest.{reason}", point=point, **more))
        told = {"reason": reason, "detail": detail, "detail_message": json.dumps(message)}
        rows.append({"at": sample.now - n * HOUR, "gateway": "gateway-north", "point": point, **told})
    with sample.engine.begin() as conn:
        conn.execute(_DEAD, rows)


def _alarms(u: Unit) -> None:
    found = u.conn.scalars(text("SELECT id FROM zone_alarm ORDER BY id LIMIT 6")).all()
    for alarm in found[:4]:
        quality.acknowledge(u, alarm, reason="door closed")
