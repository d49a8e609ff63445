"""A plant to plan: made from a seed, the same everywhere (`lotwise bench schedule --plant SEED` prints it as JSON)."""

import random
from datetime import UTC, datetime

from msgspec.structs import replace

from core.erp.scheduling.problem import (
    After,
    Blocked,
    Crew,
    Machine,
    Mode,
    Need,
    Operation,
    Order,
    Problem,
    Shift,
    Supply,
    Window,
)

DAY = 24 * 60
OPENS, CLOSES = 6 * 60, 22 * 60
WORKING_DAYS = 5
FAMILIES = 6
CHANGE_OVER = 15
BEGINS = datetime(2027, 3, 1, tzinfo=UTC)
"""A Monday."""


def plant(seed: int, orders: int, machines: int = 20, *, load: float = 0.95) -> Problem:
    """`orders` orders of 3 to 7 operations (5 in the mean) on machines in groups of 1 to 4 alike.

    Two shifts on five days a week, maintenance of each machine once, 1 machine down for 8 hours at the start; six
    families with change-over on every third group; packing needs a crew; every fourth order takes material that arrives
    within a day of its release, 2 % of the orders are held. Due dates lie so that a plan that works `load` of the time
    has a queue.
    """
    dice = random.Random(seed)  # noqa: S311 - a plant, no secret
    groups = _groups(dice, machines)
    work = orders * 5 * 55
    days = max(7, round(work / load / machines / (CLOSES - OPENS) * 7 / WORKING_DAYS))
    made = [_machine(dice, name, g, days) for g, group in enumerate(groups) for name in group]
    every_order, operations, supplies, blocked = [], [], [], []
    span = days * DAY * 0.8
    for n in range(orders):
        name = f"WO-{n:05d}"
        if dice.random() < 0.02:  # noqa: PLR2004 - what is held, see above
            blocked.append(Blocked(name, "held", (f"sublot:{n}", f"excursion:{n % 7}")))
            continue
        steps = _steps(dice, name, groups)
        release = int(dice.random() * span)
        if n % 4 == 0:
            arrives = max(0, release + dice.randrange(-DAY, DAY))
            supplies.append(Supply(f"S-{n:05d}", f"I-{n:05d}", 100, arrives, arrives + 30 * DAY))
            steps[0] = _taking(steps[0], f"I-{n:05d}")
        mean = sum(step.modes[0].ticks for step in steps)
        due = release + round(mean * 24 / 16 * dice.uniform(1.5, 6.0)) + dice.randrange(0, 2 * DAY)
        every_order.append(Order(name, due, dice.choice((1, 1, 1, 2, 2, 4)), release))
        operations += steps
    people = tuple(Shift(day * DAY + OPENS, day * DAY + CLOSES, 4) for day in range(days * 4) if day % 7 < WORKING_DAYS)
    return Problem(
        machines=tuple(made),
        orders=tuple(every_order),
        operations=tuple(operations),
        crews=(Crew("packers", ("packing",), people),),
        supplies=tuple(supplies),
        blocked=tuple(blocked),
        start=BEGINS,
    )


def _groups(dice: random.Random, machines: int) -> list[list[str]]:
    names = [f"M{m:02d}" for m in range(machines)]
    groups = []
    while names:
        size = dice.randint(1, 4)
        groups.append(names[:size])
        names = names[size:]
    return groups


def _machine(dice: random.Random, name: str, group: int, days: int) -> Machine:
    nights = [
        Window(day * DAY + CLOSES, (day + 1) * DAY + OPENS, "night")
        for day in range(-1, days * 4)
        if day % 7 < WORKING_DAYS - 1
    ]
    weekends = [
        Window((week * 7 + WORKING_DAYS - 1) * DAY + CLOSES, (week + 1) * 7 * DAY + OPENS, "weekend")
        for week in range(-1, days * 4 // 7 + 1)
    ]
    serviced = dice.randrange(0, days) * DAY + OPENS
    closed = [*nights, *weekends, Window(serviced, serviced + 240, "maintenance")]
    if name == "M01":
        closed.append(Window(0, OPENS + 480, "down"))
    return Machine(name, closed=tuple(closed), change_over=CHANGE_OVER if group % 3 == 0 else 0)


def _steps(dice: random.Random, order: str, groups: list[list[str]]) -> list[Operation]:
    family = f"F{dice.randrange(FAMILIES)}"
    count = dice.randint(3, 7)
    steps = []
    weights = [len(group) for group in groups]
    for k in range(count):
        group = dice.choices(groups, weights)[0]
        ticks = dice.randint(10, 100)
        modes = tuple(Mode(m, max(5, round(ticks * dice.uniform(0.9, 1.2)))) for m in group)
        after = (After(f"{order}/{k - 1}"),) if k else ()
        last = k == count - 1 and dice.random() < 0.2  # noqa: PLR2004 - a fifth is packed by hand
        steps.append(
            Operation(f"{order}/{k}", order, modes, after, family, pauses=not last, skill="packing" if last else None)
        )
    return steps


def _taking(step: Operation, item: str) -> Operation:
    return replace(step, needs=(Need(item, 100),))
