"""Shows the extension at work in a real Blender, with a simulator in place of the service: no account, no cost.

    python3 tools/demo.py             a model made from a sentence, one from a picture, six from rough objects, and a
                                      task that was begun elsewhere: generated, followed, imported, rendered; no window
    python3 tools/demo.py --window    a Blender of yours, its sidebar open on some tasks, until you close it

It starts with the standard library only and says what it installs. Blender runs in a throw-away profile: your own
preferences and list of tasks are not touched. BLENDER names the Blender to use; --window takes `blender` otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from tools.blenders import CACHE, NotAvailable, chosen, tools_python
from tools.stage import Trouble, built, environment, last_lines, perform, process, say, simulated_service

SAVED = ROOT / "dist" / "demo"
PICTURES = ("models.png", "blockouts.png")
LONGEST_RUN = 300.0
MARK = "demo| "
"""Begins the lines of Blender's output that are for the terminal; the rest is kept for when something fails."""

WISHES = [
    {"prompt": "A glazed vase", "story": "done"},
    {"prompt": "A brass goblet", "story": "partly-failed", "picture": True},
]
"""What is generated; `picture` says that a picture goes along."""
TASKS = [{"prompt": "A teapot", "story": "failed"}]
"""What was begun elsewhere, and is followed by its key."""
EXPECTED = {
    "A teapot": "FAILED",
    "A brass goblet": "PARTLY_FAILED",
    "A glazed vase": "DONE",
    **{
        f"A {name} for the table": "DONE"
        for name in ("bottle", "bowl", "brass candlestick", "brass goblet", "plate", "vase")
    },
}
PAID = 4.0
"""Credits that the service is to have taken in the end."""
WINDOW_TASKS = [
    {"prompt": "A carved chess set", "story": "stuck"},
    {"prompt": "A stone bridge", "story": "done", "faults": ["500", "502-html"]},
    {"prompt": "A brass goblet", "story": "partly-failed"},
    *TASKS,
]


def in_terminal(folder: Path, scale: float) -> None:
    """Have WISHES made and follow TASKS in a Blender without a window, and check what came of them."""
    say("Words, a picture and rough objects become models, in a real Blender without a window and a simulated service.")
    say(f"What is missing for it is installed into {CACHE} (1.3 GB at most, a few minutes the first time).")
    executable = chosen("4.5").executable
    archive = built(executable, folder)
    with simulated_service(folder, speed=1.0) as service:
        options = ("--background", "--factory-startup")
        command = _blender_command(executable, folder, archive, service, TASKS, *options, scale=scale)
        # So that nine tasks are asked about each second, which the simulated service does not mind.
        variables = {**environment(folder, service), "RODIN_REQUESTS_PER_MINUTE": "240"}
        output = folder / "blender.txt"
        with output.open("w") as kept, process(command, env=variables, stdout=subprocess.PIPE) as running:
            # Reading waits for as long as Blender runs.
            limit = threading.Timer(LONGEST_RUN, running.kill)
            limit.start()
            try:
                for line in running.stdout or ():
                    if line.startswith(MARK):
                        say(line.removeprefix(MARK).rstrip())
                    else:
                        kept.write(line)
            finally:
                limit.cancel()
    result = folder / "result.json"
    if not result.exists():
        raise Trouble(f"Blender ended before its time; it said:\n{last_lines(output)}")
    tasks = json.loads(result.read_text())
    _save(tasks, folder)
    _check(tasks, output)


def in_window(folder: Path) -> None:
    """Open the user's Blender on WINDOW_TASKS and wait until it is closed."""
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise NotAvailable("a window needs a display, and neither DISPLAY nor WAYLAND_DISPLAY is set")
    executable = chosen().executable
    say(f"A simulated Rodin service in {executable}, in a throw-away profile. Type what you want, press Generate.")
    say(f"What is missing for the simulator is installed into {CACHE} (260 MB).")
    archive = built(executable, folder)
    # Slower than the terminal's: there is something to look at and to click meanwhile.
    with simulated_service(folder, speed=0.3) as service:
        options = ("--factory-startup", "--python-exit-code", "1")
        command = _blender_command(executable, folder, archive, service, WINDOW_TASKS, *options)
        output = folder / "blender.txt"
        say("Blender opens with the Rodin tab of the 3D viewport's sidebar (N). Close it to end the demo.")
        with output.open("w") as kept, process(command, env=environment(folder, service), stdout=kept) as running:
            exit_code = running.wait()
    if exit_code:
        raise Trouble(f"Blender ended with {exit_code}; it said:\n{last_lines(output)}")


def _blender_command(
    executable: Path, folder: Path, archive: Path, service: dict[str, str], tasks: list[dict[str, Any]], *options: str,
    scale: float = 1.0,
) -> list[str]:  # fmt: skip
    _draw_picture(folder / "goblet.png")
    given = folder / "given.json"
    simulator = service["RODIN_API_URL"].removesuffix("/api/v2") + "/simulator"
    wished = {"archive": str(archive), "simulator": simulator, "tasks": tasks, "wishes": WISHES}
    given.write_text(json.dumps({**wished, "folder": str(folder), "scale": scale, "mark": MARK}))
    return [str(executable), *options, "--python", str(ROOT / "tools/demo_in_blender.py"), "--", str(given)]


def _draw_picture(path: Path) -> None:
    """A picture of a goblet, as an artist may have drawn one."""
    draw = (
        "import io, sys; from PIL import Image; from tools.models import result_files\n"
        "picture = Image.open(io.BytesIO(result_files('A brass goblet')['preview.webp'])).convert('RGB')\n"
        "picture.resize((1024, 1024), Image.Resampling.LANCZOS).save(sys.argv[1])"
    )
    subprocess.run([str(tools_python()), "-c", draw, str(path)], cwd=ROOT, check=True)


def _save(tasks: list[dict[str, Any]], folder: Path) -> None:
    """Copy the downloaded files out of the throw-away profile, and list tasks and files."""
    shutil.rmtree(SAVED, ignore_errors=True)
    SAVED.mkdir(parents=True)
    say("\nThe list at the end:")
    for task in tasks:
        say(f"  {task['name']:<20}  {task['word']:<13}  {task['jobs']}")
        if task["folder"]:
            shutil.copytree(task["folder"], SAVED / task["name"])
    for picture in PICTURES:
        if (folder / picture).exists():
            shutil.copy(folder / picture, SAVED)
    say(f"\nSaved in {SAVED}:")
    for path in sorted(path for path in SAVED.rglob("*") if path.is_file()):
        say(f"  {path.relative_to(SAVED)!s:<45}  {path.stat().st_size / 1000:8,.1f} kB")


def _check(tasks: list[dict[str, Any]], output: Path) -> None:
    troubles = []
    statuses = {task["name"]: task["status"] for task in tasks}
    if statuses != EXPECTED:
        troubles.append(f"expected the statuses {EXPECTED}, found {statuses}")
    for name, status in EXPECTED.items():
        files = list((SAVED / name).glob("*"))
        models = [path for path in files if path.suffix == ".glb"]
        if status == "FAILED":
            if files:
                troubles.append(f"{name}: a failed task has files")
        elif not models or not all(path.read_bytes()[:4] == b"glTF" for path in models):
            troubles.append(f"{name}: no whole model was saved")
        elif not all(path.stat().st_size for path in files):
            troubles.append(f"{name}: a file is empty")
    paid = sum(task["credits"] or 0.0 for task in tasks)
    if paid != PAID:
        troubles.append(f"expected that {PAID:g} credits were paid, found {paid:g}")
    for picture in PICTURES:
        if not (SAVED / picture).exists():
            troubles.append(f"{picture} was not rendered")
    if troubles:
        raise Trouble("\n".join([*troubles, "Blender said:", last_lines(output)]))
    say(f"\nAll as expected: seven done, one failed in part, one failed; {PAID:g} credits paid. The models, rendered:")
    say("\n".join(str(SAVED / picture) for picture in PICTURES))


def main() -> int:
    parser = argparse.ArgumentParser(description="The extension in a real Blender, against a simulated service.")
    parser.add_argument("--window", action="store_true", help="open a Blender of yours instead, until you close it")
    parser.add_argument("--small", action="store_true", help="render small pictures, which takes less of the processor")
    arguments = parser.parse_args()
    scale = 0.25 if arguments.small else 1.0
    return perform("demo", in_window if arguments.window else lambda folder: in_terminal(folder, scale))


if __name__ == "__main__":
    sys.exit(main())
