"""What our code takes of Blender's main thread: the timer's calls, and drawing."""

from __future__ import annotations

import statistics
from typing import Any

from tools.bench import real_blender, service
from tools.bench.page import Promise, promised
from tools.bench.real_blender import Installed
from tools.page import table
from tools.simulator import API_KEY

NUMBERS = (10, 1_000, 10_000)
CHANGING = 1_000
IDLE = 15.0
"""Seconds in which nothing happens, at five calls of the timer a second."""
REDRAWS = 100
Measured = dict[str, dict[int, dict[str, Any]]]
"""By the version of Blender and the number of tasks."""
IDLE_AIM, BUSY_AIM, DRAW_AIM = 50e-6, 2e-3, 1e-3


def section() -> str:
    with real_blender.installed() as found:
        return _text(real_blender.measured(found, _measure))


def _measure(blender: Installed) -> dict[int, dict[str, Any]]:
    """By the number of tasks."""
    return {tasks: _in_window(blender, tasks) for tasks in NUMBERS}


def _in_window(blender: Installed, tasks: int) -> dict[str, Any]:
    given = {"tasks": tasks, "idle": IDLE, "changing": CHANGING, "redraws": REDRAWS}
    with real_blender.memory_folder() as folder, service.running(folder, tasks=tasks) as url:
        environment = {"RODIN_API_URL": url, "RODIN_API_KEY": API_KEY, "RODIN_FOLDER": str(folder)}
        facts = blender.run("in_draw.py", given, **environment)
    if facts.get("trouble"):
        raise real_blender.Failed(f"Blender {blender.name}: {facts['trouble']}")
    print(f"{blender.name}  {tasks} tasks: drawn in {1000 * statistics.median(facts['draws']):.2f} ms", flush=True)
    return facts


# The page.


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f} µs"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"


def _each(measured: Measured, what: str) -> list[tuple[int, list[float]]]:
    return [(tasks, facts[what]) for windows in measured.values() for tasks, facts in windows.items()]


def _text(measured: Measured) -> str:
    idle = max(statistics.median(values) for _tasks, values in _each(measured, "idle"))
    busy, busy_cpu = (max(max(values) for _tasks, values in _each(measured, what)) for what in ("busy", "busy_cpu"))
    medians: dict[int, list[float]] = {tasks: [] for tasks in NUMBERS}
    for tasks, values in _each(measured, "draws"):
        medians[tasks].append(statistics.median(values))
    rows = {tasks: max(max(values) for of, values in _each(measured, "rows") if of == tasks) for tasks in NUMBERS}
    arranged = max(statistics.median(values) for _tasks, values in _each(measured, "arranged"))
    drawn = max(arranged, *(max(values) for values in medians.values()))
    drawn_cpu = max(
        statistics.median(values) for what in ("draws_cpu", "arranged_cpu") for _tasks, values in _each(measured, what)
    )
    promises = promised(
        Promise("A call of the timer takes next to nothing while nothing happens", f"median {_us(IDLE_AIM)}",
                _us(idle), idle <= IDLE_AIM),
        Promise(f"… and never much, with {CHANGING:,} tasks changing at once", f"at most {_ms(BUSY_AIM)}",
                f"longest call {_ms(busy)}, of the processor's time {_ms(busy_cpu)}", busy <= BUSY_AIM),
        Promise("All our code in one redraw of the sidebar is quick, with up to 10,000 tasks, searched and sorted, too",
                f"median {_ms(DRAW_AIM)}", f"{_ms(drawn)}, of the processor's time {_ms(drawn_cpu)}",
                drawn <= DRAW_AIM),
        Promise("… and draws the rows on the screen, and not the list", "as many rows of 10,000 tasks as of 10",
                f"{rows[NUMBERS[-1]]} and {rows[NUMBERS[0]]}", rows[NUMBERS[-1]] <= rows[NUMBERS[0]]),
    )  # fmt: skip
    return "\n\n".join([promises, _prose(), _timer_table(measured), _draw_table(measured)])


def _prose() -> str:
    few, many, very_many = NUMBERS
    return f"""Blender calls the extension's timer five times a second while there is something to follow,
and draws the sidebar when something in it has changed. Both are timed around the functions themselves, in a
real window with the Rodin tab shown and {few}, {many:,} and {very_many:,} tasks followed. *Idle* are {IDLE:.0f}
s, without the calls that brought news. Then {CHANGING:,} changes (or as many as there are tasks) are put into
the timer's queue at once: a call takes in what it can in 1.5 ms, and the next goes on 10 ms later. Once a second it
also looks whether a setting has changed; these calls are the slow ones."""


def _timer_table(measured: Measured) -> str:
    lines = []
    for version, windows in measured.items():
        for tasks, facts in windows.items():
            idle, busy = facts["idle"], facts["busy"]
            lines.append([
                version, f"{tasks:,}", _us(statistics.median(idle)), _us(_percentile(idle, 0.99)), len(busy),
                _ms(statistics.median(busy)), f"{_ms(max(busy))} ({_ms(max(facts['busy_cpu']))})",
            ])  # fmt: skip
    header = (
        "Blender", "tasks", "idle: median", "99 % below", "all change: calls", "median", "longest",
    )  # fmt: skip
    return f"""**The timer**

{table(header, lines, texts=1)}

The longest calls are told twice: by the clock, and in brackets the processor's time in them. Where these
differ, the call waited: for the processor, where other programs had it, or for its turn in Python, which runs
one thread at a time and changes over every 5 ms."""


def _draw_table(measured: Measured) -> str:
    lines = []
    for version, windows in measured.items():
        for tasks, facts in windows.items():
            draws, sidebar = facts["draws"], statistics.median(facts["sidebar"])
            lines.append([
                version, f"{tasks:,}", max(facts["rows"]), _ms(statistics.median(draws)),
                _ms(statistics.median(facts["draws_cpu"])), _ms(_percentile(draws, 0.99)),
                _ms(sidebar), _ms(statistics.median(facts["arranged"])),
                f"{_ms(facts['arranging'])} for {facts['found']:,} found",
            ])  # fmt: skip
    header = (
        "Blender", "tasks", "rows drawn", "our draw functions: median", "of the processor's time",
        "99 % below", "all, with the pixels",
        "searched and sorted by name", "to search and sort once",
    )  # fmt: skip
    return f"""**Drawing the sidebar once**

{table(header, lines, texts=1)}

In our time is that of Blender's own list (`template_list`), which passes over all its items to know which are on the
screen. What a search finds, in its order, is worked out when the search is typed and when a task changes, and not when
the list is drawn."""
