"""Whether the window stands still: a heartbeat in real Blenders, with and without the extension, beside scripts."""

from __future__ import annotations

import socket
import sqlite3
import statistics
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tools.bench import real_blender, service
from tools.bench.page import Promise, promised
from tools.bench.real_blender import Installed
from tools.page import table
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
    *((contender, server) for contender in SHOWN for server in SERVERS),
]
SCRIPTS: list[Cell] = [(contender, server) for contender in (IN_TIMER, IN_THREAD) for server in SERVERS]


def section() -> str:
    with real_blender.installed() as found:
        # In turns, so that a bad minute of the machine meets all of them.
        order = [*CELLS * (RUNS - 1), *SCRIPTS, *CELLS]
        return _text(real_blender.measured(found, lambda blender: measure(blender, order)))


@dataclass(frozen=True)
class Run:
    """What one run found; gaps in milliseconds."""

    begins: float
    later: float
    gaps: list[float]

    @property
    def longest(self) -> float:
        return max(self.begins, self.later)


def measure(blender: Installed, order: list[Cell]) -> dict[Cell, list[Run]]:
    runs: dict[Cell, list[Run]] = {}
    for number, (contender, server) in enumerate(order, 1):
        runs.setdefault((contender, server), []).append(_run(blender, contender, server))
        last = runs[contender, server][-1]
        told = f"{contender.name}, {server}: longest gap {last.longest:.1f} ms"
        print(f"{blender.name}  {number}/{len(order)}  {told}", flush=True)
    return runs


def _run(blender: Installed, contender: Contender, server: str) -> Run:
    delay = SERVERS[server]
    with (
        real_blender.memory_folder() as folder,
        _refusing() as refusing,
        service.running(folder, tasks=contender.tasks, delay=delay or 0.0) as answering,
    ):
        with closing(sqlite3.connect(folder / "tasks.sqlite")) as db:
            (key,) = db.execute("SELECT subscription_key FROM task LIMIT 1").fetchone()
        given = {"contender": contender.kind, "tab": contender.tab, "subscription_key": key, "seconds": SECONDS}
        url = refusing if delay is None else answering
        environment = {"RODIN_API_URL": url, "RODIN_API_KEY": API_KEY, "RODIN_FOLDER": str(folder)}
        facts = blender.run("in_window.py", given, **environment)
    if facts.get("tasks", contender.tasks) != contender.tasks:
        raise real_blender.Failed(f"{contender.name}: {facts['tasks']} tasks in the list")
    return _read(facts)


def _read(facts: dict[str, Any]) -> Run:
    gaps = [(1000 * (later - earlier), later) for earlier, later in pairwise(facts["beats"])]
    return Run(
        max((gap for gap, ended in gaps if ended <= BEGINNING), default=0.0),
        max((gap for gap, ended in gaps if ended > BEGINNING), default=0.0),
        [gap for gap, _ended in gaps],
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


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:,.0f} ms" if milliseconds >= 100 else f"{milliseconds:.1f} ms"


def _times(ratio: float) -> str:
    return f"{ratio:,.0f} ×" if ratio >= 10 else f"{ratio:.2f} ×"


def _text(measured: dict[str, dict[Cell, list[Run]]]) -> str:
    hidden, shown = _worst(measured, [HIDDEN], "later"), _worst(measured, SHOWN, "later")
    begins, shown_begins = _worst(measured, [HIDDEN], "begins"), _worst(measured, SHOWN, "begins")
    promises = promised(
        Promise("Blender's window does not stand still, whatever the server does: longest gap between heartbeats",
                "at most 1.1 × Blender without it", f"{_times(hidden)}, with 1,000 tasks", hidden <= 1.1),
        Promise("… with the Rodin tab shown", "at most 1.1 × a sidebar that Blender redraws each second",
                f"{_times(shown)}, with up to 1,000 tasks", shown <= 1.1),
        Promise(f"… in its first {BEGINNING:.0f} s", "at most 1.1 × the same",
                f"{_times(begins)}; {_times(shown_begins)} with its tab shown", max(begins, shown_begins) <= 1.1),
    )  # fmt: skip
    parts = [promises, _prose(measured)]
    parts += [f"**Blender {version}**\n\n{_table(runs)}" for version, runs in measured.items()]
    return "\n\n".join(parts)


def _prose(measured: dict[str, dict[Cell, list[Run]]]) -> str:
    ratios = {
        server: max(_ratio(runs, (IN_TIMER, server), "longest") for runs in measured.values()) for server in SERVERS
    }
    beside = ", ".join(f"{_times(ratio)} the base's where the server {server}" for server, ratio in ratios.items())
    return f"""A timer in Blender asks to be called every 5 ms: the longest time between two calls is how
long the window stood still. At 60 pictures a second each is seen for 16.7 ms.

**Beside it:** a script that asks from a timer, as samples of the API do, has a longest gap of {beside}. Where
the server never answers that is the whole run, and would be for ever: `requests` has no timeout of its own. A
script that asks from a thread does not wait, but has the whole viewport drawn again at each answer; in a heavy
scene that is what costs. ([script_in_timer.py](../tools/bench/script_in_timer.py),
[script_in_thread.py](../tools/bench/script_in_thread.py))

**How:** each run is a new Blender with the default scene and the sidebar open, measured for {SECONDS:.0f} s
from the moment the contender starts. In the first {BEGINNING:.0f} s ours reads its list, imports `requests`,
and asks what a minute's budget of 60 requests allows; so they are told apart. One bad moment of the machine
spoils a maximum: so there are {RUNS} runs of each, taken in turns, but one of each script. The tables tell the
median of their longest gaps, the worst run, and what 99.9 % of all gaps of all runs stay below. No run is left
out. The Blenders are measured side by side, each on a processor of its own. "Refuses" is a port at which nobody
listens.

**With its tab shown** the clock ticks, and Blender draws the sidebar once a second. Without a graphics card, as
here, that alone takes the time of a few frames, whatever stands there: so it is compared with a Blender without
the add-on that is told to draw its sidebar (the tab Item) once a second. Answers that come one by
one have ours drawn more often than that: more draws, of which one may be slow.

That it never has the viewport redrawn, and the sidebar no more than once a second and once for a change, is held by a
test with a window (`tests/window/test_window.py`).

**Its first {BEGINNING:.0f} s:** Python runs one thread at a time and changes over every 5 ms. While a thread
reads 1,000 tasks and imports `requests`, what Blender does in Python waits for up to 5 ms more."""


def _table(runs: dict[Cell, list[Run]]) -> str:
    lines = []
    for contender, server in (*CELLS, *SCRIPTS):
        found = runs[contender, server]
        base = contender in (NOTHING, REDRAWN)
        lines.append([
            contender.name,
            "" if base else server,
            "1" if base else _times(_ratio(runs, (contender, server), "later")),
            _ms(_median(found, "later")),
            _ms(max(run.later for run in found)),
            _ms(_median(found, "begins")),
            _ms(_per_mille(found)),
        ])  # fmt: skip
    header = (
        "", "the server", "longest gap over the base's", "longest gap", "worst run", f"in the first {BEGINNING:.0f} s",
        "99.9 % below",
    )  # fmt: skip
    return table(header, lines, texts=2)
