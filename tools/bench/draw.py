"""What our code takes of Blender's main thread: the timer's calls, drawing, enabling; and the memory of tasks."""

from __future__ import annotations

import statistics
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tools.bench import plots, real_blender, service
from tools.bench.page import Promise, promised, rows
from tools.bench.real_blender import Installed
from tools.simulator import API_KEY

NUMBERS = (10, 1_000, 10_000)
CHANGING = 1_000
IDLE = 15.0
"""Seconds in which nothing happens, at five calls of the timer a second."""
REDRAWS = 100
STARTS = 3
"""Blenders that are started for each figure of enabling and memory."""
IDLE_AIM, BUSY_AIM, DRAW_AIM = 50e-6, 2e-3, 1e-3


def section(pictures: Path) -> str:
    with real_blender.installed() as found, ThreadPoolExecutor(len(found)) as pool:
        measured = dict(zip((blender.version for blender in found), pool.map(_measure, found), strict=True))
    _plot(measured, pictures / "draw.png")
    return _text(measured)


def _measure(blender: Installed) -> dict[str, Any]:
    return {
        "windows": {tasks: _in_window(blender, tasks) for tasks in NUMBERS},
        "first": _in_background(blender, 1),
        "few": [_in_background(blender, 1) for _ in range(STARTS)],
        "many": [_in_background(blender, 1 + CHANGING) for _ in range(STARTS)],
    }


def _in_window(blender: Installed, tasks: int) -> dict[str, Any]:
    given = {"tasks": tasks, "idle": IDLE, "changing": CHANGING, "redraws": REDRAWS}
    facts = _run(blender, "in_draw.py", given, window=True)
    print(f"{blender.name}  {tasks} tasks: drawn in {1000 * statistics.median(facts['draws']):.2f} ms", flush=True)
    return facts


def _in_background(blender: Installed, tasks: int) -> dict[str, Any]:
    facts = _run(blender, "in_background.py", {"tasks": tasks}, window=False)
    told = f"enabled in {1000 * facts['enabling']:.0f} ms; {tasks} tasks, {facts['memory']:.1f} MB"
    print(f"{blender.name}  {told}", flush=True)
    return facts


def _run(blender: Installed, script: str, given: dict[str, Any], *, window: bool) -> dict[str, Any]:
    with real_blender.memory_folder() as folder, service.running(folder, tasks=given["tasks"]) as url:
        environment = {"RODIN_API_URL": url, "RODIN_API_KEY": API_KEY, "RODIN_FOLDER": str(folder)}
        facts = blender.run(script, given, window=window, **environment)
    if facts.get("trouble"):
        raise real_blender.Failed(f"Blender {blender.name}, {script}: {facts['trouble']}")
    return facts


# The page.


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f} µs"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"


def _each(measured: dict[str, dict[str, Any]], what: str) -> list[tuple[int, list[float]]]:
    return [(tasks, facts[what]) for one in measured.values() for tasks, facts in one["windows"].items()]


def _text(measured: dict[str, dict[str, Any]]) -> str:
    idle = max(statistics.median(values) for _tasks, values in _each(measured, "idle"))
    busy, busy_cpu = (max(max(values) for _tasks, values in _each(measured, what)) for what in ("busy", "busy_cpu"))
    medians: dict[int, list[float]] = {tasks: [] for tasks in NUMBERS}
    for tasks, values in _each(measured, "draws"):
        medians[tasks].append(statistics.median(values))
    own = [_own(one["windows"]) for one in measured.values()]
    growth = max(times[NUMBERS[-1]] / times[NUMBERS[0]] for times in own)
    arranged = max(statistics.median(values) for _tasks, values in _each(measured, "arranged"))
    drawn = max(arranged, *(max(values) for values in medians.values()))
    starts = [start for one in measured.values() for start in (one["first"], *one["few"], *one["many"])]
    late = all(not set(start["modules"]) & {"requests", "numpy"} for start in starts)
    enabling = max(_enabling(one) for one in measured.values())
    promises = promised(
        Promise("A call of the timer takes next to nothing while nothing happens", f"median {_us(IDLE_AIM)}",
                _us(idle), idle <= IDLE_AIM),
        Promise(f"… and never much, with {CHANGING:,} tasks changing at once", f"at most {_ms(BUSY_AIM)}",
                f"longest call {_ms(busy)}, of the processor's time {_ms(busy_cpu)}", busy <= BUSY_AIM),
        Promise("All our code in one redraw of the sidebar is quick, with up to 10,000 tasks, searched and sorted, too",
                f"median {_ms(DRAW_AIM)}", _ms(drawn), drawn <= DRAW_AIM),
        Promise("… and grows with the rows on the screen, not with the list", "10,000 tasks at most 1.2 × 10 tasks",
                f"{growth:.2f} ×", growth <= 1.2),
        Promise("Enabling it imports neither `requests` nor `numpy`", "neither",
                f"{'neither' if late else 'imported'}; enabled in {1000 * enabling:.0f} ms", late),
    )  # fmt: skip
    parts = [promises, _prose(measured), "![Time to draw over the number of tasks](benchmarks/draw.png)"]
    return "\n\n".join([*parts, _timer_table(measured), _draw_table(measured), _start_table(measured)])


def _prose(measured: dict[str, dict[str, Any]]) -> str:
    few, many, very_many = NUMBERS
    warm = max(statistics.median(values) for _tasks, values in _each(measured, "warm"))
    return f"""Blender calls the extension's timer five times a second while there is something to follow,
and draws the sidebar when something in it has changed. Both are timed around the functions themselves, in a
real window with the Rodin tab shown and {few}, {many:,} and {very_many:,} tasks followed. *Idle* are {IDLE:.0f}
s, without the calls that brought news. Then {CHANGING:,} changes (or as many as there are tasks) are put into
the timer's queue at once: a call takes in what it can in 1.5 ms, and the next goes on 10 ms later. Called so
rarely, the timer finds little in the processor's caches: called 200 times in a row, an idle call takes
{_us(warm)}. Once a second it also looks whether a setting has changed; these calls are the slow ones."""


def _timer_table(measured: dict[str, dict[str, Any]]) -> str:
    lines = []
    for version, one in measured.items():
        for tasks, facts in one["windows"].items():
            idle, busy, begin = facts["idle"], facts["busy"], facts["begin"]
            lines.append([
                version, f"{tasks:,}", _us(statistics.median(idle)), _us(_percentile(idle, 0.99)), len(busy),
                _ms(statistics.median(busy)), _both(facts, "busy"), f"{facts['shown_after']:.1f} s",
                _ms(_percentile(begin, 0.99)), _both(facts, "begin"),
            ])  # fmt: skip
    header = (
        "Blender", "tasks", "idle: median", "99 % below", "all change: calls", "median", "longest",
        "at first: all shown after", "99 % below", "longest",
    )  # fmt: skip
    return f"""**The timer**

{rows(header, lines, texts=1)}

The longest calls are told twice: by the clock, and in brackets the processor's time in them. Where these
differ, the call waited: for the processor, where other programs had it, or for its turn in Python, which runs
one thread at a time and changes over every 5 ms. *At first* is from enabling on: a thread reads the list and
imports `requests` meanwhile."""


def _own(windows: dict[int, dict[str, Any]]) -> dict[int, float]:
    """Our code's time to draw, without that of Blender's own list in it."""
    return {
        tasks: statistics.median(facts["draws"]) - statistics.median(facts["empty_list"])
        for tasks, facts in windows.items()
    }


def _both(facts: dict[str, Any], what: str) -> str:
    return f"{_ms(max(facts[what]))} ({_ms(max(facts[what + '_cpu']))})"


def _draw_table(measured: dict[str, dict[str, Any]]) -> str:
    lines = []
    for version, one in measured.items():
        for tasks, facts in one["windows"].items():
            draws, sidebar = facts["draws"], statistics.median(facts["sidebar"])
            lines.append([
                version, f"{tasks:,}", max(facts["rows"]), _ms(statistics.median(draws)), _ms(_percentile(draws, 0.99)),
                _ms(statistics.median(facts["empty_list"])), _ms(_own(one["windows"])[tasks]), _ms(sidebar),
                _ms(statistics.median(facts["arranged"])), f"{_ms(facts['arranging'])} for {facts['found']:,} found",
            ])  # fmt: skip
    header = (
        "Blender", "tasks", "rows drawn", "our draw functions: median", "99 % below", "Blender's own list in it",
        "the rest", "all, with the pixels", "searched and sorted by name", "to search and sort once",
    )  # fmt: skip
    return f"""**Drawing the sidebar once**

{rows(header, lines, texts=1)}

Blender's own list (`template_list`) passes over all its items to know which are on the screen. What it takes alone is
measured with a second list of the same rows, which nobody draws. What a search finds, in its order, is worked out when
the search is typed and when a task changes, and not when the list is drawn."""


def _enabling(one: dict[str, Any]) -> float:
    return statistics.median(start["enabling"] for start in (*one["few"], *one["many"]))


def _start_table(measured: dict[str, dict[str, Any]]) -> str:
    lines = []
    for version, one in measured.items():
        modules = ["Blender had it" if start["requests_before"] else
                   f"{1000 * start['importing_requests']:.0f} ms" for start in one["few"]]  # fmt: skip
        few, many = ([start["memory"] for start in one[which]] for which in ("few", "many"))
        more = [with_many - with_one for with_one, with_many in zip(few, many, strict=True)]
        lines.append([
            version, f"{1000 * one['first']['enabling']:.0f} ms", f"{1000 * _enabling(one):.0f} ms",
            sorted(modules)[len(modules) // 2],
            f"{statistics.median(more):.1f} MB ({min(more):.1f} to {max(more):.1f})",
        ])  # fmt: skip
    brought = sorted({
        name.partition(".")[0] for one in measured.values() for name in one["first"]["modules"]
        if not name.startswith(("bl_ext", "_"))
    })  # fmt: skip
    header = ("Blender", "enabling, the first time", "from then on", "importing `requests`, left for later",
              f"memory of {CHANGING:,} tasks")  # fmt: skip
    return f"""**Enabling, and memory**

{rows(header, lines, texts=1)}

The first time Python compiles our modules. Memory is what the process takes up (RSS) with {1 + CHANGING:,} tasks less
that with one, in {STARTS} Blenders without a window each, after the first answers came in. Beside its own modules it
brings in, where Blender has not done so: {", ".join(f"`{name}`" for name in brought)}."""


def _plot(measured: dict[str, dict[str, Any]], picture: Path) -> None:
    with plots.figure(picture, columns=1, width=7.5, height=4.0) as (axis,):
        for number, (version, one) in enumerate(measured.items()):
            windows = one["windows"]
            for what, style, words in (("sidebar", "--", "all, with the pixels"), ("draws", "-", "our draw functions")):
                medians = [1000 * statistics.median(facts[what]) for facts in windows.values()]
                axis.plot([*windows], medians, style, color=plots.COLOURS[number], marker=plots.MARKERS[number],
                          label=f"{words}, {version}")  # fmt: skip
        axis.axhline(1000 * DRAW_AIM, color="#555555", linewidth=1, linestyle=":", label="aim for our code")
        axis.set(xscale="log", yscale="log", xlabel="tasks in the list", ylabel="median time to draw once, ms")
        axis.legend(fontsize="small")
