from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tools.faults import __doc__ as about
from tools.faults import answers, batches, blenders, clocks, connections, disks, invariants, kills, page, submissions
from tools.faults.gateway import Gateway
from tools.faults.processes import NotSeen
from tools.faults.world import NotRun, Row, World
from tools.simulator import Simulator

GROUPS: tuple[tuple[str, tuple[Row, ...]], ...] = (
    ("Bad answers of the service", answers.ROWS),
    ("Cuts of the connection", connections.ROWS),
    ("Clocks and suspending", clocks.ROWS),
    ("The disk and the list on it", disks.LIST),
    ("Downloads", disks.FILE_ROWS),
    ("In a Blender", blenders.ROWS),
    ("Killed", kills.ROWS),
    ("Killed while generating", (*submissions.ROWS, *batches.ROWS)),
)
AT_ONCE = 4
"""Rows that run beside each other: they wait most of the time."""


@dataclass
class Outcome:
    row: Row
    not_run: str = ""
    state: str = ""
    message: str = ""
    recovered: str = ""
    lost: str = ""
    broken: list[str] = field(default_factory=list)
    seconds: float = 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="the rows that are quick, and fewer kills; writes no page")
    parser.add_argument("--only", nargs="+", default=[], metavar="TEXT", help="rows whose names hold one of these")
    parser.add_argument("--seed", type=int, default=1, help="of all that is left to chance")
    parser.add_argument("--page", type=Path, help="write the table into this page instead of docs/reliability.md")
    arguments = parser.parse_args()
    for wish in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(wish, lambda number, _frame: sys.exit(128 + number))
    _in_mounts_of_our_own()
    began = time.monotonic()
    rows = [(group, row) for group, rows in GROUPS for row in rows if _wanted(row, arguments)]
    print(f"{len(rows)} faults, seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="rodin-faults-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        outcomes = _run_all([row for _, row in rows], Path(folder), arguments.seed, arguments.short)
    seconds = time.monotonic() - began
    by_group: dict[str, list[Outcome]] = {}
    for (group, _), outcome in zip(rows, outcomes, strict=True):
        by_group.setdefault(group, []).append(outcome)
    if not arguments.short and (arguments.page or not arguments.only):
        page.put("faults", _section(by_group, arguments.seed, seconds), arguments.page or page.PAGE)
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
    outcomes: dict[int, Outcome] = {}
    lock = threading.Lock()

    def run(number: int) -> None:
        row = rows[number]
        outcome = _run(row, folder / str(number), random.Random(f"{seed} {row.name}"), short)
        with lock:
            outcomes[number] = outcome
            word = "not run" if outcome.not_run else "BROKEN" if outcome.broken else "ok"
            print(f"{len(outcomes):3}  {word:7} {outcome.seconds:5.1f} s  {row.name}: {outcome.message}", flush=True)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        # The long ones first, so that none of them runs on when all others are done.
        in_turn = sorted(range(len(rows)), key=lambda number: not rows[number].long)
        running: list[Future[None]] = [pool.submit(run, number) for number in in_turn]
        for future in running:
            future.result()
    return [outcomes[number] for number in range(len(rows))]


def _run(row: Row, folder: Path, chance: random.Random, short: bool) -> Outcome:
    folder.mkdir()
    began = time.monotonic()
    outcome = Outcome(row)
    with Simulator(speed=10) as simulator:
        world = World(folder, simulator, chance, Gateway(simulator.port), short=short)
        try:
            row.run(world)
        except NotRun as error:
            outcome.not_run = str(error)
        except NotSeen as error:
            world.broken.append(f"recovered: {error}")
        except Exception as error:  # noqa: BLE001
            # A fault that could not be injected is no success either.
            traceback.print_exc()
            world.broken.append(f"the campaign itself: {error!r}")
        finally:
            world.end()
        if not outcome.not_run:
            outcome.broken = [*world.broken, *invariants.broken(world)]
        outcome.state, outcome.message = world.state, world.message.replace(str(folder), "…")
        outcome.recovered, outcome.lost = world.recovered, world.lost
    _unmount_all(folder)
    shutil.rmtree(folder, ignore_errors=True)
    outcome.seconds = time.monotonic() - began
    return outcome


def _unmount_all(folder: Path) -> None:
    """What a row has mounted below its folder, the last first."""
    mounts = Path("/proc/self/mounts")
    targets = [line.split()[1] for line in mounts.read_text().splitlines()] if mounts.exists() else []
    for target in reversed(targets):
        if target.startswith(f"{folder}/"):
            subprocess.run(["umount", "-l", target], check=False)


def _section(by_group: dict[str, list[Outcome]], seed: int, seconds: float) -> str:
    outcomes = [outcome for group in by_group.values() for outcome in group]
    ran = [outcome for outcome in outcomes if not outcome.not_run]
    bad = [outcome for outcome in ran if outcome.broken]
    lines = [
        "## The faults",
        "",
        f"`make faults`, which is `python -m tools.faults --seed {seed}`. {page.machine()}. "
        f"{len(ran)} faults in {seconds / 60:.0f} min; "
        + (f"**{len(bad)} broke something.**" if bad else "after each of them all of the above held."),
    ]
    for group, found in by_group.items():
        lines += ["", f"### {group}", ""]
        lines += ["| fault | how it was injected | the task's state then | the user reads | lost | recovered |"]
        lines += ["| --- | --- | --- | --- | --- | --- |"]
        for outcome in found:
            cells = [outcome.row.name, outcome.row.how]
            if outcome.not_run:
                cells += [f"not run: {outcome.not_run}", "", "", ""]
            else:
                cells += [outcome.state, outcome.message or "(nothing)", outcome.lost, outcome.recovered or "**no**"]
                if outcome.broken:
                    cells[2] = f"**BROKEN: {'; '.join(outcome.broken)}** {outcome.state}"
            lines.append(f"| {' | '.join(map(page.cell, cells))} |")
    return "\n".join(lines)


def _in_mounts_of_our_own() -> None:
    """Begin anew in a mount namespace of our own, so that nothing which is mounted here is left or seen elsewhere."""
    able = sys.platform.startswith("linux") and os.geteuid() == 0 and shutil.which("unshare")
    if able and not os.environ.get("RODIN_FAULTS_MOUNTS"):
        os.environ["RODIN_FAULTS_MOUNTS"] = "own"
        command = ["unshare", "--mount", "--propagation", "private", sys.executable, "-m", "tools.faults"]
        os.execvp(command[0], [*command, *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
