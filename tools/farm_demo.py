"""Runs the job of farm/ by Open Job Description's own tool, on a simulated service: twelve prompts, one model broken.

    python3 tools/farm_demo.py [--blender NAME] [--models 7 … 12]

One task sends the prompts of a table, each paid for once, follows and downloads all; it is killed on the way and run
again. Two workers import the models, a task and a Blender for each. The broken one fails its own task alone. Then its
file is mended, and that task is run again. Checks all of it, and that no key is told.

It starts with the standard library only and says what it installs. NAME is one of tools/blenders.py; unless given, it
is the Blender that BLENDER names, else 4.3, else 4.5. `Farm` does what a farm's scheduler does: by itself `openjd run`
runs tasks one after the other, and stops at the first that fails.
"""

from __future__ import annotations

import argparse
import colorsys
import json
import math
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from tools.blenders import CACHE, Blender, NotAvailable, blender, tools_python
from tools.stage import Trouble, built, environment, last_lines, perform, process, say, simulated_service

TEMPLATE = ROOT / "farm" / "template.yaml"
SAVED = ROOT / "dist" / "farm-demo"
FIRST = "GenerateAndDownload"
WORKERS = 2
PRICE = 0.5
LONGEST_TASK = 120.0
HEIGHT = 1.9
NAMES = [
    "Glazed vase", "Brass goblet", "Amphora", "Oil jar", "Lantern", "Bell", "Bottle", "Urn", "Candle stand",
    "Drinking cup", "Ginger jar", "Bowl",
]  # fmt: skip
KILLED_AFTER = 3
"""Submissions."""
BROKEN = 7
PARTLY_FAILED = 4
"""Numbers of models. Of the second some jobs fail at the service, and there is a model all the same."""


class Farm:
    """Runs tasks of the job as a farm's scheduler would have its workers do it."""

    def __init__(self, folder: Path, parameters: dict[str, Any], variables: dict[str, str]) -> None:
        self._folder = folder
        self._parameters = parameters
        self._variables = variables
        self._openjd = tools_python().with_name("openjd")
        self.began = time.monotonic()

    def check(self) -> None:
        self._succeed("check", str(TEMPLATE))

    def generate(self) -> None:
        self._succeed("run", str(TEMPLATE), *self._given, "--step", FIRST)

    def generate_until(self, reached: Callable[[], bool]) -> None:
        """The same, killed by force with all that it has begun as soon as something is so.

        No more than KILLED_AFTER are generated at a time: so none is on its way then, which would be left to the user.
        """
        variables = {**self._variables, "RODIN_PARALLEL_GENERATIONS": str(KILLED_AFTER)}
        command = [str(self._openjd), "run", str(TEMPLATE), *self._given, "--step", FIRST]
        with (self._folder / "killed.txt").open("w") as output:
            running = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=variables, cwd=ROOT
            )
            end = time.monotonic() + LONGEST_TASK
            while not reached() and running.poll() is None and time.monotonic() < end:
                time.sleep(0.1)
            for pid in (*_descendants(running.pid), running.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            running.wait()

    def import_all(self, numbers: list[int]) -> dict[int, bool]:
        """Whether the task of each number succeeded."""
        with ThreadPoolExecutor(WORKERS) as workers:
            try:
                return dict(zip(numbers, workers.map(self._import, numbers), strict=True))
            finally:
                workers.shutdown(cancel_futures=True)

    def _import(self, number: int) -> bool:
        options = ("--step", "Import", "--no-run-dependencies", "--task-param", f"Model={number}")
        code, output = self._run("run", str(TEMPLATE), *self._given, *options)
        note = self._folder / "show" / "models" / f"{number:04}.json"
        told = json.loads(note.read_text()) if note.exists() else {"text": last_lines(output)}
        self.tell(
            f"model {number:2}  {NAMES[number - 1]:<13}  {'imported' if code == 0 else 'FAILED: ' + told['text']}"
        )
        return code == 0

    @property
    def _given(self) -> list[str]:
        return [f"--job-param=file://{self._parameters_file}"]

    @property
    def _parameters_file(self) -> Path:
        file = self._folder / "parameters.json"
        if not file.exists():
            file.write_text(json.dumps(self._parameters, indent=1))
        return file

    def _succeed(self, *words: str) -> None:
        code, output = self._run(*words)
        if code:
            raise Trouble(f"`openjd {words[0]}` ended with {code}; it said:\n{last_lines(output)}")

    def _run(self, *words: str) -> tuple[int | str, Path]:
        handle, name = tempfile.mkstemp(prefix=f"openjd-{words[0]}-", suffix=".txt", dir=self._folder)
        command = [str(self._openjd), *words]
        with os.fdopen(handle, "w") as output, process(command, stdout=output, env=self._variables) as running:
            try:
                return running.wait(LONGEST_TASK), Path(name)
            except subprocess.TimeoutExpired:
                return "no end in time", Path(name)

    def tell(self, text: str) -> None:
        say(f"{time.monotonic() - self.began:5.1f} s  {text}")


def run(folder: Path, found: Blender) -> None:
    workers = f"{WORKERS} workers of a farm, in {found.executable}"
    say(f"{len(NAMES)} prompts for a simulated Rodin service, their models imported by {workers}.")
    archive = built(found.executable, folder)
    with simulated_service(_made(folder / "service"), speed=2.0) as service:
        simulator = service["RODIN_API_URL"].removesuffix("/api/v2") + "/simulator"
        variables = {**environment(folder, service), "TMPDIR": str(_made(folder / "sessions"))}
        _install(found, archive, variables)
        job = _made(folder / "job")
        # Those of the tasks come when they are known.
        keys = [service["RODIN_API_KEY"]]
        _prepare(job / "show.csv", simulator)
        parameters = {
            "BatchFile": str(job / "show.csv"),
            "MaxCredits": PRICE * len(NAMES),
            "Models": len(NAMES),
            "Folder": str(job / "show"),
            "Height": 0.3,
            "Asset": "yes",
            "Blender": str(found.executable),
            "Python": sys.executable,
        }
        farm = Farm(job, parameters, variables)
        with _watched(keys, folder) as told:
            _play(farm, job / "show", simulator, keys)
    _check_secrets(job, keys, told)
    _save(job)


def _play(farm: Farm, show: Path, simulator: str, keys: list[str]) -> None:
    farm.check()
    farm.tell(f"openjd check: {TEMPLATE.relative_to(ROOT)} is valid")
    farm.generate_until(lambda: len([*(show / "outbox").rglob("*.answer")]) >= KILLED_AFTER)
    farm.tell(f"the first step was killed when {KILLED_AFTER} were sent; it is run again:")
    farm.generate()
    sent = _ask(f"{simulator}/submissions")["submissions"]
    _expect(sorted(one["prompt"] for one in sent), sorted(map(_prompt, NAMES)), "submissions, each once")
    _expect([one["outcome"] for one in sent], [""] * len(NAMES), "refusals")
    keys += {_key(path.read_bytes()) for path in (show / "outbox").rglob("*.answer")}
    requests = len(_ask(f"{simulator}/requests")["requests"])
    results = _lines(show / "results.jsonl")
    farm.tell(f"{len(sent)} prompts sent, each once; {len(results)} models downloaded; {requests} requests in all")
    numbers = list(range(1, len(NAMES) + 1))
    _expect(sorted(result["name"] for result in results), sorted(NAMES), "results")
    _expect([model["name"] for model in _lines(show / "models.jsonl")], NAMES, "numbered models")

    done = farm.import_all(numbers)
    others = [number for number in numbers if number != BROKEN]
    _expect([number for number, fine in done.items() if fine], others, "tasks that succeeded")
    _check_models(show, others)

    # As an artist would who got a whole file from somewhere else.
    model = next(model for model in _lines(show / "models.jsonl") if model["number"] == BROKEN)
    (Path(model["folder"]) / "base_basic_pbr.glb").write_bytes(_pot(BROKEN))
    farm.tell(f"model {BROKEN} is mended by hand; its task, and no other, is run again:")
    before = _stamps(show, others)
    _expect(farm.import_all([BROKEN]), {BROKEN: True}, "the second run")
    _check_models(show, numbers)
    _expect(_stamps(show, others), before, "what the others made")
    _expect(len(_ask(f"{simulator}/requests")["requests"]), requests, "requests after all imports")


def _check_models(show: Path, fine: list[int]) -> None:
    """A line for each model, and files for those that could be imported."""
    notes = [json.loads(path.read_text()) for path in sorted((show / "models").glob("*.json"))]
    _expect([(note["number"], note["name"]) for note in notes], list(enumerate(NAMES, 1)), "lines of models")
    _expect([note["number"] for note in notes if note["ok"]], fine, "models that were imported")
    for kind, begin in (("blend", (b"BLENDER", b"\x28\xb5\x2f\xfd")), ("png", (b"\x89PNG",))):
        files = sorted((show / "models").glob(f"*.{kind}"))
        _expect([int(path.name[:4]) for path in files], fine, f"files .{kind}")
        _expect([path.name for path in files if not path.read_bytes().startswith(begin)], [], f"broken files .{kind}")
    _expect(list((show / "models").glob(".*")), [], "unfinished files")


def _stamps(show: Path, numbers: list[int]) -> list[tuple[str, int]]:
    files = [path for number in numbers for path in sorted((show / "models").glob(f"{number:04}*"))]
    return [(path.name, path.stat().st_mtime_ns) for path in files]


def _check_secrets(job: Path, keys: list[str], told: list[str]) -> None:
    """No key anywhere but in the files that are for them, which nobody else may read."""
    show = job / "show"
    for_keys = {show / "tasks.sqlite", show / "tasks.copy.sqlite", *(show / "outbox").rglob("*.answer")}
    _expect(len(keys), 1 + len(NAMES), "keys that are known")
    _expect({oct(path.stat().st_mode & 0o777) for path in for_keys}, {"0o600"}, "modes of the files with keys")
    files = [path for path in (*job.rglob("*"), *TEMPLATE.parent.rglob("*")) if path.is_file()]
    holding = [path.name for path in files if path not in for_keys and _holds(path.read_bytes(), keys)]
    _expect(holding, [], "files that hold a key")
    _expect(told, [], "processes that told a key")
    seen = ", nor on a command line" if Path("/proc/self").exists() else ""
    say(f"\nNo key in {len(files)} files and logs{seen}.")


def _holds(content: bytes, keys: list[str]) -> bool:
    # Of a subscription key, a part would be too much already.
    return any(part.encode() in content for key in keys for part in key.split(".")[-1:])


@contextmanager
def _watched(keys: list[str], folder: Path) -> Iterator[list[str]]:
    """Look at the command lines of our processes all the while. Gives a list that grows by those that tell a key."""
    told: list[str] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.1):
            for entry in Path("/proc").glob("[0-9]*"):
                with suppress(OSError):
                    ours = str(folder).encode() in (entry / "environ").read_bytes()
                    if ours and _holds((entry / "cmdline").read_bytes(), keys):
                        told.append(entry.name)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield told
    finally:
        ended.set()
        watcher.join()


def _prompt(name: str) -> str:
    return f"A {name.lower()}, hand-made"


def _prepare(table: Path, simulator: str) -> None:
    """Write the table of prompts, and tell the service which of them are to come to no good."""
    table.write_text("name,prompt\n" + "".join(f'{name},"{_prompt(name)}"\n' for name in NAMES))
    broken = {"base_basic_pbr.glb": b64encode(_broken(_pot(BROKEN))).decode()}
    made = {NAMES[BROKEN - 1]: {"files": broken}, NAMES[PARTLY_FAILED - 1]: {"story": "partly-failed"}}
    account = {"story": "one-job", "made": {_prompt(name): given for name, given in made.items()}}
    _ask(f"{simulator}/account", account)


def _key(answer: bytes) -> str:
    """The subscription key in an answer of the service, as the outbox has it."""
    found = re.search(rb'"subscription_key": ?"([^"]+)"', answer)
    return found[1].decode() if found else ""


def _descendants(pid: int) -> list[int]:
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            found += [*_descendants(int(child)), int(child)]
    return found


def _pot(number: int) -> bytes:
    """A model of its own for each number, as a GLB: a profile turned on a lathe."""
    rows, columns = 40, 48

    def radius(at: float) -> float:
        return 0.42 + 0.2 * math.sin(number * 2.1 + at * (3.0 + number % 4)) + 0.12 * math.sin(number + 9.0 * at)

    points, normals, faces = [], [], []
    for row in range(rows + 1):
        at = row / rows
        slope = (radius(at + 0.01) - radius(at - 0.01)) / (0.02 * HEIGHT)
        long = math.hypot(1.0, slope)
        for column in range(columns + 1):
            x, z = math.cos(math.tau * column / columns), -math.sin(math.tau * column / columns)
            points += (radius(at) * x, HEIGHT * at, radius(at) * z)
            normals += (x / long, -slope / long, z / long)
            if row < rows and column < columns:
                low, high = row * (columns + 1) + column, (row + 1) * (columns + 1) + column
                faces += (low, low + 1, high + 1, low, high + 1, high)
    parts = [struct.pack(f"<{len(v)}{kind}", *v) for v, kind in ((points, "f"), (normals, "f"), (faces, "H"))]
    starts = [0, len(parts[0]), len(parts[0]) + len(parts[1])]
    color = [*colorsys.hsv_to_rgb(number * 0.13 % 1.0, 0.6, 0.7), 1.0]
    surface = {"baseColorFactor": color, "metallicFactor": 0.0, "roughnessFactor": 0.4}
    mesh = {"attributes": {"POSITION": 0, "NORMAL": 1}, "indices": 2, "material": 0}
    vertices = {"componentType": 5126, "count": len(points) // 3, "type": "VEC3"}
    limits = {name: [pick(points[axis::3]) for axis in range(3)] for name, pick in (("min", min), ("max", max))}
    places = [{"byteOffset": start, "byteLength": len(part)} for start, part in zip(starts, parts, strict=True)]
    content = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "Pot"}],
        "meshes": [{"primitives": [mesh], "name": "Pot"}],
        "materials": [{"pbrMetallicRoughness": surface, "doubleSided": True}],
        "accessors": [
            {"bufferView": 0, **vertices, **limits},
            {"bufferView": 1, **vertices},
            {"bufferView": 2, "componentType": 5123, "count": len(faces), "type": "SCALAR"},
        ],
        "bufferViews": [{"buffer": 0, **place} for place in places],
        "buffers": [{"byteLength": sum(map(len, parts))}],
    }
    text = json.dumps(content).encode()
    return _glb(text + b" " * (-len(text) % 4), b"".join(parts))


def _glb(text: bytes, data: bytes) -> bytes:
    data += bytes(-len(data) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(data), b"BIN\0") + data
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _broken(model: bytes) -> bytes:
    """As long as it says, so that the download takes it for whole, and no model inside."""
    return model[:20] + b"?" * (len(model) - 20)


def _install(found: Blender, archive: Path, variables: dict[str, str]) -> None:
    """As on a worker, into the throw-away profile."""
    command = [
        str(found.executable),
        "--command",
        "extension",
        "install-file",
        "-r",
        "user_default",
        "-e",
        str(archive),
    ]
    done = subprocess.run(command, env=variables, text=True, capture_output=True, timeout=120, check=False)
    if done.returncode:
        raise Trouble(f"the extension could not be installed:\n{done.stdout}{done.stderr}")


def _save(job: Path) -> None:
    shutil.rmtree(SAVED, ignore_errors=True)
    shutil.copytree(job / "show" / "models", SAVED)
    sheet = SAVED / "sheet.png"
    with process([str(tools_python()), str(Path(__file__)), "--sheet", str(SAVED)], stdout=subprocess.DEVNULL) as made:
        made.wait(60.0)
    if not sheet.exists():
        raise Trouble("the pictures could not be put on one sheet")
    say(
        f"All as expected: {len(NAMES) - 1} models at once, and the broken one after it was mended. "
        "The .blend files and pictures:"
    )
    say(f"{SAVED}\n{sheet}")


def _make_sheet(folder: Path) -> None:
    from PIL import Image, ImageDraw

    pictures = sorted(folder.glob("0*.png"))
    sheet = Image.new("RGB", (4 * 256, -(-len(pictures) // 4) * 256))
    draw = ImageDraw.Draw(sheet)
    for place, path in enumerate(pictures):
        corner = (place % 4 * 256, place // 4 * 256)
        sheet.paste(Image.open(path), corner)
        draw.text((corner[0] + 8, corner[1] + 8), path.stem, "white")
    sheet.save(folder / "sheet.png")


def _ask(address: str, wish: dict[str, Any] | None = None) -> Any:
    content = None if wish is None else json.dumps(wish).encode()
    request = urllib.request.Request(address, content, {"Content-Type": "application/json"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as response:
        return json.load(response)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _expect(found: object, expected: object, what: str) -> None:
    if found != expected:
        raise Trouble(f"{what}: expected {expected}, found {found}")


def _blender(name: str | None) -> Blender:
    if name or os.environ.get("BLENDER"):
        return blender(name or "own")
    try:
        return blender("4.3")
    except NotAvailable:
        return blender("4.5")


def main() -> int:
    parser = argparse.ArgumentParser(description="The farm's job, against a simulated service.")
    parser.add_argument("--blender", metavar="NAME", help="one of tools/blenders.py")
    parser.add_argument("--models", type=int, choices=range(BROKEN, len(NAMES) + 1), default=len(NAMES))
    parser.add_argument("--sheet", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.sheet:
        _make_sheet(arguments.sheet)
        return 0
    del NAMES[arguments.models :]
    say(f"What is missing for it is installed into {CACHE}.")
    return perform("farm's demo", lambda folder: run(folder, _blender(arguments.blender)))


if __name__ == "__main__":
    sys.exit(main())
