"""Templates and the words in them: one environment for each language and zone, so that no macro needs to be told."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_skeleton
from babel.numbers import format_decimal
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from core.erp.kernel.words import CHINESE, ENGLISH, Message, catalogue, render, sentence
from core.web.frame import assets, echarts
from core.web.frame.states import tone

FOLDER = Path(__file__).parent.parent / "templates"
LOCALES = {ENGLISH: "en_GB", CHINESE: "zh_Hans_CN"}
OTHER_LANGUAGE = {ENGLISH: (CHINESE, "中文"), CHINESE: (ENGLISH, "English")}
"""What the switch leads to: its language, and its name in that language."""
SAYING = ("t", "say", "label", "has", "state", "badge", "when", "brief", "clock", "day", "num", "lasting", "few")
"""What templates may call by its own name."""
MINUTE, HOUR, DAY = 60, 3600, 86400


class Words:
    """What templates say things with, for one reader: a language and the zone that times are shown in."""

    def __init__(self, language: str, zone: ZoneInfo) -> None:
        self.language, self.zone = language, zone
        self.locale = LOCALES[language]

    def t(self, id: str, /, **params: Any) -> str:  # noqa: A002 - the word the wire has for it
        """The text of a message, times in it as `clock` writes them."""
        return render(Message(id, **params), self.language, times=self.clock)

    def say(self, message: str | Message | None) -> str:
        """A message in the reader's language; people's own words as they are."""
        return render(message, self.language, times=self.clock) if isinstance(message, Message) else message or ""

    def sentence(self, row: Mapping[str, Any], name: str) -> str:
        """A sentence of a row: what the system wrote in the reader's language, people's words as they are."""
        return self.say(sentence(row[name], row.get(f"{name}_message")))

    def label(self, message: str | Message) -> str:
        """What something is called, as a heading or a label begins: with a capital letter."""
        text = render(Message(message), self.language) if isinstance(message, str) else self.say(message)
        return text[:1].upper() + text[1:]

    def has(self, id: str) -> bool:  # noqa: A002 - as above
        """Whether there is such a message."""
        return id in catalogue(self.language)

    def state(self, noun: str, state: str, *, bare: bool = False) -> Markup:
        """A state as shape and word."""
        return self.badge(tone(noun, state), self.label(f"state.{noun}.{state}"), bare=bare)

    def badge(self, look: str, text: str, *, bare: bool = False) -> Markup:
        """A shape and a word."""
        return _badge(look, text, bare)

    def when(self, at: datetime | None, *, seconds: bool = False) -> Markup:
        """An instant in the reader's zone: `30 Nov 2026 03:42`, its offset and UTC behind it."""
        if at is None:
            return Markup("–")
        local = at.astimezone(self.zone)
        day = self.day(local.date())
        text = f"{day} {local:%H:%M:%S}" if seconds else f"{day} {local:%H:%M}"
        utc = f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        return Markup('<time datetime="%s" title="%s">%s</time>') % (utc, f"{utc} · {self.offset(at)}", text)

    def brief(self, at: datetime | None) -> Markup:
        """An instant of these days, without its year: `30 Nov 03:42`; all of it behind it."""
        if at is None:
            return Markup("–")
        utc = f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        title = f"{self.day(at.astimezone(self.zone).date())} · {self.offset(at)}"
        return Markup('<time datetime="%s" title="%s">%s</time>') % (utc, title, self.clock(at))

    def clock(self, at: datetime) -> str:
        """The same as text, for sentences; with its year, where that is another than ours."""
        local = at.astimezone(self.zone)
        if local.year != datetime.now(self.zone).year:
            return f"{self.day(local.date())} {local:%H:%M}"
        return f"{_short_day(local.date(), self.locale)} {local:%H:%M}"

    def day(self, day: date | None) -> str:
        """A date as the reader writes it: `30 Nov 2026`, `2026年11月30日`."""
        return "–" if day is None else _long_day(day, self.locale)

    def offset(self, at: datetime) -> str:
        """The zone's name and its offset at that instant: `Shanghai, UTC+8`."""
        minutes = int((at.astimezone(self.zone).utcoffset() or timedelta()).total_seconds()) // 60
        hours, rest = divmod(abs(minutes), 60)
        offset = f"{'-' if minutes < 0 else '+'}{hours}" + (f":{rest:02}" if rest else "")
        name = self.zone.key.rpartition("/")[2].replace("_", " ")
        return "UTC" if self.zone.key == "UTC" else f"{name}, UTC{offset}"

    def num(self, value: Decimal | float | None, unit: str = "") -> str:
        """A number as the reader writes it, a narrow space before its unit."""
        if value is None:
            return "–"
        text = format_decimal(value, "#,##0.######", locale=self.locale).replace("-", "\u2212")
        return f"{text}\u202f{self.unit(unit)}" if unit else text

    def unit(self, unit: str) -> str:
        """An item's unit of measure in the reader's language, any other unit as it is."""
        return self.t(f"unit.{unit}") if self.has(f"unit.{unit}") else unit

    def measured(self, value: float | None, unit: str = "") -> str:
        """A measured value, as `num` writes it, with a decimal even where that is none: `11.0` stands beside `10.7`."""
        if value is None:
            return "–"
        text = format_decimal(value, "#,##0.0#####", locale=self.locale).replace("-", "\u2212")
        return f"{text}\u202f{unit}" if unit else text

    def lasting(self, span: timedelta | float | None) -> str:
        """A length of time in its two greatest units: `3 h 10 min`."""
        if span is None:
            return "–"
        seconds = int(span.total_seconds() if isinstance(span, timedelta) else span)
        for size, name, small, smaller in (
            (DAY, "web.days", HOUR, "web.hours"),
            (HOUR, "web.hours", MINUTE, "web.minutes"),
            (MINUTE, "web.minutes", 1, "web.seconds"),
        ):
            if seconds >= size:
                great, rest = seconds // size, seconds % size // small
                return self.t(name, n=great) + (f"\u00a0{self.t(smaller, n=rest)}" if rest else "")
        return self.t("web.seconds", n=seconds)

    def few(self, parts: Sequence[str], most: int = 4) -> str:
        """The first of several words in a row, and how many more there are."""
        shown = self.listed(parts[:most])
        return shown if len(parts) <= most else self.t("web.and_more", shown=shown, more=len(parts) - most)

    def listed(self, parts: Sequence[str]) -> str:
        """Several words in a row."""
        return ("、" if self.language == CHINESE else ", ").join(parts)


@lru_cache(maxsize=4096, typed=True)  # a text is not the markup that is spelt like it
def _badge(look: str, text: str, bare: bool) -> Markup:
    """Kept: a page has a hundred of a few kinds, and to make one takes as long as a line of a table."""
    return Markup('<span class="st st-{}{}">{}{}</span>').format(look, " bare" if bare else "", icon(look), text)


@lru_cache(maxsize=4096)
def _short_day(day: date, locale: str) -> str:
    return format_skeleton("MMMd", day, locale=locale)


@lru_cache(maxsize=4096)
def _long_day(day: date, locale: str) -> str:
    return format_date(day, "medium", locale=locale)


@lru_cache(maxsize=256)
def icon(name: str, css: str = "i") -> Markup:
    """One of the shapes in `parts/sprite.html`."""
    return Markup('<svg class="{}" viewBox="0 0 16 16" aria-hidden="true"><use href="#s-{}"/></svg>').format(css, name)


@lru_cache(maxsize=64)
def environment(language: str, zone: str) -> Environment:
    """The templates as a reader of this language sees them, times as this zone (by its IANA name) has them."""
    words = Words(language, ZoneInfo(zone))
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )
    made.globals.update({one: getattr(words, one) for one in SAYING})
    made.globals.update(
        words=words,
        language=language,
        other_language=OTHER_LANGUAGE[language],
        listed=words.listed,
        measured=words.measured,
        offset=words.offset,
        icon=icon,
        asset=assets.address,
        engine=echarts.address,
    )
    return made
