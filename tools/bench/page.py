"""The page docs/benchmarks.md: the promises of all sections on top, then the sections, each replaced when it ran."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tools import blenders

PAGE = blenders.ROOT / "docs" / "benchmarks.md"
PICTURES = blenders.ROOT / "docs" / "benchmarks"
TITLES = {
    "window": "Does the window stand still?",
    "draw": "What it costs Blender's main thread",
    "pace": "How soon we know, and at what cost",
    "follow": "Ten thousand tasks in one process",
}
"""All sections, in their order."""

_HEADER = "| promise | aim | measured | met? |"
_INTRODUCTION = """# Benchmarks

What the README promises, as figures, beside what people would otherwise use. Ratios come first: they carry over to other
machines better than milliseconds do. All is measured in real Blenders, against a simulated service on the same machine.

`make bench` measures it all anew and writes this page; `make bench SECTIONS="window draw"` some of it. It takes about a
quarter of an hour; leave the machine alone meanwhile. Each section says when and on what it was measured.
"""


@dataclass(frozen=True)
class Promise:
    what: str
    aim: str
    measured: str
    met: bool
    why_not: str = ""
    """Where it is missed, if it is known; the section says more."""


def table(promises: list[Promise]) -> str:
    """For the beginning of a section. On the page it stands on top, with those of the others."""
    rows = [
        f"| {promise.what} | {promise.aim} | {promise.measured} | {'met' if promise.met else f'**missed** {promise.why_not}'.strip()} |"
        for promise in promises
    ]
    return "\n".join([_HEADER, "| --- | --- | --- | --- |", *rows])


def update(name: str, text: str, seconds: float) -> None:
    """Put a section's new text into the page; the others stay as they are."""
    sections = read() | {name: f"{text.strip()}\n\n*{_measured(name, seconds)}*"}
    promises, texts = [], []
    for known, title in TITLES.items():
        if known in sections:
            rows = re.search(rf"^{re.escape(_HEADER)}\n(?:\|.*\n)+", sections[known], re.MULTILINE)
            promises += rows[0].splitlines()[2:] if rows else []
            texts.append(f"<!-- begin {known} -->\n## {title}\n\n{sections[known]}\n<!-- end {known} -->")
    summary = "\n".join(["## The promises", "", _HEADER, "| --- | --- | --- | --- |", *promises])
    PAGE.write_text("\n\n".join([_INTRODUCTION.strip(), summary, *texts]) + "\n")


def read() -> dict[str, str]:
    """The sections on the page, without their titles."""
    page = PAGE.read_text() if PAGE.exists() else ""
    found = re.findall(r"<!-- begin (\w+) -->\n## .*\n\n(.*?)\n<!-- end \1 -->", page, re.DOTALL)
    return {name: text for name, text in found if name in TITLES}


def _measured(name: str, seconds: float) -> str:
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=blenders.ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    return (
        f"Measured on {time.strftime('%Y-%m-%d')} in {seconds / 60:.1f} min by `make bench SECTIONS={name}` at commit "
        f"{commit or 'unknown'}: {_machine()}."
    )


def _machine() -> str:
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
