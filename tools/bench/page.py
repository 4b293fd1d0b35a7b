"""The page docs/benchmarks.md: the promises of all sections on top, then the sections, each replaced when it ran."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools import blenders

PAGE = blenders.ROOT / "docs" / "benchmarks.md"
PICTURES = blenders.ROOT / "docs" / "benchmarks"
TITLES = {
    "window": "Does the window stand still?",
    "draw": "What it costs Blender's main thread",
    "importing": "What an import costs in a large file",
    "pace": "How soon we know, and at what cost",
    "follow": "Ten thousand tasks in one process",
}
"""All sections, in their order."""

_HEADER = ("promise", "aim", "measured", "met?")
_INTRODUCTION = """# Benchmarks

What the README promises, as figures, beside what people would otherwise use. Ratios come first: they carry over to
other machines better than milliseconds do. All is measured in real Blenders, against a simulated service on the same
machine.

`make bench` measures it all anew and writes this page; `make bench SECTIONS="window draw"` some of it. It takes about
twenty minutes; leave the machine alone meanwhile. Each section says when and on what it was measured.
"""


@dataclass(frozen=True)
class Promise:
    what: str
    aim: str
    measured: str
    met: bool


def promised(*promises: Promise) -> str:
    """The table of promises that a section begins with. On the page it stands on top, with those of the others."""
    lines = [[each.what, each.aim, each.measured, "met" if each.met else "**missed**"] for each in promises]
    return rows(_HEADER, lines)


def rows(header: Sequence[str], lines: Iterable[Sequence[object]], *, texts: int | None = None) -> str:
    """A table whose first `texts` columns are words and whose others are numbers."""
    words = len(header) if texts is None else texts
    rule = ["---" if number < words else "---:" for number in range(len(header))]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in (header, rule, *lines))


def update(name: str, text: str, seconds: float, load: float) -> None:
    """Put a section's new text into the page; the others stay as they are."""
    page = PAGE.read_text() if PAGE.exists() else ""
    found = re.findall(r"<!-- begin (\w+) -->\n## [^\n]*\n\n(.*?)\n<!-- end \1 -->", page, re.DOTALL)
    tagged = re.findall(r"^\| .*<!-- (\w+) --> \|$", page, re.MULTILINE)
    lines = re.findall(r"^\| .*<!-- \w+ --> \|$", page, re.MULTILINE)
    promises = [(of, line) for of, line in zip(tagged, lines, strict=True) if of != name]
    head, _, rest = text.strip().partition("\n\n") if text.startswith(rows(_HEADER, [])) else ("", "", text.strip())
    promises += [(name, f"{line.removesuffix('|')}<!-- {name} --> |") for line in head.splitlines()[2:]]
    sections = dict(found) | {name: f"{rest}\n\n*{_measured(name, seconds, load)}*"}
    known = [of for of in TITLES if of in sections]
    summary = [line for of in known for tag, line in promises if tag == of]
    parts = [f"<!-- begin {of} -->\n## {TITLES[of]}\n\n{sections[of]}\n<!-- end {of} -->" for of in known]
    table = rows(_HEADER, []) + "".join(f"\n{line}" for line in summary)
    PAGE.write_text("\n\n".join([_INTRODUCTION.strip(), f"## The promises\n\n{table}", *parts]) + "\n")


def _measured(name: str, seconds: float, load: float) -> str:
    changed = _git("status", "--porcelain", "rodin_blender", "tools")
    commit = f"commit {_git('rev-parse', '--short', 'HEAD')}{' with changes' if changed else ''}"
    how = f"in {seconds / 60:.1f} min by `make bench SECTIONS={name}`"
    busy = f"load average {load:.1f} before it began"
    return f"Measured on {time.strftime('%Y-%m-%d')} {how} at {commit}: {machine()}, {busy}."


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=blenders.ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def machine() -> str:
    processor = platform.processor() or "unknown processor"
    information = Path("/proc/cpuinfo")
    if information.exists():
        names = re.findall(r"^model name\s*:\s*(.*)$", information.read_text(), re.MULTILINE)
        processor = names[0] if names else processor
    try:
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        system = platform.system()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{processor}, {os.cpu_count()} cores, {memory:.0f} GB, {system}, Python {platform.python_version()}"
