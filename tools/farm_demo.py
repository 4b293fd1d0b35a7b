"""Runs the job of farm/ by Open Job Description's own tool, on a simulated service: twelve prompts, one model broken.

    python3 tools/farm_demo.py [--blender NAME] [--models 4 … 12]

One task sends the prompts of a table, each paid for once, follows and downloads all. Two workers import the models, a
task and a Blender for each. The broken one fails its own task alone. Then its file is mended, and that task is run
again. Checks all of it, and that no key is told. tests/unit/test_farm.py shows that the first task may be killed.

It starts with the standard library only and says what it installs. NAME is one of tools/blenders.py; unless given, it
is the Blender that BLENDER names, else 4.3, else 4.5. `Farm` does what a farm's scheduler does: by itself `openjd run`
runs tasks one after the other, and stops at the first that fails.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
import threading
import time
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from tools import build
from tools.blenders import CACHE, Blender, chosen, tools_python
from tools.stage import Trouble, built, environment, last_lines, perform, process, say, simulated_service

TEMPLATE = ROOT / "farm" / "template.yaml"
SAVED = ROOT / "dist" / "farm-demo"
WORKERS = 2
PRICE = 0.5
LONGEST_TASK = 120.0
NAMES = [
    "Glazed vase", "Brass goblet", "Amphora", "Oil jar", "Lantern", "Bell", "Bottle", "Urn", "Candle stand",
    "Drinking cup", "Ginger jar", "Bowl",
]  # fmt: skip
PARTLY_FAILED, BROKEN = 2, 3
"""Numbers of models. Of the first some jobs fail at the service, and there is a model all the same."""
MODEL = "base_basic_pbr.glb"
NO_MODEL = b"glTF\x02\0\0\0\x20\0\0\0" + 20 * b"?"
"""As long as it says, so that the download takes it for whole."""


class Farm:
    """Runs tasks of the job as a farm's scheduler would have its workers do it."""

    def __init__(self, folder: Path, parameters: dict[str, Any], variables: dict[str, str]) -> None:
        self._folder = folder
        self._given = folder / "parameters.json"
        self._given.write_text(json.dumps(parameters, indent=1))
        self._variables = variables
        self._openjd = tools_python().with_name("openjd")
        self._began = time.monotonic()

    def check(self) -> None:
        self._succeed("check", str(TEMPLATE))

    def generate(self) -> None:
        self._succeed("run", *self._job("GenerateAndDownload"))

    def import_all(self, numbers: list[int]) -> dict[int, bool]:
        """Whether the task of each number succeeded."""
        with ThreadPoolExecutor(WORKERS) as workers:
            try:
                return dict(zip(numbers, workers.map(self._import, numbers), strict=True))
            finally:
                workers.shutdown(cancel_futures=True)

    def _import(self, number: int) -> bool:
        options = ("--no-run-dependencies", "--task-param", f"Model={number}")
        code, output = self._run("run", *self._job("Import"), *options)
        note = self._folder / "show" / "models" / f"{number:04}.json"
        told = json.loads(note.read_text()) if note.exists() else {"text": last_lines(output)}
        self.tell(
            f"model {number:2}  {NAMES[number - 1]:<13}  {'imported' if code == 0 else 'FAILED: ' + told['text']}"
        )
        return code == 0

    def _job(self, step: str) -> list[str]:
        return [str(TEMPLATE), f"--job-param=file://{self._given}", "--step", step]

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
            except TimeoutExpired:
                return "no end in time", Path(name)

    def tell(self, text: str) -> None:
        say(f"{time.monotonic() - self._began:5.1f} s  {text}")


def run(folder: Path, found: Blender) -> None:
    workers = f"{WORKERS} workers of a farm, in {found.executable}"
    say(f"{len(NAMES)} prompts for a simulated Rodin service, their models imported by {workers}.")
    build.install(found.executable, built(found.executable, folder), folder / "profile")
    with simulated_service(_made(folder / "service"), speed=2.0) as service:
        simulator = service["RODIN_API_URL"].removesuffix("/api/v2") + "/simulator"
        variables = {**environment(folder, service), "TMPDIR": str(_made(folder / "sessions"))}
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
    shutil.rmtree(SAVED, ignore_errors=True)
    shutil.copytree(job / "show" / "models", SAVED)
    say(f"All as expected: {len(NAMES) - 1} models at once, and the broken one when it was mended. See {SAVED}")


def _play(farm: Farm, show: Path, simulator: str, keys: list[str]) -> None:
    farm.check()
    farm.tell(f"openjd check: {TEMPLATE.relative_to(ROOT)} is valid")
    farm.generate()
    sent = _ask(f"{simulator}/submissions")["submissions"]
    _expect(sorted(one["prompt"] for one in sent), sorted(map(_prompt, NAMES)), "submissions, each once")
    _expect([one["outcome"] for one in sent], [""] * len(NAMES), "refusals")
    keys += {_key(path.read_bytes()) for path in (show / "outbox").rglob("*.answer")}
    requests = len(_ask(f"{simulator}/requests")["requests"])
    models = {model["number"]: model for model in _lines(show / "models.jsonl")}
    farm.tell(f"{len(sent)} prompts sent, each once; {len(models)} models downloaded; {requests} requests in all")
    _expect([model["name"] for model in models.values()], NAMES, "numbered models")

    done = farm.import_all([*models])
    others = [number for number in models if number != BROKEN]
    _expect([number for number, fine in done.items() if fine], others, "tasks that succeeded")
    _check_models(show, others)

    # As an artist would who got a whole file from somewhere else.
    shutil.copy(Path(models[1]["folder"]) / MODEL, models[BROKEN]["folder"])
    farm.tell(f"model {BROKEN} is mended by hand; its task, and no other, is run again:")
    before = _stamps(show, others)
    _expect(farm.import_all([BROKEN]), {BROKEN: True}, "the second run")
    _check_models(show, [*models])
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
    ends = {BROKEN: {"files": {MODEL: b64encode(NO_MODEL).decode()}}, PARTLY_FAILED: {"story": "partly-failed"}}
    made = {_prompt(NAMES[number - 1]): end for number, end in ends.items()}
    _ask(f"{simulator}/account", {"story": "one-job", "made": made})


def _key(answer: bytes) -> str:
    """The subscription key in an answer of the service, as the outbox has it."""
    found = re.search(rb'"subscription_key": ?"([^"]+)"', answer)
    return found[1].decode() if found else ""


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


def main() -> int:
    parser = argparse.ArgumentParser(description="The farm's job, against a simulated service.")
    parser.add_argument("--blender", metavar="NAME", help="one of tools/blenders.py")
    parser.add_argument("--models", type=int, choices=range(BROKEN + 1, len(NAMES) + 1), default=len(NAMES))
    arguments = parser.parse_args()
    del NAMES[arguments.models :]
    say(f"What is missing for it is installed into {CACHE}.")
    names = [arguments.blender] if arguments.blender else ["4.3", "4.5"]
    return perform("farm's demo", lambda folder: run(folder, chosen(*names)))


if __name__ == "__main__":
    sys.exit(main())
