"""What an import costs in a large file, beside Blender's own. Without a window: `python -m tools.bench importing`."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from tools.bench import real_blender
from tools.bench.page import Promise, promised, rows

OBJECTS, TURNS = 20_000, 3
AIM = 1.1
LONGEST_RUN = 400.0


def section(_pictures: Path) -> str:
    with real_blender.installed() as found:
        measured = {blender.version: _measure(blender) for blender in found}
    lines, ratios = [], []
    for version, kinds in measured.items():
        for kind, times in kinds.items():
            own, ours = statistics.median(times["own"]), statistics.median(times["ours"])
            ratios.append(ours / own)
            lines.append([version, kind, f"{own:.2f} s", f"{ours:.2f} s", f"{ours / own:.2f} ×"])
    return _text(lines, max(ratios))


def _measure(blender: real_blender.Installed) -> dict[str, Any]:
    given = {"objects": OBJECTS, "turns": TURNS}
    return blender.run("in_import.py", given, window=False, longest=LONGEST_RUN)


def _text(lines: list[list[Any]], worst: float) -> str:
    what = f"An import into a file of {OBJECTS:,} objects costs hardly more than Blender's own"
    promise = promised(Promise(what, f"at most {AIM} ×", f"{worst:.2f} ×", worst <= AIM))
    header = ("Blender", "file", "Blender's own importer", "ours, scaled and placed", "ratio")
    return f"""{promise}

Each imports a sphere of 4,000 triangles into a file of {OBJECTS:,} objects with a mesh each, {TURNS} times in turns;
the table has the median of the processor's time until the scene can be drawn. Nearly all of it is Blender's own
evaluation of the whole scene, which every change of its objects needs once: ours works in a scene of its own, and asks
for that once.

{rows(header, lines, texts=2)}"""
