"""What our code takes of Blender's main thread: the timer's calls, drawing, enabling; and the memory of tasks."""

from __future__ import annotations

import statistics
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tools.bench import plots, real_blender, service
from tools.bench.page import Promise, table
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
    print(f"{blender.name}  enabled in {1000 * facts['enabling']:.0f} ms; {tasks} tasks, {facts['memory']:.1f} MB", flush=True)
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
    idle_worst = max(_percentile(values, 0.99) for _tasks, values in _each(measured, "idle"))
    busy = max(max(values) for _tasks, values in _each(measured, "busy"))
    draws = {tasks: [] for tasks in NUMBERS}
    for tasks, values in _each(measured, "draws"):
        draws[tasks].append(statistics.median(values))
    growth = max(many / few for few, many in zip(draws[NUMBERS[0]], draws[NUMBERS[-1]], strict=True))
    rows = max(max(values) for _tasks, values in _each(measured, "rows"))
    drawn = max(max(values) for values in draws.values())
    starts = [start for one in measured.values() for start in (one["first"], *one["few"], *one["many"])]
    imported = any("requests" in start["modules"] for start in starts)
    enabling = max(_enabling(one) for one in measured.values())
    promises = [
        Promise("A call of the timer takes next to nothing while nothing happens", f"median {_us(IDLE_AIM)}", f"{_us(idle)}; 99 % below {_us(idle_worst)}", idle <= IDLE_AIM),
        Promise(f"… and never much, with {CHANGING:,} tasks changing at once", f"at most {_ms(BUSY_AIM)}", f"longest call {_ms(busy)}", busy <= BUSY_AIM),
        Promise("Drawing the sidebar takes our code little time, with up to 10,000 tasks", f"median {_ms(DRAW_AIM)}", _ms(drawn), drawn <= DRAW_AIM),
        Promise("… which grows with the rows on the screen, not with the list", "10,000 tasks as 10: at most 1.5 ×", f"{growth:.2f} ×; {rows} rows drawn", growth <= 1.5),
        Promise("Enabling it does not import `requests`", "not imported", f"{'imported' if imported else 'not imported'}; enabled in {1000 * enabling:.0f} ms", not imported),
    ]  # fmt: skip
    parts = [table(promises), _PROSE, "![Time to draw over the number of tasks](benchmarks/draw.png)", _timer_table(measured),
             _draw_table(measured), _start_table(measured)]  # fmt: skip
    return "\n\n".join(parts)


_PROSE = f"""Blender calls the extension's timer five times a second while there is something to follow, and draws the sidebar when
something in it has changed. Both are timed around the functions themselves, in a real window with the Rodin tab shown.
*Idle* is {IDLE:.0f} s in which tasks are followed and nothing changes; then {CHANGING:,} changes (or as many as there are tasks) are put into the
timer's queue at once. A call stops after {_ms(BUSY_AIM)} and goes on 10 ms later."""


def _timer_table(measured: dict[str, dict[str, Any]]) -> str:
    lines = ["| Blender | tasks | idle: median | 99 % below | all change: calls | median | 99 % below | longest | shown after |",
             "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]  # fmt: skip
    for version, one in measured.items():
        for tasks, facts in one["windows"].items():
            idle, busy = facts["idle"], facts["busy"]
            lines.append(
                f"| {version} | {tasks:,} | {_us(statistics.median(idle))} | {_us(_percentile(idle, 0.99))} | {len(busy)} "
                f"| {_us(statistics.median(busy))} | {_us(_percentile(busy, 0.99))} | {_us(max(busy))} | {facts['shown_after']:.1f} s |"
            )
    return "**The timer**\n\n" + "\n".join(lines)


def _draw_table(measured: dict[str, dict[str, Any]]) -> str:
    lines = ["| Blender | tasks | rows drawn | our code: median | 99 % below | the whole sidebar, with Blender's part |",
             "| --- | ---: | ---: | ---: | ---: | ---: |"]  # fmt: skip
    for version, one in measured.items():
        for tasks, facts in one["windows"].items():
            draws = facts["draws"]
            lines.append(
                f"| {version} | {tasks:,} | {max(facts['rows'])} | {_ms(statistics.median(draws))} "
                f"| {_ms(_percentile(draws, 0.99))} | {_ms(statistics.median(facts['sidebar']))} |"
            )
    return "**Drawing the sidebar once**\n\n" + "\n".join(lines)


def _enabling(one: dict[str, Any]) -> float:
    return statistics.median(start["enabling"] for start in (*one["few"], *one["many"]))


def _start_table(measured: dict[str, dict[str, Any]]) -> str:
    lines = ["| Blender | enabling, the first time | from then on | `import requests`, which it leaves for later | modules imported | memory of 1,000 tasks |",
             "| --- | ---: | ---: | ---: | ---: | ---: |"]  # fmt: skip
    for version, one in measured.items():
        requests = statistics.median(start["importing_requests"] for start in one["few"])
        few, many = ([start["memory"] for start in one[which]] for which in ("few", "many"))
        differences = [b - a for a, b in zip(few, many, strict=True)]
        lines.append(
            f"| {version} | {1000 * one['first']['enabling']:.0f} ms | {1000 * _enabling(one):.0f} ms | {1000 * requests:.0f} ms "
            f"| {len(one['few'][0]['modules'])} | {statistics.median(differences):.1f} MB ({min(differences):.1f} to {max(differences):.1f}) |"
        )
    modules = next(iter(measured.values()))["few"][0]["modules"]
    foreign = [name for name in modules if "rodin_blender" not in name]
    return (
        "**Enabling, and memory**\n\n" + "\n".join(lines) + f"\n\nThe first time Python compiles the modules. Memory is what the process takes up (RSS) with {1 + CHANGING:,} tasks less that with one, "
        f"each in {STARTS} Blenders without a window, after the first answers came in. Imported beside our own modules: "
        + ", ".join(f"`{name}`" for name in foreign if "." not in name and not name.startswith("_")) + "."
    )  # fmt: skip


def _plot(measured: dict[str, dict[str, Any]], picture: Path) -> None:
    with plots.figure(picture, columns=1, width=7.5, height=4.0) as (axis,):
        for number, (version, one) in enumerate(measured.items()):
            windows = one["windows"]
            for what, style, words in (("sidebar", "--", "the whole sidebar, with Blender's part"), ("draws", "-", "our code")):
                medians = [1000 * statistics.median(facts[what]) for facts in windows.values()]
                axis.plot([*windows], medians, style, color=plots.COLOURS[number], marker=plots.MARKERS[number],
                          label=f"{words}, {version}")  # fmt: skip
        axis.axhline(1000 * DRAW_AIM, color="#555555", linewidth=1, linestyle=":", label="aim for our code")
        axis.set(xscale="log", yscale="log", xlabel="tasks in the list", ylabel="median time to draw once, ms")
        axis.legend(fontsize="small")
