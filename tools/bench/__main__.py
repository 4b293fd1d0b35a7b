"""Our promises as figures, beside what people would otherwise use. Writes docs/benchmarks.md.

    python -m tools.bench [window] [draw] [pace]

Each section is a module with `section() -> Markdown`. Those that are not named stay on the page as they are.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import time

from tools.bench import page


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [*page.TITLES]
    parser.add_argument("sections", nargs="*", choices=[*names, []], metavar="SECTION", help=", ".join(names))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for name in parser.parse_args().sections or names:
        print(f"== {name}", flush=True)
        began, load = time.monotonic(), os.getloadavg()[0]
        text = importlib.import_module(f"tools.bench.{name}").section()
        page.update(name, text, time.monotonic() - began, load)
    print(f"Written: {page.PAGE}")


if __name__ == "__main__":
    main()
