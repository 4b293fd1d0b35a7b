# SPDX-License-Identifier: GPL-3.0-or-later
"""The farm's job: its template by Open Job Description's own model, and its script with a program in Blender's place."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit import disks
from tests.unit import shell as shells
from tests.unit.shell import Shell

shell = shells.shell

refusing = disks.refusing

FARM = Path(__file__).resolve().parent.parent.parent / "farm"
GIVEN = {"BatchFile": "/show/models.csv", "Models": "12", "Folder": "/show/out"}
KEY = "aaaa.bbbb.cccc"


def _uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


# The template.


@pytest.fixture
def openjd() -> Any:
    return pytest.importorskip("openjd.model")


def _template(openjd: Any) -> Any:
    text = (FARM / "template.yaml").read_text()
    content = openjd.document_string_to_object(document=text, document_type=openjd.DocumentType.YAML)
    return openjd.decode_job_template(template=content, supported_extensions=["TASK_CHUNKING"])


def _job(openjd: Any, **given: str) -> Any:
    template = _template(openjd)
    values = openjd.preprocess_job_parameters(
        job_template=template,
        job_parameter_values={name: value for name, value in (GIVEN | given).items() if value},
        job_template_dir=FARM,
        current_working_dir=FARM,
    )
    return openjd.create_job(job_template=template, job_parameter_values=values)


def test_the_job_has_one_task_to_generate_and_a_task_to_import_each_model(openjd: Any) -> None:
    first, imports = _job(openjd).steps
    assert first.name == "GenerateAndDownload"
    assert first.parameterSpace is None
    assert [dependency.dependsOn for dependency in imports.dependencies] == ["GenerateAndDownload"]
    tasks = [*openjd.StepParameterSpaceIterator(space=imports.parameterSpace)]
    assert [task["Model"].value for task in tasks] == [str(number) for number in range(1, 13)]


def test_a_task_imports_several_models_where_asked_to(openjd: Any) -> None:
    space = _job(openjd, ModelsPerTask="5").steps[1].parameterSpace
    chunks = [task["Model"].value for task in openjd.StepParameterSpaceIterator(space=space)]
    assert chunks == ["1-4", "5-8", "9-12"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Models", "0"),
        ("Models", "10000"),
        ("Models", "many"),
        ("Models", ""),
        ("BatchFile", ""),
        ("Folder", ""),
        ("Height", "1000001"),
        ("Height", "tall"),
        ("Asset", "perhaps"),
        ("Thumbnail", "True"),
        ("MaxCredits", "1000001"),
        ("RetryFailed", "perhaps"),
        ("ModelsPerTask", "0"),
        ("ModelsPerTask", "101"),
        ("LongestWait", "169"),
        ("Blender", "x" * 1025),
        ("ApiKey", "secret"),
    ],
)
def test_a_wrong_parameter_is_refused_before_the_job_begins(openjd: Any, name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name):
        _job(openjd, **{name: value})


def test_the_template_has_no_place_for_a_key(openjd: Any) -> None:
    names = [parameter.name for parameter in _template(openjd).parameterDefinitions]
    assert not [name for name in names if "key" in name.lower()]


def test_no_farm_manager_copies_the_files_that_have_keys(openjd: Any) -> None:
    flows = {p.name: p.dataFlow for p in _template(openjd).parameterDefinitions if p.type == "PATH"}
    assert (flows["BatchFile"].value, flows["Folder"].value) == ("NONE", "NONE")


# The script.

STAND_IN = """#!{python}
import json, os, pathlib, sys, time
words = sys.argv[sys.argv.index("rodin") + 1:]
if "--check" in words:
    os.chdir({root!r})
    os.execv(sys.executable, [sys.executable, "-m", "rodin_blender", *words])
plan = json.loads(pathlib.Path({plan!r}).read_text())
with open({log!r}, "a") as log:
    print(json.dumps(sys.argv[1:]), file=log)
def option(name):
    return pathlib.Path(words[words.index(name) + 1])
if words[0] == "batch":
    turn = plan["batch"].pop(0)
    pathlib.Path({plan!r}).write_text(json.dumps(plan))
    with open(option("--to") / "results.jsonl", "a") as file:
        file.writelines(json.dumps(result) + "\\n" for result in turn["results"])
else:
    turn = plan["import"].get(words[1], {{"exit": 0}})
    time.sleep(turn.get("sleep", 0))
    if turn.get("wrote", not turn["exit"]):
        for name in ("--save", "--thumbnail"):
            if name in words:
                option(name).write_text(name)
if turn.get("hook"):
    print(json.dumps({{"schema": 1, "event": "hook", "hook": "task_done", "text": "The handler publish failed."}}))
if turn["exit"]:
    print(json.dumps({{"schema": 1, "event": "error", "text": "What is wrong.", "exit": turn["exit"]}}))
sys.exit(turn["exit"])
"""


class Shop:
    """A batch file of three models, and a stand-in for Blender that does what it is told to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "out"
        self.folder.mkdir()
        self.batch = folder / "show.jsonl"
        self.rows = [{"name": f"Pot {n}", "subscription_key": f"{KEY}{n}", "task_uuid": _uuid(n)} for n in (1, 2, 3)]
        self.blender = folder / "blender"
        self.plan, self.log = folder / "plan.json", folder / "log.jsonl"
        self.blender.write_text(STAND_IN.format(python=sys.executable, root=str(FARM.parent), plan=str(self.plan), log=str(self.log)))
        self.blender.chmod(0o755)
        self.does()

    def does(
        self, *, batch: list[tuple[int, list[int]]] | None = None, hook: int | None = None, **imports: dict[str, Any]
    ) -> None:
        """`batch`: of each call, its exit code and whose results come; `hook`: in which call a function fails."""
        turns = [
            {"exit": code, "results": [self.result(n) for n in numbers], "hook": call == hook}
            for call, (code, numbers) in enumerate(batch or ())
        ]
        self.plan.write_text(json.dumps({"batch": turns, "import": imports}))

    def result(self, number: int, **more: Any) -> dict[str, Any]:
        return {"task_id": f"pot{number}", "name": f"Pot {number}", "task_uuid": _uuid(number), **more}

    def has(self, *models: dict[str, Any]) -> None:
        """What `generate` leaves."""
        (self.folder / "models.jsonl").write_text("".join(json.dumps(model) + "\n" for model in models))

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(self.command(*words), text=True, capture_output=True, timeout=30, check=False)
        assert KEY not in done.stdout + done.stderr
        return done

    def command(self, *words: str) -> list[str]:
        options = [f"--folder={self.folder}", f"--blender={self.blender}"]
        return [sys.executable, str(FARM / "rodin_farm.py"), *words, *options]

    def generate(self, models: int = 3, rows: str | None = None) -> subprocess.CompletedProcess[str]:
        text = "".join(json.dumps(row) + "\n" for row in self.rows)
        self.batch.write_text(text if rows is None else rows)
        return self.run("generate", f"--batch-file={self.batch}", f"--models={models}", "--pause=0.01")

    @property
    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def numbered(self) -> dict[int, str]:
        lines = (self.folder / "models.jsonl").read_text().splitlines()
        return {model["number"]: model["name"] for model in map(json.loads, lines)}

    def note(self, number: int) -> dict[str, Any]:
        return json.loads((self.folder / "models" / f"{number:04}.json").read_text())

    def files(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "models").iterdir())


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_models_are_numbered_as_in_the_file_and_not_as_they_ended(shop: Shop) -> None:
    shop.does(batch=[(0, [3, 1, 2])])
    assert shop.generate().returncode == 0
    assert shop.numbered() == {1: "Pot 1", 2: "Pot 2", 3: "Pot 3"}


@pytest.mark.parametrize(
    "rows",
    [
        "name,subscription_key,task_uuid\n" + "".join(f"Pot {n},{KEY}{n},{_uuid(n).upper()}\n" for n in (1, 2, 3)),
        "sep=;\nName;Subscription Key;task_uuid\n" + "".join(f"Pot {n};{KEY}{n};{_uuid(n)}\n;;\n" for n in (1, 2, 3)),
        "\n".join(json.dumps({"uuid": f" {_uuid(n)}", "jobs": {"subscription_key": f"{KEY}{n}"}}) for n in (1, 2, 3)) + "\n\n",
    ],
    ids=["csv", "semicolons", "answers"],
)
def test_a_file_may_be_of_any_kind_that_batch_reads(shop: Shop, rows: str) -> None:
    shop.does(batch=[(0, [1, 2, 3])])
    assert shop.generate(rows=rows).returncode == 0
    assert shop.numbered() == {1: "Pot 1", 2: "Pot 2", 3: "Pot 3"}


@pytest.mark.parametrize("rows", ["", f"{{{KEY}\n", f"[{KEY}]\n", f"key\n{KEY}\n", f'{{"jobs": "{KEY}"}}\n'])
def test_a_file_that_cannot_be_read_ends_it_before_anything_is_asked(shop: Shop, rows: str) -> None:
    done = shop.generate(rows=rows)
    assert done.returncode == 2 and "show.jsonl" in done.stderr
    assert shop.calls == []


def test_an_error_answer_keeps_its_number_and_fails_its_own_import(shop: Shop) -> None:
    shop.does(batch=[(3, [1, 3])])
    rows = [shop.rows[0], {"error": "INSUFFICIENT_FUND", "message": "no"}, shop.rows[2]]
    assert shop.generate(rows="".join(json.dumps(row) + "\n" for row in rows)).returncode == 0
    assert shop.numbered() == {1: "Pot 1", 3: "Pot 3"}


def test_a_file_of_another_length_ends_it_before_anything_is_asked(shop: Shop) -> None:
    done = shop.generate(models=4)
    assert done.returncode == 2
    assert "lists 3 models" in done.stderr
    assert shop.calls == []


def test_what_failed_at_the_service_fails_its_own_import_and_not_the_step(shop: Shop) -> None:
    shop.does(batch=[(3, [1, 2, 3])])
    assert shop.generate().returncode == 0


@pytest.mark.parametrize("codes", [[7], [3], [1, 0], [1, 1, 1]])
def test_a_hook_that_fails_fails_the_step_after_all_else_is_done(shop: Shop, codes: list[int]) -> None:
    shop.does(batch=[(code, [1, 2, 3] if not turn else []) for turn, code in enumerate(codes)], hook=0)
    done = shop.generate()
    assert done.returncode == 7 and "The handler publish failed." in done.stderr
    assert len(shop.calls) == len(codes) and len(shop.numbered()) == 3
    shop.does(batch=[(0, [])])
    assert shop.generate().returncode == 0, "run again, it has nothing left to do"


def test_trouble_is_tried_again(shop: Shop) -> None:
    shop.does(batch=[(1, [1]), (0, [2, 3])])
    assert shop.generate().returncode == 0
    assert len(shop.numbered()) == 3


def test_what_has_no_result_in_the_end_does_not_hold_up_the_others(shop: Shop) -> None:
    shop.does(batch=[(1, [1, 3]), (1, []), (1, [])])
    assert shop.generate().returncode == 0
    assert shop.numbered() == {1: "Pot 1", 3: "Pot 3"}
    done = shop.run("import", "--models=2")
    assert done.returncode == 1
    assert "no result" in shop.note(2)["text"]


@pytest.mark.parametrize(("code", "results"), [(1, []), (4, []), (2, [1]), (5, [1]), (130, [1])])
def test_the_step_fails_where_nothing_can_be_had(shop: Shop, code: int, results: list[int]) -> None:
    shop.does(batch=[(code, results)] * 3)
    done = shop.generate()
    assert done.returncode == code
    assert "What is wrong." in done.stderr


def plain(folder: Path) -> Path:
    """A program in Blender's place: the real command line in plain Python."""
    blender = folder / "blender"
    blender.write_text(f'#!/bin/sh\nwhile [ "$1" != rodin ]; do shift; done; shift\nexec {sys.executable} -m rodin_blender "$@"\n')
    blender.chmod(0o755)
    return blender


@pytest.mark.parametrize("fault", ["403-html", "permission-denied!"])
def test_one_refused_of_21_does_not_fail_the_step(shell: Shell, tmp_path: Path, fault: str) -> None:
    """With the real command line: a plain Python in Blender's place."""
    blender = plain(tmp_path)
    faults = {9: [fault]}
    answers = [shell.add([[(0.0, "Done")]], prompt=f"Pot {n}", faults=faults.get(n, ())) for n in range(1, 22)]
    batch, folder = shell.file("show.jsonl", "".join(json.dumps(answer) + "\n" for answer in answers)), tmp_path / "out"
    folder.mkdir()
    command = [sys.executable, FARM / "rodin_farm.py", "generate", "--models=21", "--pause=0.01"]
    done = subprocess.run(
        [*command, f"--batch-file={batch}", f"--folder={folder}", f"--blender={blender}"],
        cwd=FARM.parent, env=shell.environment, text=True, capture_output=True, timeout=50, check=False,
    )  # fmt: skip
    shell.printed += [done.stdout, done.stderr]
    assert done.returncode == 0, done.stderr
    models = [json.loads(line) for line in (folder / "models.jsonl").read_text().splitlines()]
    numbers = [model["number"] for model in models if "why" not in model]
    assert numbers == [number for number in range(1, 22) if number != 9 or fault == "403-html"]


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGKILL")
def test_a_step_that_is_killed_by_force_at_random_has_nothing_paid_twice(shell: Shell, tmp_path: Path) -> None:
    chance = random.Random(7)
    simulator = shell.simulator
    simulator.story, simulator.speed, simulator.result_files = "one-job", 20.0, shells.FILES
    batch = shell.file("show.csv", "prompt\n" + "".join(f"pot {n}\n" for n in range(12)))
    (folder := tmp_path / "out").mkdir()
    words = [f"--batch-file={batch}", f"--folder={folder}", f"--blender={plain(tmp_path)}", "--models=12", "--pause=0.2"]
    command = [sys.executable, FARM / "rodin_farm.py", "generate", *words]
    for goal in (1, 4, 8):
        with (tmp_path / "log").open("a") as log:
            process = subprocess.Popen(command, cwd=FARM.parent, env=shell.environment, stdout=log, stderr=log)
            shells.wait_until(lambda goal=goal: len(simulator.submissions) >= goal)
            time.sleep(chance.uniform(0.0, 0.5))
            process.kill()
            process.wait()
    done = subprocess.run(
        command, cwd=FARM.parent, env=shell.environment, text=True, capture_output=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stderr
    assert sorted(sent.prompt for sent in simulator.submissions) == sorted(f"pot {n}" for n in range(12))
    models = [json.loads(line) for line in (folder / "models.jsonl").read_text().splitlines()]
    assert len(models) == 12 and {Path(model["folder"]).parent for model in models} == {folder}
    assert all("why" not in model for model in models)


def test_a_row_that_was_rejected_fails_its_import_with_the_services_reason(shell: Shell, tmp_path: Path) -> None:
    shell.simulator.story, shell.simulator.result_files = [[(0.0, "Done")]], shells.FILES
    shell.simulator.fail("rodin", "refused-image-content-violation")
    batch = shell.file("show.csv", "name,prompt\nflag,A flag\nvase,A vase\n")
    (folder := tmp_path / "out").mkdir()
    words = [f"--folder={folder}", f"--blender={plain(tmp_path)}"]
    script = [sys.executable, str(FARM / "rodin_farm.py")]

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*script, *more, *words], cwd=FARM.parent, env=shell.environment, text=True, capture_output=True, timeout=50, check=False
        )

    assert run("generate", f"--batch-file={batch}", "--models=2", "--pause=0.01").returncode == 0
    # Two are sent at a time, and either may meet the refusal.
    models = [json.loads(line) for line in (folder / "models.jsonl").read_text().splitlines()]
    (rejected,) = (model for model in models if "why" in model)
    assert run("import", f"--models={rejected['number']}").returncode == 3
    note = json.loads((folder / "models" / f"{rejected['number']:04}.json").read_text())
    assert note["name"] == rejected["name"] and "moderation does not accept" in note["text"]
    done = run("generate", f"--batch-file={batch}", "--models=2", "--max-credits=0.5", "--retry-failed=yes")
    assert done.returncode == 0 and "--max-credits" in done.stderr, done.stderr
    assert len(shell.simulator.submissions) == 1
    done = run("generate", f"--batch-file={batch}", "--models=2", "--retry-failed=yes")
    assert sorted(sent.prompt for sent in shell.simulator.submissions) == ["A flag", "A vase"]


def test_prompts_of_a_table_are_sent_once_and_numbered_as_it_has_them(shell: Shell, tmp_path: Path) -> None:
    """With the real command line: a plain Python in Blender's place."""
    shell.simulator.story, shell.simulator.result_files = [[(0.0, "Failed")]], shells.FILES
    blender = plain(tmp_path)
    old = shell.add([[(0.0, "Done")]])
    keys = f"{shells.key_of(old)};{old['uuid']}"
    batch = shell.file("show.csv", f"sep=;\nName;Prompt;subscription_key;task_uuid\n;a vase;;\nOld;;{keys}\n;;;\n;a cup;;\n")
    (folder := tmp_path / "out").mkdir()
    words = [f"--batch-file={batch}", f"--folder={folder}", f"--blender={blender}", "--models=3", "--pause=0.01"]
    for attempt in range(2):
        done = subprocess.run(
            [sys.executable, FARM / "rodin_farm.py", "generate", *words],
            cwd=FARM.parent, env=shell.environment, text=True, capture_output=True, timeout=50, check=False,
        )  # fmt: skip
        shell.printed += [done.stdout, done.stderr]
        assert done.returncode == 0, done.stderr
        models = [json.loads(line) for line in (folder / "models.jsonl").read_text().splitlines()]
        found = [(model["number"], model["name"], model["status"]) for model in models]
        status = ("FAILED", "DONE")[attempt]
        assert found == [(1, "a vase", status), (2, "Old", "DONE"), (3, "a cup", status)]
        assert len(shell.simulator.submissions) == 2 * (attempt + 1)
        # Others take the place of those that failed, and their numbers.
        shell.simulator.story = [[(0.0, "Done")]]
        again = shell.json("batch", batch, "--to", folder, "--retry-failed")
        assert again.code == 0 and len(shell.simulator.submissions) == 4


def test_a_model_becomes_a_blend_file_a_picture_and_a_line(shop: Shop) -> None:
    shop.has({"number": 7, **shop.result(7, name="Pot / ü \u202e 7")})
    assert shop.run("import", "--models=7", "--height=0.3", "--asset=yes").returncode == 0
    assert shop.files() == ["0007-Pot-ü-7.blend", "0007-Pot-ü-7.png", "0007.json"]
    (words,) = shop.calls
    assert words[:5] == ["--background", "--command", "rodin", "import", "pot7"]
    assert words[words.index("--from") + 1] == f"{shop.folder}/results.jsonl"
    assert words[words.index("--height") + 1] == "0.3"
    assert "--asset" in words
    note = shop.note(7)
    assert (note["ok"], note["name"], note["task_uuid"]) == (True, "Pot / ü \u202e 7", _uuid(7))


def test_what_is_not_asked_for_is_left_to_the_settings(shop: Shop) -> None:
    shop.has({"number": 1, **shop.result(1)})
    assert shop.run("import", "--models=1-1", "--thumbnail=no").returncode == 0
    assert {"--height", "--asset", "--thumbnail"}.isdisjoint(*shop.calls)
    assert shop.files() == ["0001-Pot-1.blend", "0001.json"]


def test_one_that_fails_leaves_the_others_of_its_task_alone(shop: Shop) -> None:
    shop.has(*({"number": n, **shop.result(n)} for n in (1, 2, 3)))
    shop.does(pot2={"exit": 2})
    assert shop.run("import", "--models=1-3").returncode == 2
    assert [shop.note(n)["ok"] for n in (1, 2, 3)] == [True, False, True]
    assert shop.note(2)["text"] == "What is wrong."
    shop.does()
    assert shop.run("import", "--models=2").returncode == 0
    assert shop.note(2)["ok"]
    assert [words[4] for words in shop.calls] == ["pot1", "pot2", "pot3", "pot2"]


def test_a_rename_that_is_refused_for_a_moment_is_tried_again(
    shop: Shop, refusing: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.has({"number": 1, **shop.result(1)})
    for name, value in refusing(shop.folder, renames=2).items():
        monkeypatch.setenv(name, value)
    assert shop.run("import", "--models=1").returncode == 0
    assert shop.files() == ["0001-Pot-1.blend", "0001-Pot-1.png", "0001.json"]


def test_a_model_whose_files_are_gone_is_told_what_brings_them_back(shop: Shop) -> None:
    shop.has({"number": 1, **shop.result(1)})
    shop.does(pot1={"exit": 1})
    done = shop.run("import", "--models=1")
    assert done.returncode == 1
    assert "run the task that generates and downloads again, then this one." in shop.note(1)["text"] and done.stderr


@pytest.mark.parametrize("turn", [{"exit": 2, "wrote": True}, {"exit": 0, "wrote": False}], ids=["told", "untold"])
def test_a_file_that_is_not_whole_has_no_name(shop: Shop, turn: dict[str, Any]) -> None:
    shop.has({"number": 1, **shop.result(1)})
    shop.does(pot1=turn)
    assert shop.run("import", "--models=1").returncode
    assert shop.files() == ["0001.json"]


def test_a_blender_that_is_not_there_is_told(shop: Shop) -> None:
    shop.has({"number": 1, **shop.result(1)})
    shop.blender.unlink()
    assert shop.run("import", "--models=1").returncode == 2
    assert "cannot be started" in shop.note(1)["text"]


@pytest.mark.parametrize("numbers", ["", "0x1", "3-1", "1,,2", "1-3:0", "-1", "12345"])
def test_wrong_numbers_are_refused(shop: Shop, numbers: str) -> None:
    assert shop.run("import", f"--models={numbers}").returncode == 2
    assert not (shop.folder / "models").exists()


@pytest.mark.parametrize("height", ["-0.1", "nan", "inf", "tall"])
def test_a_wrong_height_is_refused(shop: Shop, height: str) -> None:
    assert shop.run("import", "--models=1", f"--height={height}").returncode == 2
    assert not (shop.folder / "models").exists()


def test_numbers_are_read_as_the_farm_writes_them(shop: Shop) -> None:
    shop.has(*({"number": n, **shop.result(n)} for n in range(1, 8)))
    assert shop.run("import", "--models=1,3-7:2", "--thumbnail=no").returncode == 0
    assert [name for name in shop.files() if name.endswith("json")] == [f"000{n}.json" for n in (1, 3, 5, 7)]


def test_a_hook_that_fails_fails_the_import_and_its_files_are_there(shop: Shop) -> None:
    shop.has({"number": 1, **shop.result(1)})
    shop.does(pot1={"exit": 7, "wrote": True})
    assert shop.run("import", "--models=1").returncode == 7
    assert shop.files() == ["0001-Pot-1.blend", "0001-Pot-1.png", "0001.json"] and not shop.note(1)["ok"]


def test_what_a_blender_that_died_said_last_is_its_reason(shop: Shop) -> None:
    shop.has({"number": 1, **shop.result(1)})
    shop.blender.write_text("#!/bin/sh\necho 'no memory for this model'\nkill -9 $$\n")
    assert shop.run("import", "--models=1").returncode == 1
    assert "ended with -9. The last that it said: no memory for this model" in shop.note(1)["text"]


@pytest.mark.skipif(os.name != "posix", reason="a farm of Windows ends processes by force")
def test_blender_ends_with_the_task(shop: Shop) -> None:
    shop.has({"number": 1, **shop.result(1)})
    shop.does(pot1={"exit": 0, "sleep": 25})
    process = subprocess.Popen(shop.command("import", "--models=1"), stdout=subprocess.PIPE, text=True)
    while not shop.calls:
        time.sleep(0.02)
    process.terminate()
    # Its output ends when all that write to it have ended, Blender too.
    process.communicate(timeout=10)
    assert process.returncode == 128 + 15
    assert shop.files() == []
