"""Pages of docs/ of which tools write parts: each replaces its own, and leaves the others'."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path


def put(page: Path, part: str, text: str) -> None:
    """Put `text` between the comments of that part; at the end of the page where it has none yet."""
    begin, end = f"<!-- {part}: begin -->", f"<!-- {part}: end -->"
    whole = page.read_text() if page.exists() else ""
    block = f"{begin}\n{text.strip()}\n{end}"
    found = re.search(f"{re.escape(begin)}.*?{re.escape(end)}", whole, re.DOTALL)
    whole = whole[: found.start()] + block + whole[found.end() :] if found else f"{whole.rstrip()}\n\n{block}\n"
    page.write_text(whole)


def table(header: Sequence[str], lines: Iterable[Sequence[object]], *, texts: int | None = None) -> str:
    """One whose first `texts` columns are words and whose others are numbers."""
    words = len(header) if texts is None else texts
    rule = ["---" if number < words else "---:" for number in range(len(header))]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in (header, rule, *lines))


def cell(text: str) -> str:
    """Text for a cell of a table, whatever is in it."""
    return re.sub(r"\s+", " ", text).replace("|", "\\|").replace("<", "&lt;").strip()


def when_and_where() -> str:
    """The day and the machine, in a line."""
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
    machine = f"{processor}, {os.cpu_count()} cores, {memory:.0f} GB, {system}, Python {platform.python_version()}"
    return f"{time.strftime('%Y-%m-%d')}, {machine}"
