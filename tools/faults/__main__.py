from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tools import page
from tools.blenders import ROOT
from tools.faults import __doc__ as about
from tools.faults import blenders, clocks, invariants, kills, proxy, submissions
from tools.faults.gateway import Gateway
from tools.faults.processes import NotSeen
from tools.faults.world import NotRun, Row, World
from tools.simulator import Simulator

ROWS = (*proxy.ROWS, *clocks.ROWS, *blenders.ROWS, *kills.ROWS, *submissions.ROWS)
PAGE = ROOT / "docs" / "reliability.md"
AT_ONCE = 4
"""Rows that run beside each other: they wait most of the time."""


@dataclass
class Outcome:
    row: Row
    world: World | None = None
    not_run: str = ""
    broken: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def message(self) -> str:
        return " / ".join(self.world.messages).replace(str(self.world.folder), "…") if self.world else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="the rows that are quick, and fewer kills; writes no page")
    parser.add_argument("--only", nargs="+", default=[], metavar="TEXT", help="rows whose names hold one of these")
    parser.add_argument("--seed", type=int, default=1, help="of all that is left to chance")
    arguments = parser.parse_args()
    for wish in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(wish, lambda number, _frame: sys.exit(128 + number))
    began = time.monotonic()
    rows = [row for row in ROWS if _wanted(row, arguments)]
    print(f"{len(rows)} faults, seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="rodin-faults-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        outcomes = _run_all(rows, Path(folder), arguments.seed, arguments.short)
    seconds = time.monotonic() - began
    if not arguments.short and not arguments.only:
        page.put(PAGE, "faults", _section(outcomes, arguments.seed, seconds))
    broken = [outcome for outcome in outcomes if outcome.broken]
    not_run = [outcome for outcome in outcomes if outcome.not_run]
    for outcome in not_run:
        print(f"not run: {outcome.row.name}: {outcome.not_run}")
    for outcome in broken:
        print(f"\nBROKEN: {outcome.row.name}", *outcome.broken, sep="\n  ")
    done = len(outcomes) - len(broken) - len(not_run)
    print(f"\n{done} passed, {len(broken)} failed, {len(not_run)} not run; {seconds:.0f} s")
    # On a machine for tests a fault that is not injected is no success.
    return 1 if broken or not done or (not_run and os.environ.get("CI")) else 0


def _wanted(row: Row, arguments: argparse.Namespace) -> bool:
    named = not arguments.only or any(text.lower() in row.name.lower() for text in arguments.only)
    return named and (row.short or not arguments.short)


def _run_all(rows: list[Row], folder: Path, seed: int, short: bool) -> list[Outcome]:
    printing = threading.Lock()

    def run(number: int) -> Outcome:
        row = rows[number]
        outcome = _run(row, folder / str(number), random.Random(f"{seed} {row.name}"), short)
        word = "not run" if outcome.not_run else "BROKEN" if outcome.broken else "ok"
        with printing:
            print(f"{word:7} {outcome.seconds:5.1f} s  {row.name}: {outcome.message}", flush=True)
        return outcome

    with ThreadPoolExecutor(AT_ONCE) as pool:
        # The long ones first, so that none of them runs on when all others are done.
        in_turn = sorted(range(len(rows)), key=lambda number: not rows[number].long)
        try:
            outcomes = dict(zip(in_turn, pool.map(run, in_turn), strict=True))
        finally:
            pool.shutdown(cancel_futures=True)
    return [outcomes[number] for number in range(len(rows))]


def _run(row: Row, folder: Path, chance: random.Random, short: bool) -> Outcome:
    folder.mkdir()
    began = time.monotonic()
    outcome = Outcome(row)
    with Simulator(speed=10) as simulator:
        world = outcome.world = World(folder, simulator, chance, Gateway(simulator.port), short)
        try:
            try:
                row.run(world)
            finally:
                world.end()
            outcome.broken = invariants.broken(world)
        except NotRun as error:
            outcome.not_run = str(error)
        except NotSeen as error:
            outcome.broken = [f"recovered: {error}", *invariants.broken(world)]
        except Exception as error:  # noqa: BLE001
            # A fault that could not be injected is no success either.
            traceback.print_exc()
            outcome.broken = [f"the campaign itself: {error!r}"]
        if not outcome.not_run:
            outcome.broken = [*world.broken, *outcome.broken]
    shutil.rmtree(folder, ignore_errors=True)
    outcome.seconds = time.monotonic() - began
    return outcome


def _section(outcomes: list[Outcome], seed: int, seconds: float) -> str:
    ran = [outcome for outcome in outcomes if not outcome.not_run]
    bad = sum(bool(outcome.broken) for outcome in ran)
    said = f"**{bad} broke something.**" if bad else "after each of them all of the above held."
    lines = []
    for outcome in outcomes:
        world, state = outcome.world, outcome.world.state
        if outcome.broken:
            state = f"**BROKEN: {'; '.join(outcome.broken)}** {state}"
        told = [f"not run: {outcome.not_run}", "", ""] if outcome.not_run else [state, outcome.message, world.recovered]
        lines.append([*map(page.cell, [outcome.row.name, outcome.row.how, *told])])
    header = ("fault", "how it was injected", "the last task's state then", "the user reads", "recovered")
    return (
        f"## The campaign\n\n`make faults`, which is `python -m tools.faults --seed {seed}`: {len(ran)} faults in "
        f"{seconds / 60:.0f} min; {said}\n\n{page.table(header, lines)}\n\n*{page.when_and_where()}.*"
    )


if __name__ == "__main__":
    sys.exit(main())
