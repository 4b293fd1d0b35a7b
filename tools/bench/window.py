"""Whether the window stands still: a heartbeat in real Blenders, with and without the extension, beside scripts."""

from __future__ import annotations

import socket
import sqlite3
import statistics
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from tools.bench import plots, real_blender, service
from tools.bench.page import Promise, table
from tools.bench.real_blender import Installed
from tools.simulator import API_KEY

SECONDS = 8.0
BEGINNING = 2.0
"""Seconds in which ours reads its list, imports `requests` and asks about up to 60 tasks at once."""
RUNS = 3
"""Of the runs in which milliseconds matter; the scripts' are one each."""
SERVERS = {"answers at once": 0.0, "answers after 2 s": 2.0, "never answers": 300.0, "refuses the connection": None}


@dataclass(frozen=True)
class Contender:
    name: str
    kind: str
    """As in_window.py knows it."""
    tab: str = "Item"
    tasks: int = 1
    base: str = "nothing installed"


NOTHING = Contender("nothing installed", "nothing")
REDRAWN = Contender("nothing installed, a sidebar redrawn each second", "redrawn", base="")
HIDDEN = Contender("Rodin, 1,000 tasks, another tab shown", "ours", tasks=1000)
SHOWN = [
    Contender(f"Rodin, {tasks:,} task{'s' if tasks > 1 else ''}, its tab shown", "ours", "Rodin", tasks, REDRAWN.name)
    for tasks in (1, 100, 1000)
]
IN_TIMER = Contender("script: requests in a timer", "script_in_timer")
IN_THREAD = Contender("script: requests in a thread", "script_in_thread")

Cell = tuple[Contender, str]
AT_ONCE = next(iter(SERVERS))
CELLS: list[Cell] = [
    (NOTHING, AT_ONCE),
    *((HIDDEN, server) for server in SERVERS),
    (REDRAWN, AT_ONCE),
    *((contender, AT_ONCE) for contender in SHOWN[:-1]),
    *((SHOWN[-1], server) for server in SERVERS),
]
SCRIPTS: list[Cell] = [(contender, server) for contender in (IN_TIMER, IN_THREAD) for server in SERVERS]


def section(pictures: Path) -> str:
    with real_blender.installed() as found:
        # In turns, so that a bad minute of the machine meets all of them.
        order = [*CELLS * (RUNS - 1), *SCRIPTS, *CELLS]
        with ThreadPoolExecutor(len(found)) as pool:
            measured = dict(zip((b.version for b in found), pool.map(lambda b: measure(b, order), found), strict=True))
    _plot(measured, pictures / "window.png")
    return _text(measured)


@dataclass(frozen=True)
class Run:
    """What one run found; gaps in milliseconds."""

    begins: float
    later: float
    gaps: list[float]
    viewport_draws: int
    sidebar_draws: int
    changes: int

    @property
    def longest(self) -> float:
        return max(self.begins, self.later)


def measure(blender: Installed, order: list[Cell]) -> dict[Cell, list[Run]]:
    runs: dict[Cell, list[Run]] = {}
    for number, (contender, server) in enumerate(order, 1):
        runs.setdefault((contender, server), []).append(_run(blender, contender, server))
        last = runs[contender, server][-1]
        print(f"{blender.name}  {number}/{len(order)}  {contender.name}, {server}: longest gap {last.longest:.1f} ms", flush=True)
    return runs


def _run(blender: Installed, contender: Contender, server: str) -> Run:
    delay = SERVERS[server]
    with real_blender.memory_folder() as folder, _refusing() as refusing:
        with service.running(folder, tasks=contender.tasks, delay=delay or 0.0) as url:
            with closing(sqlite3.connect(folder / "tasks.sqlite")) as db:
                (key,) = db.execute("SELECT subscription_key FROM task LIMIT 1").fetchone()
            given = {"contender": contender.kind, "tab": contender.tab, "subscription_key": key, "seconds": SECONDS}
            facts = blender.run(
                "in_window.py", given, RODIN_API_URL=refusing if delay is None else url, RODIN_API_KEY=API_KEY,
                RODIN_FOLDER=str(folder),
            )  # fmt: skip
    if facts.get("tasks", contender.tasks) != contender.tasks:
        raise real_blender.Failed(f"{contender.name}: {facts['tasks']} tasks in the list")
    return _read(facts)


def _read(facts: dict[str, Any]) -> Run:
    gaps = [(1000 * (later - earlier), later) for earlier, later in pairwise(facts["beats"])]
    return Run(
        max((gap for gap, ended in gaps if ended <= BEGINNING), default=0.0),
        max((gap for gap, ended in gaps if ended > BEGINNING), default=0.0),
        [gap for gap, _ended in gaps],
        facts["viewport_draws"],
        facts["sidebar_draws"],
        facts["changes"],
    )


@contextmanager
def _refusing() -> Iterator[str]:
    """An address whose port is ours, so that nobody else takes it, and at which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}/api/v2"


# The page.


def _median(runs: list[Run], what: str) -> float:
    return statistics.median(getattr(run, what) for run in runs)


def _per_mille(runs: list[Run]) -> float:
    """What all but one in a thousand gaps stay below."""
    gaps = sorted(gap for run in runs for gap in run.gaps)
    return gaps[min(int(len(gaps) * 0.999), len(gaps) - 1)]


def _base(runs: dict[Cell, list[Run]], contender: Contender) -> list[Run]:
    return next(found for (other, _server), found in runs.items() if other.name == contender.base)


def _ratio(runs: dict[Cell, list[Run]], cell: Cell, what: str) -> float:
    return _median(runs[cell], what) / _median(_base(runs, cell[0]), what)


def _worst(measured: dict[str, dict[Cell, list[Run]]], contenders: list[Contender], what: str) -> float:
    return max(_ratio(runs, cell, what) for runs in measured.values() for cell in runs if cell[0] in contenders)


def _of(measured: dict[str, dict[Cell, list[Run]]], contenders: list[Contender]) -> list[Run]:
    return [run for runs in measured.values() for cell, found in runs.items() if cell[0] in contenders for run in found]


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:,.0f} ms" if milliseconds >= 100 else f"{milliseconds:.1f} ms"


def _times(ratio: float) -> str:
    return f"{ratio:,.0f} ×" if ratio >= 10 else f"{ratio:.2f} ×"


def _text(measured: dict[str, dict[Cell, list[Run]]]) -> str:
    ours = [HIDDEN, *SHOWN]
    hidden, shown = _worst(measured, [HIDDEN], "later"), _worst(measured, SHOWN, "later")
    begins = _worst(measured, [HIDDEN], "begins")
    scripts = {server: max(_ratio(runs, (IN_TIMER, server), "longest") for runs in measured.values()) for server in SERVERS}
    viewport = sum(run.viewport_draws for run in _of(measured, ours))
    unseen = sum(run.sidebar_draws for run in _of(measured, [HIDDEN]))
    seen = _of(measured, SHOWN[:1])
    too_many = sum(run.sidebar_draws > SECONDS + 1 + run.changes for run in seen)
    promises = [
        Promise("Blender's window does not stand still: longest gap between heartbeats, whatever the server does",
                "at most 1.1 × Blender without it", f"{_times(hidden)} with another tab shown, 1,000 tasks", hidden <= 1.1),
        Promise("… with the Rodin tab shown", "at most 1.1 × a sidebar that Blender redraws each second",
                f"{_times(shown)}, up to 1,000 tasks", shown <= 1.1),
        Promise("… in the two seconds in which it begins", "at most 1.1 ×", _times(begins), begins <= 1.1),
        Promise("It never has the viewport redrawn", "0 draws", f"{viewport} draws", viewport == 0),
        Promise("The sidebar is redrawn once for a change and once a second for its clock", "and never where it is not seen",
                f"{sum(run.sidebar_draws for run in seen)} draws in {len(seen)} × {SECONDS:.0f} s with {sum(run.changes for run in seen)} changes; {unseen} unseen",
                not too_many and not unseen),
    ]  # fmt: skip
    parts = [table(promises), _prose(scripts), "![Longest gaps](benchmarks/window.png)"]
    parts += [f"**Blender {version}**\n\n{_table(runs)}" for version, runs in measured.items()]
    return "\n\n".join(parts)


def _prose(scripts: dict[str, float]) -> str:
    beside = ", ".join(f"{_times(ratio)} where the server {server}" for server, ratio in scripts.items())
    return f"""A timer in Blender asks to be called every 5 ms. The longest time between two calls is how long the window stood still.
A script that asks from a timer, as samples of the API do, makes the longest gap {beside}; where the server never
answers, that is the whole time of the run: it would stand still for ever, since `requests` has no timeout of its own.

Each run is a Blender of its own with the default scene and the sidebar open, {SECONDS:.0f} s long from the moment the contender
starts: reading its list, importing `requests`, and the first {60} questions (the minute's budget) are in it. A maximum
is spoiled by one bad moment of the machine, so there are {RUNS} runs of each but the scripts (one each), in turns; the tables tell the
median of the longest gaps, the worst run of all, and what 99.9 % of all gaps stay below. Nothing is left out.

Where the Rodin tab is seen, its clock ticks, and Blender draws the sidebar once a second. On a machine without a
graphics card that alone takes the time of a few frames, whatever is in the sidebar; so the base for it is a Blender without the add-on whose sidebar
(Item) is redrawn once a second. The scripts are
[script_in_timer.py](../tools/bench/script_in_timer.py) and [script_in_thread.py](../tools/bench/script_in_thread.py).
"Refuses the connection" is a port at which nobody listens."""


def _table(runs: dict[Cell, list[Run]]) -> str:
    lines = [
        "| | the server | longest gap over the base's | longest gap | its worst run | 99.9 % below | in the first 2 s | viewport draws | sidebar draws | changes |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for (contender, server), found in sorted(runs.items(), key=lambda item: _order().index(item[0])):
        base = contender.base and contender is not NOTHING
        # For what begins and ends with the run the two parts are one.
        what = "later" if contender.kind != "script_in_timer" else "longest"
        ratio = _times(_ratio(runs, (contender, server), what)) if base else "1"
        lines.append(
            f"| {contender.name} | {server if base else ''} | {ratio} | {_ms(_median(found, what))} "
            f"| {_ms(max(getattr(run, what) for run in found))} | {_ms(_per_mille(found))} "
            f"| {_ms(_median(found, 'begins'))} "
            f"| {_counts(found, 'viewport_draws')} | {_counts(found, 'sidebar_draws')} | {_counts(found, 'changes')} |"
        )
    return "\n".join(lines)


def _counts(runs: list[Run], what: str) -> str:
    counts = [getattr(run, what) for run in runs]
    return f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"


def _order() -> list[Cell]:
    return [*CELLS, *SCRIPTS]


def _plot(measured: dict[str, dict[Cell, list[Run]]], picture: Path) -> None:
    rows = list(dict.fromkeys(contender.name for contender, _server in _order()))
    with plots.figure(picture, columns=len(measured), width=11, height=4.2, sharey=True) as axes:
        for axis, (version, runs) in zip(axes, measured.items(), strict=True):
            for number, server in enumerate(SERVERS):
                cells = [(contender, runs[contender, server]) for contender, at in runs if at == server]
                axis.scatter(
                    [_median(found, "longest") for _contender, found in cells],
                    [rows.index(contender.name) + (number - 1.5) * 0.13 for contender, _found in cells],
                    label=server, s=36, color=plots.COLOURS[number], marker=plots.MARKERS[number], zorder=3,
                )  # fmt: skip
            axis.set_xscale("log")
            axis.set_title(f"Blender {version}")
            axis.set_xlabel("longest gap between heartbeats, ms")
        axes[0].set_yticks(range(len(rows)), rows)
        axes[0].invert_yaxis()
        axes[-1].legend(title="the server", loc="upper right")
