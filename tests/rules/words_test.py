"""A message in two languages: parameters of every kind, lists, messages within messages, and who asks for what."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest

from core.erp.exposure.rules.gaps import gap_told
from core.erp.kernel.errors import Conflict, Refused
from core.erp.kernel.words import Message, accepted, catalogue, from_json, misfit, render
from core.erp.kernel.words.rendering import SEMICOLON
from core.telemetry.catalogue import Template, read

AT = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("zh", "zh"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("zh-Hans", "zh"),
        ("ZH-tw", "zh"),
        ("en-GB, zh;q=0.9", "en"),
        ("de, zh;q=0.5, en;q=0.4", "zh"),
        ("de", "en"),
        ("*", "en"),
        ("zh;q=0", "en"),
        ("zh;q=no", "en"),
        (";;,=,q", "en"),
    ],
)
def test_the_language_a_browser_asks_for(header: str | None, language: str) -> None:
    assert accepted(header) == language


def test_an_error_is_english_to_who_writes_it_down_and_chinese_to_who_reads_chinese() -> None:
    error = Conflict("access.user_exists", login="quinn")
    assert str(error) == error.detail == "there is a user quinn already"
    assert error.text("zh") == "用户 quinn 已存在"
    assert error.extra == {"login": "quinn"}


def test_extra_is_for_programs_and_beside_the_parameters() -> None:
    error = Refused("kernel.token_invalid", extra={"user_id": 7})
    assert (error.message, error.extra) == (Message("kernel.token_invalid"), {"user_id": 7})


def test_a_refusal_that_is_no_message_of_ours_fails() -> None:
    """A sentence always; an unknown id, and parameters that are not those of the text, in tests (tests/conftest.py)."""
    with pytest.raises(ValueError, match="no message id"):
        Refused("there is no such thing")
    with pytest.raises(AssertionError, match="in no catalogue"):
        Refused("kernel.nobody_has_written_this")
    with pytest.raises(AssertionError, match="is given"):
        Refused("access.user_exists", name="quinn")
    assert misfit(Message("access.user_exists", login="quinn")) is None


def test_what_a_gateway_tells_of_a_gap_is_told_in_words() -> None:
    told = {reason: render(gap_told("gw-1", reason), "zh") for reason in ("spool_full", "spool_lost: 磁盘烧毁", "x")}
    assert told["spool_full"] == "网关 gw-1：缓存已满，数据被丢弃"
    assert told["spool_lost: 磁盘烧毁"] == "网关 gw-1：其缓存已丢失：磁盘烧毁"
    assert told["x"] == "网关 gw-1：x"


def test_what_was_kept_is_rendered_as_it_was_when_it_was_said() -> None:
    said = Message("kernel.not_yet", at=AT)
    kept = from_json(said.as_json())
    assert kept.params == {"at": "2026-03-02T03:00:00+00:00"}
    assert render(kept) == render(said) == "2026-03-02 03:00:00Z has not happened yet"
    inner = Message("kernel.bad_request", faults=[Message("kernel.bad_field", where="a", what="b"), said])
    assert render(from_json(inner.as_json()), "zh") == "请求内容有误：a：b；2026-03-02 03:00:00Z 尚未到来"


def test_times_are_shown_in_the_zone_with_its_offset() -> None:
    china = timezone(timedelta(hours=8))
    said = render(Message("kernel.not_yet", at=AT), "zh", china)
    assert said == "2026-03-02 11:00:00 UTC+08:00 尚未到来"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("S-1", "S-1"),
        (7, "7"),
        (Decimal("10.500"), "10.5"),
        (Decimal("1E+3"), "1000"),
        (8.299999999999999, "8.3"),
        (date(2026, 3, 31), "2026-03-31"),
        (["a", "b"], "a, b"),
        (Message("role.qa"), "QA"),
        ([Message("role.qa"), Message("role.admin")], "QA, administrator"),
        ([Message("kernel.token_invalid"), "b"], "not a valid token; b"),
        ("{told} {other}", "{told} {other}"),
    ],
)
def test_a_parameter_of_each_kind(value: object, shown: str) -> None:
    assert render(Message("kernel.there_already", told=value)) == f"there already: {shown}"  # type: ignore[arg-type]  # of each kind


def test_an_id_that_is_no_more_is_shown_with_its_parameters() -> None:
    assert render(Message("gone.long_ago", code="S-1")) == "gone.long_ago {'code': 'S-1'}"


def test_a_parameter_that_was_not_given_is_seen() -> None:
    assert render(Message("access.user_exists")) == "there is a user {login} already"


@pytest.mark.parametrize("name", ["", "lots", "Lots.held", "lots held.x", "a.b c"])
def test_what_is_no_id_is_no_message(name: str) -> None:
    with pytest.raises(ValueError, match="no message id"):
        Message(name)


def test_one_and_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "en.po"
    file.write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n'
        'msgid "x.holds"\nmsgid_plural "x.holds"\nmsgstr[0] "{count} hold"\nmsgstr[1] "{count} holds"\n',
        encoding="utf-8",
    )
    found = dict(read(file, "en"))
    assert found == {"x.holds": Template(("{count} hold", "{count} holds"))}
    monkeypatch.setattr("core.erp.kernel.words.rendering.catalogue", lambda _: found)
    assert [render(Message("x.holds", count=count)) for count in (0, 1, 2)] == ["0 holds", "1 hold", "2 holds"]


def test_lists_of_messages_are_parted_as_their_language_does() -> None:
    assert SEMICOLON == {"en": "; ", "zh": "；"}
    assert set(catalogue("en")) == set(catalogue("zh"))
