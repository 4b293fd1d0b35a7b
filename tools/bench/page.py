"""The sections of docs/benchmarks.md: each begins with its promises, and is replaced when it ran."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from tools import blenders, page

PAGE = blenders.ROOT / "docs" / "benchmarks.md"
TITLES = {
    "window": "Does the window stand still?",
    "draw": "What it costs Blender's main thread",
    "pace": "How soon we know, and at what cost",
}
"""All sections, in their order."""


@dataclass(frozen=True)
class Promise:
    what: str
    aim: str
    measured: str
    met: bool


def promised(*promises: Promise) -> str:
    """The table of promises that a section begins with."""
    lines = [[each.what, each.aim, each.measured, "met" if each.met else "**missed**"] for each in promises]
    return page.table(("promise", "aim", "measured", "met?"), lines)


def update(name: str, text: str, seconds: float, load: float) -> None:
    changed = _git("status", "--porcelain", "rodin_blender", "tools")
    commit = f"commit {_git('rev-parse', '--short', 'HEAD')}{' with changes' if changed else ''}"
    how = f"in {seconds / 60:.1f} min by `make bench SECTIONS={name}` at {commit}"
    when = f"*Measured {how}, load average {load:.1f} before it began; {page.when_and_where()}.*"
    page.put(PAGE, name, f"## {TITLES[name]}\n\n{text.strip()}\n\n{when}")


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=blenders.ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()
