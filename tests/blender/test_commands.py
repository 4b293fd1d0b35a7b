"""`blender --command rodin …`, a studio's settings, and its own repository of extensions, in a Blender of their own."""

from __future__ import annotations

import functools
import http.server
import json
import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy
import pytest
from conftest import API_KEY, PACKAGE, Rodin, Service, wait_for_no_thread
from test_extension import ENABLE, IS_MODULE, PROGRAM, READY, command

Series = Callable[..., tuple[int, list[dict[str, Any]], str]]


@pytest.fixture
def environment(rodin: Rodin, service: Service, tmp_path: Path) -> dict[str, str]:
    """The profile of this Blender with a list of its own."""
    rodin.disable()
    wait_for_no_thread()
    rodin.enable()
    bpy.ops.wm.save_userpref()
    return {**os.environ, "RODIN_FOLDER": str(tmp_path / "list"), "RODIN_SHORTEST_INTERVAL": "1"}


def start(environment: dict[str, str], *words: str) -> subprocess.Popen[str]:
    command = [*PROGRAM, "--background", "--command", "rodin", *words]
    return subprocess.Popen(
        command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def events(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


def run(environment: dict[str, str], *words: str, given: str = "") -> tuple[int, list[dict[str, Any]], str]:
    """Exit code, the JSON objects that were printed, and all that was printed."""
    process = start(environment, *words, "--json")
    out, err = process.communicate(given, timeout=90)
    return process.returncode, events(out), out + err


SERIES = f"""{ENABLE if IS_MODULE else ""}
import json, os, sys, tempfile
from {PACKAGE}.blender import commands
asked, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
for line in asked:
    environment, words, given = json.loads(line)
    os.environ.clear()
    os.environ.update(environment)
    streams = [tempfile.TemporaryFile() for _ in range(3)]
    streams[0].write(given.encode())
    streams[0].seek(0)
    for number, stream in enumerate(streams):
        os.dup2(stream.fileno(), number)
    sys.stdin, sys.stdout, sys.stderr = open(0, closefd=False), open(1, "w", closefd=False), open(2, "w", closefd=False)
    code = commands._run(words)
    sys.stdout.flush()
    sys.stderr.flush()
    for stream in streams:
        stream.seek(0)
    print(json.dumps([code, *(stream.read().decode() for stream in streams[1:])]), file=answers, flush=True)
"""
"""Runs commands one after the other, as `blender --command rodin` does one."""


@pytest.fixture
def series(environment: dict[str, str], tmp_path: Path) -> Iterator[Series]:
    """The same as `run`, in one Blender for all: a start takes longer than most commands."""
    script = tmp_path / "series.py"
    script.write_text(SERIES)
    pipe = subprocess.PIPE
    process = subprocess.Popen(command(script), env=environment, text=True, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)

    def run(environment: dict[str, str], *words: str, given: str = "") -> tuple[int, list[dict[str, Any]], str]:
        print(json.dumps([environment, [*words, "--json"], given]), file=process.stdin, flush=True)
        line = next(line for line in process.stdout if line.startswith("["))
        code, out, err = json.loads(line)
        return code, events(out), out + err

    yield run
    process.stdin.close()
    assert process.wait(60) == 0


def test_follow_download_and_import_without_a_window(
    service: Service, environment: dict[str, str], tmp_path: Path
) -> None:
    answers = [service.add("one-job", prompt=name) for name in ("A glazed vase", "A brass goblet")]
    code, told, said = run(environment, "wait", "-", given="\n".join(map(json.dumps, answers)))
    assert (code, sorted(task["name"] for task in told)) == (0, ["A brass goblet", "A glazed vase"])
    assert {task["status"] for task in told} == {"DONE"}
    blend, picture = tmp_path / "both.blend", tmp_path / "both.png"
    words = ["A glazed vase", "A brass goblet", "--save", str(blend), "--height", "0.3", "--asset"]
    code, told, more = run(environment, "import", *words, "--thumbnail", str(picture))
    assert code == 0, more
    assert [task["name"] for task in told] == ["A glazed vase", "A brass goblet"]
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert ":Rodin:Rodin" in (tmp_path / "blender_assets.cats.txt").read_text()
    with bpy.data.libraries.load(str(blend), assets_only=True) as (there, _):
        assert sorted(there.collections) == ["A brass goblet", "A glazed vase"]
    for secret in (API_KEY, *(answer["jobs"]["subscription_key"] for answer in answers)):
        assert secret not in said + more and secret.encode() not in blend.read_bytes()


def test_every_other_command(service: Service, environment: dict[str, str], series: Series, tmp_path: Path) -> None:
    """Their details are tested in plain Python; here, that each does its work in Blender."""
    answer = service.add(READY, prompt="A vase")
    key, given = answer["jobs"]["subscription_key"], json.dumps(answer)

    def names(*words: str, given: str = "") -> list[str]:
        code, told, said = series(environment, *words, given=given)
        assert code == 0, said
        assert key not in said
        return [f"{task['name']} {task['watch']} {task['status']}" for task in told]

    assert names("status", "-", given=given) == ["A vase FOLLOWING DONE"]
    assert names("track", "-", given=given) == names("list") == ["A vase FOLLOWING UNKNOWN"]
    assert names("pause", "A vase") == ["A vase PAUSED UNKNOWN"]
    assert names("resume", "A vase") == ["A vase FOLLOWING UNKNOWN"]
    assert names("download", "A vase", "--to", str(tmp_path / "one")) == ["A vase FOLLOWING DONE"]
    assert len(list((tmp_path / "one").rglob("*.glb"))) == 2
    assert names("forget", "A vase") == ["A vase FOLLOWING DONE"] and names("list") == []
    (tmp_path / "show.jsonl").write_text(given + "\n")
    assert names("batch", str(tmp_path / "show.jsonl"), "--to", str(tmp_path / "all")) == ["A vase FOLLOWING DONE"]
    assert json.loads((tmp_path / "all" / "results.jsonl").read_text())["name"] == "A vase"
    code, (account,), _said = series(environment, "balance")
    assert (code, account["balance"]) == (0, 12.5)


def test_doctor_and_exit_codes(service: Service, environment: dict[str, str], series: Series, tmp_path: Path) -> None:
    code, (told,), _said = series(environment, "doctor")
    assert (code, told["faults"]) == (0, [])
    assert told["versions"]["Blender"] == bpy.app.version_string and told["versions"]["Rodin"] == "0.1.0"
    code, (told,), _said = series({**environment, "RODIN_HAND_OFF_OPERATOR": "studio.gone"}, "doctor")
    assert code == 1 and "no operator 'studio.gone'" in told["faults"][0]
    (tmp_path / "broken.toml").write_text("deadline = =")
    code, (told,), _said = series({**environment, "RODIN_CONFIG": str(tmp_path / "broken.toml")}, "doctor")
    assert code == 1 and "no TOML" in told["faults"][0] and told["versions"]["Blender"]
    assert series(environment, "pause", "nobody")[0] == 2
    assert series({**environment, "RODIN_API_KEY": ""}, "balance")[0] == 2
    assert series({**environment, "RODIN_API_KEY": "wrong"}, "balance")[0] == 2
    assert series({**environment, "RODIN_API_URL": "https://rodin.invalid/api"}, "balance")[0] == 5
    assert series(environment, "nonsense")[0] == 2
    assert series(environment, "import", str(tmp_path / "no.glb"), "--save", "x.blend")[0] == 2


def test_what_a_shell_spends_is_seen_in_the_window(rodin: Rodin, service: Service, environment: dict[str, str]) -> None:
    service.account(story=[[[0, "Done"]]])
    rodin.module("blender.properties.form").show()
    rodin.until(lambda: rodin.session.account.balance == 12.5, "the balance is told")
    # The list of this Blender.
    code, _told, said = run({**environment, "RODIN_FOLDER": str(rodin.store.parent)}, "generate", "--prompt", "A pot")
    assert code == 0, said
    rodin.app.tracker().refresh()
    rodin.until(lambda: rodin.session.account.balance == 12.0, "it is asked for again")


def test_connections_that_are_closed_do_not_end_a_command(environment: dict[str, str], closing: str) -> None:
    code, _told, said = run({**environment, "RODIN_API_URL": closing}, "balance")
    assert code == 1 and "broke off" in said, said


def test_ctrl_c_leaves_all_to_go_on_with(service: Service, environment: dict[str, str]) -> None:
    answer = service.add("waiting", prompt="A chair")
    process = start(environment, "wait", answer["jobs"]["subscription_key"])
    for line in process.stderr:
        if "waiting" in line:
            break
    interrupt(process)
    _out, err = process.communicate(timeout=30)
    assert process.returncode == 130 and "Nothing is lost" in err
    assert [task["status"] for task in run(environment, "list")[1]] == ["WAITING"]


def interrupt(process: subprocess.Popen[str]) -> None:
    # To Blender itself, which in a root of its own is a child of the starter.
    os.kill(_innermost(process.pid), signal.SIGINT)


def _innermost(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return _innermost(int(children[0])) if children else pid


def test_one_that_cannot_be_imported_keeps_no_other_from_it(environment: dict[str, str], tmp_path: Path) -> None:
    fine, broken = tmp_path / "vase.glb", tmp_path / "pot.glb"
    fine.write_bytes(many_triangles(1))
    broken.write_bytes(fine.read_bytes()[:20] + b"?" * (len(fine.read_bytes()) - 20))
    blend = tmp_path / "both.blend"
    code, told, said = run(environment, "import", str(broken), str(fine), "--save", str(blend))
    vase, pot, error = told
    assert (code, error["exit"]) == (2, 2), said
    assert (pot["name"], pot["blend"]) == ("pot", "") and pot["text"] and pot["text"] in error["text"]
    assert (vase["name"], vase["blend"], vase["text"]) == ("vase", str(blend), "")
    with bpy.data.libraries.load(str(blend)) as (there, _):
        assert there.collections == ["vase"]
    code, (pot, error), _said = run(environment, "import", str(broken), "--save", str(tmp_path / "none.blend"))
    assert code == 2 and pot["text"] in error["text"] and not (tmp_path / "none.blend").exists()


def test_functions_are_called_and_what_is_printed_is_no_part_of_the_json(
    service: Service, environment: dict[str, str], tmp_path: Path
) -> None:
    hooks = tmp_path / "hooks.py"
    hooks.write_text(
        "import os\n"
        "def task_done(task): print('begun', end='')\n"
        "def import_done(task, collection):\n"
        "    os.write(1, f'no end of line {collection.name}'.encode())\n"
        "    raise KeyError\n"
    )
    environment |= {"RODIN_HOOKS": str(hooks)}
    process = start(environment, "wait", "-", "--json")
    out, err = process.communicate(json.dumps(service.add(READY, prompt="A vase")), timeout=90)
    assert process.returncode == 0 and "begun" in err
    process = start(environment, "import", "A vase", "--save", str(tmp_path / "vase.blend"), "--json")
    more, err = process.communicate(timeout=90)
    assert process.returncode == 7 and "no end of line A vase" in err
    # What Blender says before the command begins stands above.
    events = [json.loads(line) for said in (out, more) for line in said[said.index("{") :].splitlines()]
    assert [event["event"] for event in events] == ["task", "hook", "import", "error"]


def test_what_is_to_be_written_is_seen_to_first(
    service: Service, environment: dict[str, str], series: Series, tmp_path: Path
) -> None:
    series(environment, "track", "-", given=json.dumps(service.add(READY, prompt="A vase")))
    for words in (["--save", "gone/a.blend"], ["--save", "a.png"], ["--save", "a.blend", "--thumbnail", "no/a.png"]):
        there = [word if word.startswith("-") else str(tmp_path / word) for word in words]
        code, (error,), _said = series(environment, "import", "A vase", *there)
        assert code == 2 and ("no such folder" in error["text"] or "is none" in error["text"])
    assert [task["status"] for task in series(environment, "list")[1]] == ["UNKNOWN"], "nothing was asked"


def test_ctrl_c_during_an_import_ends_with_130(environment: dict[str, str], tmp_path: Path) -> None:
    model, blend = tmp_path / "large.glb", tmp_path / "large.blend"
    model.write_bytes(many_triangles(20_000))
    process = start(environment, "import", str(model), "--save", str(blend), "--json")
    for line in process.stderr:
        if "start creating Blender" in line:
            break
    interrupt(process)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert json.loads(out.splitlines()[-1])["exit"] == 130 and not blend.exists()


def many_triangles(count: int) -> bytes:
    """A GLB of so many objects, which the importer takes a while for."""
    points = struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0)
    content = {
        "asset": {"version": "2.0"},
        "scenes": [{"nodes": [*range(count)]}],
        "scene": 0,
        "nodes": [{"mesh": 0, "name": f"Part {number}"} for number in range(count)],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3", "min": [0, 0, 0], "max": [1, 1, 0]}
        ],
        "bufferViews": [{"buffer": 0, "byteLength": len(points)}],
        "buffers": [{"byteLength": len(points)}],
    }
    text = json.dumps(content).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(points), b"BIN\0") + points
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


# Settings that a studio fixes.


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "rodin.toml"
    monkeypatch.setenv("RODIN_CONFIG", str(path))
    return path


def test_a_studios_file_fixes_settings(rodin: Rodin, service: Service, studio: Path) -> None:
    studio.write_text('import_height = 2.5\nhand_off_operator = "studio.take"\n')
    settings = rodin.app.settings
    rodin.until_idle()
    assert (settings.value("import_height"), settings.value("hand_off_operator")) == (2.5, "studio.take")
    assert settings.resolve("import_height").fixed and settings.resolve("import_height").source == str(studio)
    assert not settings.resolve("storage_hint").fixed
    with pytest.raises(RuntimeError, match=r"no operator 'studio\.take'"):
        task_id = rodin.track(service.add(READY))
        rodin.until(lambda: rodin.item(task_id).status == "DONE", "it is done")
        bpy.ops.rodin.hand_off(task_id=task_id)


def test_every_setting_can_be_fixed(
    rodin: Rodin, studio: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wanted: dict[str, Any] = {
        "api_key": "a-studios-key",
        "api_key_command": "a-studios-command",
        "service_address": "https://rodin.studio.example/api",
        "proxy": "http://me:pass@proxy.studio.example:3128",
        "ca_file": str(tmp_path / "ca.pem"),
        "shortest_interval": 7.0,
        "longest_interval": 70.0,
        "deadline": 7.5,
        "requests_per_minute": 100,
        "parallel_generations": 3,
        "hand_off_operator": "studio.take",
        "download_folder": str(tmp_path / "downloads"),
        "library_folder": str(tmp_path / "library"),
        "download_when_done": True,
        "import_when_done": True,
        "import_after_download": False,
        "import_location": "ORIGIN",
        "import_height": 1.75,
        "import_as_asset": True,
        "import_companions": True,
        "import_collection": "ACTIVE",
        "import_join": True,
        "import_merge_distance": 0.25,
        "import_textures": "BESIDE",
        "import_max_triangles": 2_000_000,
        "storage_hint": 12.0,
        "allow_generation": False,
        "max_credits_per_task": 1.5,
        "folder_template": "{date} {task_id}",
        "file_template": "{name}_{file}",
        "collection_template": "{user}_{name}",
        "blend_template": "{tier}",
        "log_file": str(tmp_path / "rodin.log"),
        "log_level": "WARNING",
        "log_json": True,
        "log_prompts": True,
    }
    fields = rodin.module("configuration").FIELDS
    for option in rodin.module("tasks.options").OPTIONS.values():
        last = option.choices[-1] if option.choices else option.high
        wanted[f"generate_{option.name}"] = not option.default if isinstance(option.default, bool) else last
    assert wanted.keys() == fields.keys()
    studio.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in wanted.items()))
    for name in ("RODIN_API_KEY", "RODIN_API_URL"):
        monkeypatch.delenv(name)
    rodin.until_idle()
    settings = rodin.app.settings
    assert {name: settings.value(name) for name in wanted} == wanted
    assert rodin.app.settings.download_folder() == tmp_path / "downloads"
    for name, value in wanted.items():
        variable = {"service_address": "RODIN_API_URL"}.get(name, f"RODIN_{name.upper()}")
        # The first but the empty one, which no variable can hold.
        another = "/another" if fields[name].is_path else "another {task_id} {file}"
        if name in ("folder_template", "collection_template", "blend_template"):
            another = "another {task_id}"
        choice = next(filter(None, fields[name].choices), another)
        number = 7_000 if name.startswith("generate_") else 7
        other = {bool: not value, int: number, float: 8.0, str: choice}[type(value)]
        monkeypatch.setenv(variable, str(int(other)) if isinstance(other, bool) else str(other))
        assert (settings.value(name), settings.resolve(name).source) == (other, f"${variable}")
        monkeypatch.delenv(variable)


def test_the_log_is_written_and_leaves_no_handler_and_no_thread(
    rodin: Rodin, service: Service, studio: Path, tmp_path: Path
) -> None:
    path = tmp_path / "log" / "rodin.log"
    studio.write_text(f"log_file = '{path}'\n")
    rodin.until_idle()
    task_id = rodin.track(service.add(READY))
    rodin.until(lambda: path.exists() and f"ended task_id={task_id}" in path.read_text(), "its end is logged")
    assert f"followed task_id={task_id}" in path.read_text()
    logger = rodin.module("configuration.logs").LOGGER
    assert logger.handlers
    rodin.disable()
    wait_for_no_thread()
    assert not logger.handlers
    rodin.enable()


def test_what_the_studio_locked_is_shown_as_fixed_whatever_the_environment_says(
    rodin: Rodin, studio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.write_text('locked = ["import_height"]\nimport_height = 2.5\n')
    monkeypatch.setenv("RODIN_IMPORT_HEIGHT", "nonsense")
    rodin.until_idle()
    settings = rodin.app.settings
    found = settings.resolve("import_height")
    assert (found.value, found.source, found.fixed, found.locked) == (2.5, str(studio), True, True)
    assert settings.for_tracker().blocker is None, "what does not count is not wrong"
    settings.set_value("import_height", 4.0)
    assert settings.value("import_height") == 2.5


def test_the_environment_goes_before_the_file(
    rodin: Rodin, studio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.write_text("import_height = 2.5\n")
    monkeypatch.setenv("RODIN_IMPORT_HEIGHT", "1.5")
    rodin.until_idle()
    found = rodin.app.settings.resolve("import_height")
    assert (found.value, str(found.origin)) == (1.5, "the environment variable RODIN_IMPORT_HEIGHT")


@pytest.mark.parametrize("content", ["import_height = 'tall'", "no TOML at all", "color = 1", None])
def test_a_wrong_file_is_told_and_nothing_is_asked(
    rodin: Rodin, service: Service, studio: Path, content: str | None
) -> None:
    if content is not None:
        studio.write_text(content)
    answer = service.add(READY)
    task_id = rodin.track(answer)
    rodin.until(lambda: str(studio) in rodin.item(task_id).message, "the file is named")
    rodin.until(lambda: not rodin.item(task_id).message.endswith("being read."), "what is wrong with it is told")
    assert service.asked_for(answer) == 0


def test_a_wrong_variable_is_told_and_nothing_is_asked(
    rodin: Rodin, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RODIN_IMPORT_HEIGHT", "tall")
    answer = service.add(READY)
    task_id = rodin.track(answer)
    rodin.until(lambda: "RODIN_IMPORT_HEIGHT holds something that is no number" in rodin.item(task_id).message, "told")
    assert service.asked_for(answer) == 0
    monkeypatch.delenv("RODIN_IMPORT_HEIGHT")
    rodin.until(lambda: rodin.item(task_id).status == "DONE", "mended")


def test_an_api_key_that_is_fixed_is_not_entered(rodin: Rodin) -> None:
    before = rodin.preferences.api_key
    with pytest.raises(RuntimeError, match="comes from the environment variable RODIN_API_KEY, and is changed there"):
        bpy.ops.rodin.enter_api_key(api_key="another")
    assert rodin.preferences.api_key == before


# A repository of extensions.


@pytest.fixture
def hosted(tmp_path: Path) -> Iterator[str]:
    """`make repository`'s folder on a server; its address."""
    sys.path.insert(0, str(Path(__file__).parent.parent.parent))
    from tools.build import repository

    folder = repository(Path(bpy.app.binary_path), Path(os.environ["RODIN_ZIP"]), tmp_path / "repository")
    handler = functools.partial(_Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/index.json"
    server.shutdown()
    server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.skipif(not bpy.app.binary_path, reason="the wheel has no extension manager on its command line")
def test_a_studios_repository_installs_it(hosted: str, tmp_path: Path) -> None:
    # Blender takes a folder that is not there for none, and would add the repository to its user's own preferences.
    (tmp_path / "profile").mkdir()
    environment = {**os.environ, "BLENDER_USER_RESOURCES": str(tmp_path / "profile")}

    def blender(*words: str) -> str:
        command = [bpy.app.binary_path, "--background", "--online-mode", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    blender("--command", "extension", "repo-add", "--name", "Studio", "--url", hosted, "studio")
    blender("--command", "extension", "sync")
    blender("--command", "extension", "install", "-e", "rodin_blender")
    said = blender(
        "--python-expr",
        "import bpy; print('HANDLERS', [n for n in bpy.context.preferences.addons.keys() if 'rodin' in n])",
    )
    assert "HANDLERS ['bl_ext.studio.rodin_blender']" in said
    assert PACKAGE not in said
