"""Small problems with everything in them, made from a seed: for properties that must hold of every plan."""

import random

from core.erp.scheduling.problem import (
    After,
    Crew,
    Machine,
    Mode,
    Need,
    Operation,
    Order,
    Problem,
    Setup,
    Shift,
    Store,
    Supply,
    Window,
)

FAMILIES = ("milk", "nut", "plain")


def problem(seed: int, orders: int = 6) -> Problem:
    """A few orders on five machines: nights, change-over, a steriliser in batches, a crew, lags, stores, receipts."""
    dice = random.Random(seed)
    nights = tuple(Window(day * 100 + 70, (day + 1) * 100, "night") for day in range(40))
    setups = tuple(Setup(a, b, dice.randint(0, 9)) for a in FAMILIES for b in FAMILIES if a != b)
    machines = (
        Machine("mix", setups=setups, family="plain"),
        Machine("fill-1", closed=nights, change_over=5),
        Machine("fill-2", closed=(*nights, Window(0, dice.randint(1, 150), "down")), places=2),
        Machine("oven", batch=4, closed=(Window(200, 230, "calibration"),)),
        Machine("pack", closed=nights),
    )
    every, operations, supplies = [], [], []
    for n in range(orders):
        name = f"o{n}"
        every.append(Order(name, dice.randint(50, 400), dice.randint(1, 4), dice.choice((0, 0, dice.randint(1, 120)))))
        operations += _steps(dice, name)
        supplies.append(Supply(f"s{n}", "powder", 2, dice.choice((0, dice.randint(1, 100))), dice.choice((None, 2000))))
    supplies.append(Supply("late", "powder", 2 * orders, 150, None, 0.5))
    people = tuple(Shift(day * 100, day * 100 + 70, 2) for day in range(40))
    crews = (Crew("packers", ("packing",), people), Crew("all", ("packing", "filling"), people[::2]))
    return Problem(machines, tuple(every), tuple(operations), crews, (Store("fridge", 3),), tuple(supplies))


def _steps(dice: random.Random, order: str) -> list[Operation]:
    family = dice.choice(FAMILIES)
    steps = [
        Operation(
            f"{order}/mix",
            order,
            (Mode("mix", dice.randint(3, 12)),),
            family=family,
            needs=(Need("powder", dice.choice((1, 2))),),
        )
    ]
    most = dice.choice((None, 30, 120))
    ticks = dice.randint(5, 30)
    steps.append(
        Operation(
            f"{order}/fill",
            order,
            (Mode("fill-1", ticks), Mode("fill-2", ticks + 4)),
            (After(f"{order}/mix", dice.choice((0, 2)), most),),
            family,
            pauses=dice.random() < 0.3,
            store=dice.choice((None, "fridge")),
            room=dice.choice((1, 2)),
        )
    )
    steps.append(
        Operation(
            f"{order}/cure",
            order,
            (Mode("oven", 20),),
            (After(f"{order}/fill"),),
            batch=dice.choice(("hot", "dry")),
            size=dice.randint(1, 3),
        )
    )
    steps.append(
        Operation(
            f"{order}/pack",
            order,
            (Mode("pack", dice.randint(5, 40)),),
            (After(f"{order}/cure", 1),),
            pauses=True,
            skill="packing",
            people=dice.choice((1, 2)),
        )
    )
    return steps
