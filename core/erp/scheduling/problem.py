"""What a plan is made from: plain data, no solver and no database.

Times are whole ticks after the problem's `start` (a tick is `tick_s` seconds, a minute if not said); intervals are
half-open. Ids are texts, so a problem can be read, written by hand and sent to somebody.
"""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

FOREVER = 1 << 40
"""Later than any plan: the end of a closing that never ends."""
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Ticks = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Instant = Annotated[int, Meta(ge=-FOREVER, le=FOREVER)]
Amount = Annotated[float, Meta(ge=0, le=1e15)]
"""What a file may say; what no plan could hold is said by order (`planner.soundness`)."""


class Window(Struct, frozen=True, forbid_unknown_fields=True):
    """From `start` to before `end`, and what it is for (maintenance, holiday, calibration)."""

    start: Instant
    end: Instant
    why: str = ""


class Setup(Struct, frozen=True, forbid_unknown_fields=True):
    """Ticks to change a machine over from one family to another (allergen, colour, campaign, cleaning)."""

    before: str
    after: str
    ticks: Ticks


class Machine(Struct, frozen=True, forbid_unknown_fields=True):
    """A work centre.

    `places` operations go on side by side. `batch` > 0: operations of one batch key are done in one run, together of
    at most that size (steriliser, freeze dryer). `closed`: when it does not work. `change_over`: ticks between two
    different families that `setups` does not list. `family`: what it is set up for at the start.
    """

    id: str
    places: Count = 1
    closed: tuple[Window, ...] = ()
    setups: tuple[Setup, ...] = ()
    change_over: Ticks = 0
    family: str | None = None
    batch: Ticks = 0


class Shift(Struct, frozen=True, forbid_unknown_fields=True):
    """`size` people of a crew are there from `start` to before `end`."""

    start: Instant
    end: Instant
    size: Ticks


class Crew(Struct, frozen=True, forbid_unknown_fields=True):
    """People who can do the same: their skills, and how many of them are there when.

    A skill that lapses ends the shifts of a crew that has it, and those of one without it begin.
    """

    id: str
    skills: tuple[str, ...]
    shifts: tuple[Shift, ...]


class Store(Struct, frozen=True, forbid_unknown_fields=True):
    """Cold storage for work in process: what waits between two operations takes its room."""

    id: str
    capacity: Ticks


class Mode(Struct, frozen=True, forbid_unknown_fields=True):
    """One way to do an operation: on which machine, and how long it takes there."""

    machine: str
    ticks: Annotated[int, Meta(le=1_000_000_000)]


class After(Struct, frozen=True, forbid_unknown_fields=True):
    """An operation begins at least `least` and at most `most` ticks after the end of another one.

    `most` is the longest time out of refrigeration between two steps, or how long sterile goods may wait.
    """

    operation: str
    least: Ticks = 0
    most: Ticks | None = None


class Need(Struct, frozen=True, forbid_unknown_fields=True):
    """An amount of an item that an operation takes when it begins."""

    item: str
    amount: Amount


class Supply(Struct, frozen=True, forbid_unknown_fields=True):
    """A sublot, or a receipt that is expected: what of an item can be used from when to before when.

    Only what may be used stands here: held goods never do. `until` is the expiry, if it has one. `confidence` below 1
    marks a receipt that may slip: it is taken after what is sure.
    """

    id: str
    item: str
    amount: Amount
    available: Instant = 0
    until: Instant | None = None
    confidence: float = 1.0


class Fixed(Struct, frozen=True, forbid_unknown_fields=True):
    """Where and when an operation stands whatever else moves: pinned by a planner, frozen, or begun.

    `ticks` is what it takes from `start` on: of one that has begun, with the time that its counters say is left.
    """

    machine: str
    start: Instant
    ticks: Count | None = None
    why: Literal["pinned", "frozen", "started"] = "pinned"


class Operation(Struct, frozen=True, forbid_unknown_fields=True):
    """One step of an order.

    `pauses`: it may stop where its machine closes and go on after. `skill`, `people`: how many of whom it takes.
    `store`, `room`: where its goods wait for the next step and how much room they take there.
    `batch`, `size`: with which others it may share a run, and its share of the machine's batch.
    """

    id: str
    order: str
    modes: tuple[Mode, ...]
    after: tuple[After, ...] = ()
    family: str | None = None
    pauses: bool = False
    skill: str | None = None
    people: Count = 1
    needs: tuple[Need, ...] = ()
    store: str | None = None
    room: Ticks = 1
    batch: str | None = None
    size: Count = 1
    fixed: Fixed | None = None


class Order(Struct, frozen=True, forbid_unknown_fields=True):
    """A work order: wanted by `due`, worth `weight` a tick late, not begun before `release`."""

    id: str
    due: Instant
    weight: Ticks = 1
    release: Instant = 0


class Blocked(Struct, frozen=True, forbid_unknown_fields=True):
    """An order that is no part of the plan, and why: what stands in its way (`sublot:12` on hold → `excursion:7`)."""

    order: str
    why: str
    chain: tuple[str, ...] = ()


class Weights(Struct, frozen=True, forbid_unknown_fields=True):
    """What a plan costs, each part in the price of one tick that an order of weight 1 is late.

    setup: a tick of change-over. moved: an operation that stands more than 15 min elsewhere than in the published
    plan, or on another machine. waiting: a tick that a unit of room is taken in a cold store. expiry: a tick by which
    what is used stands nearer to its expiry than `margin`.
    """

    setup: float = 0.1
    moved: float = 5.0
    waiting: float = 0.01
    expiry: float = 0.05
    margin: int = 7 * 24 * 60


class Placed(Struct, frozen=True, forbid_unknown_fields=True):
    """Where an operation stands in a plan: machine, its place there, from when to when, who does it, what it uses.

    `setup` ticks of change-over end where it begins. `used` are (supply, amount).
    """

    operation: str
    machine: str
    start: int
    end: int
    place: int = 0
    setup: int = 0
    crew: str | None = None
    used: tuple[tuple[str, float], ...] = ()


class Problem(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything a plan is made from. `published` is the plan in force, `frozen` ticks of which do not move."""

    machines: tuple[Machine, ...]
    orders: tuple[Order, ...]
    operations: tuple[Operation, ...]
    crews: tuple[Crew, ...] = ()
    stores: tuple[Store, ...] = ()
    supplies: tuple[Supply, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    published: tuple[Placed, ...] = ()
    frozen: Ticks = 0
    weights: Weights = field(default_factory=Weights)
    start: datetime | None = None
    tick_s: Count = 60
    best_known: int | None = None
    """Of a known instance: the least makespan that anybody has found."""
    objective: Literal["tardiness", "makespan"] = "tardiness"
