"""Runs the tests in lanes and ends with a table of them: passed, failed, or not run with the reason.

    python3 tools/lanes.py [--only LANE …] [--tests "FILE -k WORDS"] [--pictures FOLDER]

    unit         plain Python
    http         the tests of the client with the `requests` that Blender 4.2 to 4.4 bring
    4.2 … 5.2    inside that Blender, through pytest-blender, on the built and installed zip
    window-4.3   a real window, clicked and typed in
    window-5.2
    demo         `make demo`, which checks its own end
    farm         `make farm-demo` with fewer models, which does so, too
    faults       the short form of `make faults`: things break, and nothing may be lost

    Where BLENDER names an executable, the lanes own and window-own stand for those of 4.3 and 5.2.

Lanes run side by side, each with a profile, a simulator, a folder for temporary files and a screen of its own. What a
lane prints is shown whole when it ends; at once, where it is the only one.

Exit code 0 when no lane failed and, with CI set, none was left out that this machine could have run. The one
exception is Blender 5.2 from Debian's moving suite: where its root cannot be built, the table says so and the run
goes on.
Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools import blenders
from tools.memory_disk import memory_disk
from tools.side_by_side import PROCESSORS, run_all, run_session

WINDOWED = ("own",) if os.environ.get("BLENDER") else tuple(blenders.DEBIAN)
_WINDOWS = tuple(f"window-{name}" for name in WINDOWED)
LANES = ("unit", "http", *blenders.WHEELS, *WINDOWED, *_WINDOWS, "demo", "farm", "faults")
_FIRST = (*reversed(_WINDOWS), *reversed(WINDOWED), *reversed(blenders.WHEELS), "http", "farm", "demo", "unit")
"""The lanes that wait most begin first, with the short ones, one after the other, beside them. Then there is room for
the one that computes most, while the others still wait."""
MAY_BE_MISSING = ("5.2", "window-5.2")
_DEMOS = {"demo": ["tools/demo.py", "--small"], "farm": ["tools/farm_demo.py", "--models", "4"]}
"""Small pictures, and four of the farm's twelve models: those that are told apart, for its two workers."""
_NO_BLENDER = 2
"""A demo's exit code."""
LONGEST_LANE = 30 * 60
ROOM = 8 << 30
"""Bytes; all lanes together hold less than two gigabytes at a time."""
BUILDERS = ("own",) if os.environ.get("BLENDER") else ("4.5", "4.3")
"""The Blenders that may build the zip, the first that can be had."""

SLOTS = 5 * PROCESSORS
"""How much runs at once. A test waits more than it computes, so a processor has room for five slots."""
UNIT_PROCESSES = 3 * PROCESSORS
WINDOWS_AT_ONCE = 2
"""Of a lane: most of the time a window waits for what a user would wait for."""
_printing = threading.Lock()


@dataclass
class Lane:
    name: str
    state: str = "not run"
    detail: str = ""
    passed: int = 0
    failed: int = 0
    seconds: float = 0.0
    processor_seconds: float = 0.0
    printed: list[str] = field(default_factory=list)
    live: bool = False
    """Whether each line is shown at once."""

    @property
    def slots(self) -> int:
        if self.name == "unit":
            return 4
        # What a window does is counted and timed: it gets more room than it needs.
        return 2 if self.name.startswith("window-") or self.name == "faults" else 1

    def say(self, line: str) -> None:
        self.printed.append(line)
        if self.live:
            print(line, end="", flush=True)


@dataclass(frozen=True)
class Prepared:
    python: Path
    archive: Path
    """The zip that is tested."""
    pictures: Path | None
    tests: str
    """What pytest is to run instead of all tests of a lane, as it is typed."""

    def of(self, folder: str) -> list[str]:
        return shlex.split(self.tests) or [folder]

    def spread(self, folder: str, processes: int) -> list[str]:
        """The same over several processes. Each reads all tests first, so some that were picked are run by one."""
        return self.of(folder) if self.tests else ["-n", str(processes), "--dist", "worksteal", folder]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=LANES, default=LANES, metavar="LANE")
    parser.add_argument("--pictures", type=Path, help="keep the pictures of the window lanes here")
    parser.add_argument("--tests", default="", help="instead of all of a lane: 'tests/unit/test_keys.py -k words'")
    parser.add_argument("--slots", type=int, default=SLOTS, help="how much runs at once; 1: one lane after the other")
    arguments = parser.parse_args()
    lanes = [Lane(name, detail="not asked for") for name in LANES]
    in_turn = sorted(lanes, key=lambda lane: _FIRST.index(lane.name) if lane.name in _FIRST else len(_FIRST))
    asked_for = [lane for lane in in_turn if lane.name in arguments.only]
    for wish in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(wish, signal.default_int_handler)
    try:
        prepared = Prepared(blenders.tools_python(), build(), arguments.pictures, arguments.tests)
    except (blenders.NotAvailable, SystemExit) as error:
        print(f"The tests cannot begin: {error}", file=sys.stderr)
        return 1
    asked_for[0].live = len(asked_for) == 1
    try:
        # Hundreds of programs are started: what one has compiled, the next one reads.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        run_all(asked_for, arguments.slots, lambda lane: _run(lane, prepared))
    except KeyboardInterrupt:
        return 130
    _print_table(lanes)
    return 0 if all(map(_fine, asked_for)) else 1


def build() -> Path:
    """The zip, freshly built. Raises NotAvailable where there is no Blender to build it with."""
    from tools import build as builder

    return builder.build(_builder(), ROOT / "dist")


def repository() -> Path:
    """A folder with the zip that a studio can host. Raises NotAvailable."""
    from tools import build as builder

    return builder.repository(_builder(), build(), ROOT / "dist" / "repository")


def _builder() -> Path:
    reasons = []
    for name in BUILDERS:
        try:
            return blenders.blender(name).executable
        except blenders.NotAvailable as error:
            reasons.append(f"{name}: {error}")
    raise blenders.NotAvailable("no Blender to build the zip with; " + "; ".join(reasons))


def _run(lane: Lane, prepared: Prepared) -> None:
    with _printing:
        print(f"-- {lane.name} begins", flush=True)
    began = time.monotonic()
    try:
        prefix = f"rodin-{lane.name}-"
        # Each write of a list would wait for a disk, which tests nothing. A Debian root sees both places.
        place = memory_disk(ROOM) or "/tmp"
        with tempfile.TemporaryDirectory(prefix=prefix, dir=place, ignore_cleanup_errors=True) as folder:
            environment = {
                **os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": folder, "RODIN_ZIP": str(prepared.archive),
                # Threads that wait for work keep a processor busy after each start of a Blender, which brings NumPy.
                "OPENBLAS_NUM_THREADS": "1",
            }  # fmt: skip
            _run_in(Path(folder), lane, prepared, environment)
    except blenders.NotAvailable as error:
        lane.state, lane.detail = "not run", str(error)
        lane.say(f"{lane.detail}\n")
    lane.seconds = time.monotonic() - began
    with _printing:
        print(f"\n== {lane.name}", *([] if lane.live else ["".join(lane.printed).rstrip()]), sep="\n")
        used = f"{lane.seconds:.0f} s, {lane.processor_seconds:.0f} s of a processor"
        print(f"-- {lane.name} {lane.state}: {used}", flush=True)


def _run_in(folder: Path, lane: Lane, prepared: Prepared, environment: dict[str, str]) -> None:
    python = str(prepared.python)
    pytest = [python, "-m", "pytest", "-q"]
    if lane.name == "unit":
        _tests(lane, [*pytest, *prepared.spread("tests/unit", UNIT_PROCESSES)], environment)
        return
    if lane.name == "http":
        tests = [f"tests/unit/test_{name}.py" for name in ("client", "proxies", "certificates", "submit", "answers")]
        _tests(lane, [str(blenders.old_http_python()), *pytest[1:], *tests], environment)
        return
    if lane.name == "faults":
        _tests(lane, [python, "-m", "tools.faults", "--short"], environment)
        return
    if lane.name in _DEMOS:
        _demo(lane, _DEMOS[lane.name], environment)
        return
    blender = blenders.blender(lane.name.removeprefix("window-"))
    if lane.name.startswith("window-"):
        _needs_screen(blender)
        environment["RODIN_WINDOW_BLENDER"] = str(blender.executable)
        if blenders.in_root(blender):
            environment["RODIN_IN_ROOT"] = "1"
        if prepared.pictures:
            environment["RODIN_PICTURES"] = str(prepared.pictures.resolve() / blender.name)
        # Mesa draws without a graphics card, and its threads cost more than they bring where processors are few.
        environment["LP_NUM_THREADS"] = "0"
        environment["RODIN_FIRST_SCREEN"] = str(100 * (WINDOWED.index(blender.name) + 1))
        _tests(lane, [*pytest, *prepared.spread("tests/window", WINDOWS_AT_ONCE)], environment)
        return
    with _simulator(prepared.python) as root:
        environment |= {"RODIN_SIMULATOR": root, "BLENDER_USER_RESOURCES": str(folder / "profile")}
        (folder / "profile").mkdir()
        inside = ["-p", "pytest-blender", "--blender-executable", str(blender.executable)]
        inside += prepared.of("tests/blender")
        if blender.name == "own":
            # An official Blender brings no pytest; it is not installed into it, only shown to it.
            path = str(blenders.packages("pytest", [blenders.PYTEST]))
            inside += ["--", "--python-expr", f"import sys; sys.path.append({path!r})"]
        _tests(lane, [*pytest, *inside], environment)


def _demo(lane: Lane, script: list[str], environment: dict[str, str]) -> None:
    code = _session(lane, [sys.executable, *script], environment)
    if code == _NO_BLENDER:
        raise blenders.NotAvailable("no Blender to show it with, see above")
    lane.passed, lane.failed = (1, 0) if code == 0 else (0, 1)
    lane.state, lane.detail = ("passed", "") if code == 0 else ("failed", f"exit code {code}")


def _needs_screen(blender: blenders.Blender) -> None:
    if blenders.in_root(blender):
        return
    # Clicks are counted in pixels, so the screen's size must be known: not the user's own.
    if not shutil.which("xvfb-run"):
        raise blenders.NotAvailable("the window opens on a screen of its own, and xvfb-run is not here")
    if not shutil.which("import"):
        raise blenders.NotAvailable("pictures are taken by ImageMagick's `import`, which is not here")


def _tests(lane: Lane, command: list[str], environment: dict[str, str]) -> None:
    """Run it and read its closing line."""
    code = _session(lane, command, environment)
    closing = next((line for line in reversed(lane.printed[-40:]) if re.search(r"\d+ (passed|failed|error)", line)), "")
    counts = {word: int(count) for count, word in re.findall(r"(\d+) (passed|failed|error)", closing)}
    lane.passed, lane.failed = counts.get("passed", 0), counts.get("failed", 0) + counts.get("error", 0)
    fine = code == 0 and lane.passed > 0 and lane.failed == 0
    lane.state = "passed" if fine else "failed"
    lane.detail = "" if fine else f"exit code {code}"


def _session(lane: Lane, command: list[str], environment: dict[str, str]) -> int:
    ended = run_session(command, environment, ROOT, LONGEST_LANE, lane.say)
    lane.processor_seconds = ended.processor_seconds
    return ended.code


@contextlib.contextmanager
def _simulator(python: Path) -> Iterator[str]:
    """A simulator as a process of its own; its address without the API's path."""
    process = subprocess.Popen(
        [str(python), "-m", "tools.simulator", "--speed", "2"], cwd=ROOT, text=True, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout
        yield process.stdout.readline().split()[0].removeprefix("RODIN_API_URL=").removesuffix("/api/v2")
    finally:
        process.kill()
        process.wait()


def _fine(lane: Lane) -> bool:
    if lane.state == "not run":
        return not os.environ.get("CI") or lane.name in MAY_BE_MISSING
    return lane.state == "passed"


def _print_table(lanes: list[Lane]) -> None:
    print("\nLANE         STATE     PASSED  FAILED   TIME")
    for lane in lanes:
        numbers = f"{lane.passed:6}  {lane.failed:6}  {lane.seconds:4.0f} s" if lane.state != "not run" else " " * 22
        print(f"{lane.name:12} {lane.state:8} {numbers}  {lane.detail.splitlines()[0] if lane.detail else ''}")
    for lane in lanes:
        if lane.state == "not run" and lane.detail != "not asked for":
            print(f"\n!! {lane.name} DID NOT RUN: {lane.detail}")
    print(f"\n{sum(lane.passed for lane in lanes)} passed, {sum(lane.failed for lane in lanes)} failed")


if __name__ == "__main__":
    sys.exit(main())
