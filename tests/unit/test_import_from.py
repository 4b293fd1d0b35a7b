# SPDX-License-Identifier: GPL-3.0-or-later
"""`import --from`: models of a batch's results, on a computer that did not download them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from rodin_blender.command_line import main
from rodin_blender.command_line.host import Host, Import, Imported
from rodin_blender.configuration import FIELDS, Setting
from rodin_blender.tasks.task import Task
from tests.unit.shell import GLB

UUID = "00000000-0000-4000-8000-000000000001"


class Farm:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.imported: list[tuple[Task | None, Path]] = []
        self.saved: list[Path] = []

    def has(self, **result: Any) -> None:
        """A line of the results, and the files that it tells of."""
        made = {
            "task_id": "1a2b3c4d",
            "name": "Vase",
            "task_uuid": UUID,
            "status": "DONE",
            "folder": "/x/Vase 1a2b3c4d",
        }
        made |= {"files": [{"name": "base_basic_pbr.glb", "size": len(GLB)}], **result}
        with (self.folder / "results.jsonl").open("a") as file:
            file.write(json.dumps(made) + "\n")
        for saved in made["files"]:
            path = self.folder / "Vase 1a2b3c4d" / saved["name"]
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(GLB)

    def run(self, *words: str, save: str = "a.blend") -> int:
        file = str(self.folder / "results.jsonl")
        return main.run(["import", *words, "--from", file, "--save", save, "--json"], self._host)

    def _host(self) -> Host:
        def resolve(name: str) -> Setting:
            return Setting(FIELDS[name].default, "default", fixed=False)

        return Host("rodin", resolve, self.folder / "no-list", {}, import_models=self._import)

    def _import(self, found: list[tuple[Task | None, Path]], how: Import, _imported: Imported) -> list[str]:
        self.imported += found
        self.saved.append(how.blend)
        return [""] * len(found)


@pytest.fixture
def farm(tmp_path: Path) -> Farm:
    return Farm(tmp_path)


@pytest.mark.parametrize("folder", ["/x/Vase 1a2b3c4d", "X:\\rodin\\Vase 1a2b3c4d"])
@pytest.mark.parametrize("word", ["Vase", "1a2b3c4d"])
def test_its_folder_is_found_beside_the_file(farm: Farm, word: str, folder: str) -> None:
    farm.has(folder=folder)
    assert farm.run(word) == 0
    ((task, path),) = farm.imported
    assert path == farm.folder / "Vase 1a2b3c4d" / "base_basic_pbr.glb"
    assert task and (task.name, task.task_uuid) == ("Vase", UUID)
    assert not (farm.folder / "no-list").exists()


def test_in_a_folder_the_blend_file_is_named_by_the_studios_template(
    farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    field = replace(FIELDS["blend_template"], default="{name}_{tier}_{date}")
    monkeypatch.setitem(FIELDS, "blend_template", field)
    farm.has(tracked_at=datetime(2026, 11, 26, 12).timestamp(), options={"tier": "Gen-2"})
    assert farm.run("Vase", save=str(tmp_path)) == 0
    assert farm.saved == [tmp_path / "Vase_Gen-2_2026-11-26.blend"]


def test_the_last_line_of_a_task_holds_and_others_do_not_matter(farm: Farm) -> None:
    farm.has(status="FAILED", files=[])
    (farm.folder / "results.jsonl").open("a").write('{"task_id": 1}\n[]\n{\n')
    farm.has()
    assert farm.run("Vase") == 0


@pytest.mark.parametrize(
    ("result", "word", "code", "text"),
    [
        ({"status": "FAILED", "folder": "", "files": []}, "Vase", 3, "nothing to import"),
        ({"files": []}, "Vase", 1, "no model among its files"),
        ({}, "Goblet", 2, "no task 'Goblet'"),
    ],
)
def test_what_cannot_be_imported_says_why(
    farm: Farm, capsys: pytest.CaptureFixture[str], result: dict[str, Any], word: str, code: int, text: str
) -> None:
    farm.has(**result)
    assert farm.run(word) == code
    assert text in capsys.readouterr().err
    assert farm.imported == []


@pytest.mark.parametrize("there", [None, b"", GLB[:-1], b"<html>"])
def test_a_model_that_is_gone_or_not_whole_is_told_with_what_brings_it_back(
    farm: Farm, capsys: pytest.CaptureFixture[str], there: bytes | None
) -> None:
    farm.has()
    model = farm.folder / "Vase 1a2b3c4d" / "base_basic_pbr.glb"
    model.unlink() if there is None else model.write_bytes(there)
    assert farm.run("Vase") == 1
    told = capsys.readouterr().err
    assert "'base_basic_pbr.glb' in" in told and "Run `batch` again, which fetches what is missing." in told
    assert farm.imported == []


def test_a_model_in_a_folder_of_its_own_is_found(farm: Farm) -> None:
    (farm.folder / "Vase 1a2b3c4d").mkdir()
    farm.has(files=[{"name": "pbr/base.glb", "size": len(GLB), "sha256": "0"}])
    assert farm.run("Vase") == 0
    assert farm.imported[0][1] == farm.folder / "Vase 1a2b3c4d" / "pbr" / "base.glb"


def test_a_file_without_results_is_told(farm: Farm, capsys: pytest.CaptureFixture[str]) -> None:
    assert farm.run("Vase") == 2
    assert "results.jsonl cannot be read" in capsys.readouterr().err
    (farm.folder / "results.jsonl").write_text("{}\n")
    assert farm.run("Vase") == 2
    assert "holds no results" in capsys.readouterr().err


def test_one_without_a_model_keeps_no_other_from_the_file(farm: Farm, capsys: pytest.CaptureFixture[str]) -> None:
    farm.has(task_id="bad00000", name="Pot", status="FAILED", folder="", files=[])
    farm.has()
    assert farm.run("Pot", "Vase") == 3
    assert [task.name for task, _ in farm.imported if task] == ["Vase"]
    vase, pot, error = map(json.loads, capsys.readouterr().out.splitlines())
    assert (vase["event"], vase["name"], vase["text"]) == ("import", "Vase", "")
    assert (pot["name"], pot["blend"]) == ("Pot", "") and "nothing to import" in pot["text"]
    assert error["exit"] == 3 and pot["text"] in error["text"] and "The other 1" in error["text"]
