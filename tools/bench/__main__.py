"""Our promises as figures, beside what people would otherwise use. Writes docs/benchmarks.md and its pictures.

    python -m tools.bench [window] [draw] [importing] [pace] [follow]

Each section is a module with `section(pictures) -> Markdown`. It begins with its promises (page.promised), which go to
the top of the page. Sections that are not named stay on the page as they are.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import signal
import time

from tools.bench import page, real_blender


def main() -> None:
    there = [name for name in page.TITLES if importlib.util.find_spec(f"tools.bench.{name}")]
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections", nargs="*", choices=[*there, []], metavar="SECTION", help=", ".join(there))
    for kind in (signal.SIGINT, signal.SIGTERM):
        signal.signal(kind, _stop)
    page.PICTURES.mkdir(exist_ok=True)
    for name in parser.parse_args().sections or there:
        print(f"== {name}", flush=True)
        began, load = time.monotonic(), os.getloadavg()[0]
        text = importlib.import_module(f"tools.bench.{name}").section(page.PICTURES)
        page.update(name, text, time.monotonic() - began, load)
    print(f"Written: {page.PAGE}")


def _stop(_signal: int, _frame: object) -> None:
    real_blender.stop()
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
