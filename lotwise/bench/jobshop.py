"""A known job shop: how near to the best known makespan a plan comes in a given time."""

from pathlib import Path
from statistics import median

from core.erp.scheduling import formats
from core.erp.scheduling.planner.improve import Limits
from core.erp.scheduling.planner.plan import Plan, Planner
from lotwise.bench.figures import figure

METHOD = "one run of {seconds:g} s a seed from the file, {workers} threads of the solver; the checked plan's makespan"


def run(file: Path, seconds: float, seeds: int, workers: int, best_known: int | None) -> None:
    """Prints objective (median over seeds), gap_pct where the best known is given, and how many were proven optimal."""
    problem = formats.read(file)
    known = best_known or problem.best_known
    ends: list[Plan] = []
    for seed in range(1, seeds + 1):
        last = None
        for plan in Planner(problem, Limits(seconds, workers=workers), seed).plans():
            last = plan
        if last is not None:
            ends.append(last)
    found = median(plan.cost.makespan for plan in ends)
    method = METHOD.format(seconds=seconds, workers=workers)
    figure("jobshop", "objective", found, "ticks", len(ends), method, file=file.name)
    figure("jobshop", "proven", sum(plan.optimal for plan in ends), "runs", len(ends), method, file=file.name)
    if known is not None:
        figure("jobshop", "gap_pct", 100 * (found / known - 1), "%", len(ends), method, file=file.name)
