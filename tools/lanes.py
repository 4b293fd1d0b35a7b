"""Runs the tests in lanes and ends with a table of them: passed, failed, or not run with the reason.

    python3 tools/lanes.py [--only LANE …] [--pictures FOLDER]

    unit         plain Python
    4.2 … 5.2    inside that Blender, through pytest-blender, on the built and installed zip
    window-4.3   a real window, clicked and typed in
    window-5.2
    demo         `make demo`, which checks its own end
    farm         `make farm-demo`, which does so, too
    faults       the short form of `make faults`: things break, and nothing may be lost

    Where BLENDER names an executable, the lanes own and window-own stand for those of 4.3 and 5.2.

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
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools import blenders

WINDOWED = ("own",) if os.environ.get("BLENDER") else tuple(blenders.DEBIAN)
LANES = ("unit", *blenders.WHEELS, *WINDOWED, *(f"window-{name}" for name in WINDOWED), "demo", "farm", "faults")
MAY_BE_MISSING = ("5.2", "window-5.2")
_DEMOS = {"demo": "tools/demo.py", "farm": "tools/farm_demo.py"}
_NO_BLENDER = 2
"""A demo's exit code."""
LONGEST_LANE = 20 * 60
BUILDERS = ("own",) if os.environ.get("BLENDER") else ("4.5", "4.3")
"""The Blenders that may build the zip, the first that can be had."""


@dataclass
class Lane:
    name: str
    state: str = "not run"
    detail: str = ""
    passed: int = 0
    failed: int = 0
    seconds: float = 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=LANES, default=LANES, metavar="LANE")
    parser.add_argument("--pictures", type=Path, help="keep the pictures of the window lanes here")
    arguments = parser.parse_args()
    lanes = [Lane(name, detail="not asked for") for name in LANES]
    try:
        python = blenders.tools_python()
        archive = build()
    except (blenders.NotAvailable, SystemExit) as error:
        print(f"The tests cannot begin: {error}", file=sys.stderr)
        return 1
    for lane in lanes:
        if lane.name in arguments.only:
            began = time.monotonic()
            _run(lane, python, archive, arguments.pictures)
            lane.seconds = time.monotonic() - began
    _print_table(lanes)
    return 0 if all(_fine(lane) for lane in lanes if lane.name in arguments.only) else 1


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


def _run(lane: Lane, python: Path, archive: Path, pictures: Path | None) -> None:
    print(f"\n== {lane.name}", flush=True)
    pytest = [str(python), "-m", "pytest", "-q"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RODIN_ZIP": str(archive), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        if lane.name == "unit":
            _pytest(lane, [*pytest, "tests/unit"], environment)
            return
        if lane.name == "faults":
            command = [str(python), "-m", "tools.faults", "--short"]
            _pytest(lane, command, environment)
            return
        if lane.name in _DEMOS:
            _demo(lane, _DEMOS[lane.name])
            return
        blender = blenders.blender(lane.name.removeprefix("window-"))
        if lane.name.startswith("window-"):
            _needs_screen(blender)
            environment["RODIN_WINDOW_BLENDER"] = str(blender.executable)
            if blenders.in_root(blender):
                environment["RODIN_IN_ROOT"] = "1"
            if pictures:
                environment["RODIN_PICTURES"] = str(pictures.resolve() / blender.name)
            _pytest(lane, [*pytest, "tests/window"], environment)
            return
        with _simulator(python) as root, tempfile.TemporaryDirectory(prefix="rodin-profile-", dir="/tmp") as profile:
            environment |= {"RODIN_SIMULATOR": root, "BLENDER_USER_RESOURCES": profile}
            inside = ["-p", "pytest-blender", "--blender-executable", str(blender.executable), "tests/blender"]
            if blender.name == "own":
                # An official Blender brings no pytest; it is not installed into it, only shown to it.
                path = str(blenders.packages("pytest", [blenders.PYTEST]))
                inside += ["--", "--python-expr", f"import sys; sys.path.append({path!r})"]
            _pytest(lane, [*pytest, *inside], environment)
    except blenders.NotAvailable as error:
        lane.state, lane.detail = "not run", str(error)
        print(lane.detail, flush=True)


def _demo(lane: Lane, script: str) -> None:
    code = subprocess.run([sys.executable, script], cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode
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


def _pytest(lane: Lane, command: list[str], environment: dict[str, str]) -> None:
    """Run it in a session of its own, which is ended whole; its output is shown and its closing line read."""
    tail: list[str] = []
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, errors="replace", start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    watchdog = subprocess.Popen(
        [sys.executable, "-c", f"import os,time;time.sleep({LONGEST_LANE});os.killpg({process.pid},9)"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert process.stdout
        for line in process.stdout:
            print(line, end="", flush=True)
            tail = [*tail[-40:], line]
        code = process.wait()
    finally:
        watchdog.kill()
        watchdog.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    closing = next((line for line in reversed(tail) if re.search(r"\d+ (passed|failed|error)", line)), "")
    counts = {word: int(count) for count, word in re.findall(r"(\d+) (passed|failed|error)", closing)}
    lane.passed, lane.failed = counts.get("passed", 0), counts.get("failed", 0) + counts.get("error", 0)
    fine = code == 0 and lane.passed > 0 and lane.failed == 0
    lane.state = "passed" if fine else "failed"
    lane.detail = "" if fine else f"exit code {code}"


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
