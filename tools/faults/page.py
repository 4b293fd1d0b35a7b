"""The page of what the campaign found: each command replaces its own part, and leaves the others'."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

from tools.bench import page as benchmarks
from tools.blenders import ROOT

PAGE = ROOT / "docs" / "reliability.md"


def put(part: str, text: str, page: Path = PAGE) -> None:
    """Put `text` between the comments of that part; at the end of the page where it has none yet."""
    begin, end = f"<!-- {part}: begin -->", f"<!-- {part}: end -->"
    whole = page.read_text() if page.exists() else ""
    block = f"{begin}\n{text.strip()}\n{end}"
    found = re.search(f"{re.escape(begin)}.*?{re.escape(end)}", whole, re.DOTALL)
    whole = whole[: found.start()] + block + whole[found.end() :] if found else f"{whole.rstrip()}\n\n{block}\n"
    page.write_text(whole)


def machine() -> str:
    """When and on what it ran, in a line."""
    return f"{date.today().isoformat()}, {benchmarks.machine()}"


def cell(text: str) -> str:
    """Text for a cell of a table."""
    return re.sub(r"\s+", " ", text).replace("|", "\\|").replace("<", "&lt;").strip()
