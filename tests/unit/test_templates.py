# SPDX-License-Identifier: GPL-3.0-or-later
"""Names made by templates: for folders, files, collections and .blend files."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm import rodin_farm
from rodin_blender.configuration import FIELDS, Setting, read_files, studio, template_of
from rodin_blender.service.errors import BadInput
from rodin_blender.service.files import LONGEST_FOLDER, LONGEST_PATH, SavedFile, models, safe_name, units
from rodin_blender.service.keys import Secret
from rodin_blender.storage import rows
from rodin_blender.tasks import templates
from rodin_blender.tasks.task import Task
from rodin_blender.tasks.templates import Names, blend_name, check_file, check_folder, check_free, collection_name
from tests.unit.shell import FILES, GLB, Shell, shell

__all__ = ["shell"]

VASE = Task(
    "1a2b3c4d", "Glazed vase", Secret(""), tracked_at=datetime(2026, 11, 26, 12).timestamp(), options={"tier": "Gen-2"}
)


@pytest.fixture(autouse=True)
def _anna(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "anna")


def test_each_placeholder() -> None:
    assert Names("{date} {name} {tier} {user} {task_id}").folder_name(VASE) == "2026-11-26 Glazed vase Gen-2 anna 1a2b3c4d"
    assert Names(file="{name}_{file}").renaming(VASE)("pbr/base_pbr.glb") == "pbr/Glazed vase_base_pbr.glb"
    assert collection_name("{user}/{name}", VASE) == "anna/Glazed vase"
    assert blend_name("{name} {date}", VASE) == "Glazed vase 2026-11-26.blend"
    assert Names("{tier} {name} {task_id}").folder_name(replace(VASE, options={})) == "Glazed vase 1a2b3c4d"
    assert Names("{{{name}}} {task_id}").folder_name(VASE) == "{Glazed vase} 1a2b3c4d"


def test_without_a_template_the_names_are_what_they_were() -> None:
    for name in ("Vase", "x" * 80, "a/b", "Ünï 日本", "vase.v2", "🏺" * 40):
        was = f"{safe_name(name, longest=LONGEST_FOLDER)} 1a2b3c4d"
        assert Names().folder_name(replace(VASE, name=name)) == safe_name(was)
    assert Names().folder_name(replace(VASE, name="..")) == "1a2b3c4d"
    assert Names().renaming(VASE)("base.glb") == "base.glb"


def test_only_models_are_renamed_since_others_are_found_by_their_names() -> None:
    rename = Names(file="{name}_{file}").renaming(replace(VASE, name="Pot"))
    names = ("base_basic_pbr.glb", "base.obj", "material.mtl", "texture.png", "preview.webp", "scene.bin", "part.usdc")
    assert [*map(rename, names)] == ["Pot_base_basic_pbr.glb", "Pot_base.obj", *names[2:]]


@given(st.text(), st.sampled_from(["{name}_{file}", "{date} {name} {user} {file}", "{task_id}{file}", "{name}{name} {file}"]))
def test_whatever_a_task_is_called_its_files_have_safe_names_and_the_best_model_is_still_known(
    name: str, template: str
) -> None:
    rename = Names(file=template).renaming(replace(VASE, name=name))
    made = [safe_name(rename(file)) for file in ("base_basic_shaded.glb", "base_basic_pbr.glb")]
    assert all("/" not in one and units(one) <= LONGEST_PATH for one in made)
    assert models([SavedFile(one, 1) for one in made])[0].name == made[1]


@given(st.text(), st.sampled_from(["{name} {task_id}", "{task_id} {user} {date} {name}", "{tier}{name}{task_id}"]))
def test_whatever_a_task_is_called_its_folder_has_a_safe_name_with_its_id(name: str, template: str) -> None:
    made = Names(template).folder_name(replace(VASE, name=name))
    assert "1a2b3c4d" in made and made == safe_name(made) and units(made) <= LONGEST_FOLDER + 9


@given(st.text())
def test_a_template_is_refused_or_can_be_filled(template: str) -> None:
    for check, fill in (
        (check_folder, lambda: Names(template).folder_name(VASE)),
        (check_file, lambda: Names(file=template).renaming(VASE)("base.glb")),
        (check_free, lambda: blend_name(template, VASE)),
    ):
        try:
            check(template)
        except BadInput as error:
            assert str(error).endswith(".")
        else:
            assert fill()


@pytest.mark.parametrize(
    ("name", "template", "said"),
    [
        ("folder_template", "{name}", "it needs {task_id}, so that no two tasks share a folder."),
        ("folder_template", "{date}/{task_id}", "a single name, without slashes"),
        ("folder_template", "{nmae} {task_id}", "it may have {name}, {date}, {tier}, {task_id}, {user}, and nothing else"),
        ("folder_template", "{task_id", "a brace in it stands alone"),
        ("folder_template", "{task_id} {name.__class__}", "nothing else in braces"),
        ("folder_template", "{task_id} {name:>9}", "nothing else in braces"),
        ("folder_template", "{task_id} {}", "nothing else in braces"),
        ("file_template", "{file}_{name}", "it must end with {file}"),
        ("collection_template", "{file}", "nothing else in braces"),
        ("blend_template", "{name!r}", "nothing else in braces"),
    ],
)
def test_a_bad_template_is_told_when_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, template: str, said: str
) -> None:
    monkeypatch.setattr(studio, "system_file", lambda: tmp_path / "none.toml")
    (tmp_path / "studio.toml").write_text(f"{name} = '{template}'")
    with pytest.raises(BadInput) as caught:
        read_files(str(tmp_path / "studio.toml"))
    assert f"sets {name} to something that cannot be used: " in str(caught.value) and said in str(caught.value)
    with pytest.raises(BadInput, match=f"^{FIELDS[name].label} in the preferences is something that cannot be used: "):
        template_of(Setting(template, "preferences", fixed=False), name)


def test_an_empty_template_is_the_usual_one() -> None:
    assert template_of(Setting(" ", "preferences", fixed=False), "folder_template") == templates.FOLDER


def test_a_renamed_file_is_kept_in_the_list_with_the_services_name() -> None:
    task = replace(VASE, files=(SavedFile("Pot_base.glb", 3, "ab", "base.glb"), SavedFile("preview.webp", 1, "cd")))
    assert rows.task(tuple(rows.row(task)[column] for column in rows.COLUMNS)) == task


def test_downloads_have_the_studios_names_and_keep_them(shell: Shell, tmp_path: Path) -> None:
    def event(**more: Any) -> dict[str, Any]:
        return shell.json("download", "Vase", **more).event

    answer = shell.add([[(0.0, "Done")]])
    shell.run("track", shell.keys(answer), "--name", "Vase")
    names = {"RODIN_FOLDER_TEMPLATE": "{user}_{task_id}", "RODIN_FILE_TEMPLATE": "{name}_{file}", "LOGNAME": "anna"}
    first = event(**names)
    folder = Path(first["folder"])
    assert folder.name == f"anna_{first['task_id']}"
    assert {path.name for path in folder.iterdir()} == {"Vase_base_basic_pbr.glb", "preview.webp"}
    # A new name of the task, and another template: what is there keeps its name and is not fetched twice.
    shell.run("track", shell.keys(answer), "--name", "Pot")
    (folder / "preview.webp").unlink()
    before = (folder / "Vase_base_basic_pbr.glb").stat().st_mtime_ns
    again = shell.json("download", "Pot", RODIN_FILE_TEMPLATE="{task_id}_{file}").event
    assert {path.name for path in folder.iterdir()} == {"Vase_base_basic_pbr.glb", "preview.webp"}
    assert (folder / "Vase_base_basic_pbr.glb").stat().st_mtime_ns == before and again["folder"] == str(folder)
    assert (folder / "Vase_base_basic_pbr.glb").read_bytes() == GLB and set(FILES) != {path.name for path in folder.iterdir()}
    refused = shell.run("download", "Pot", "--again", RODIN_FOLDER_TEMPLATE="{name}")
    assert refused.code == 2 and "RODIN_FOLDER_TEMPLATE holds something that cannot be used: it needs {task_id}" in refused.err


def test_names_of_every_script_survive_on_the_farm() -> None:
    assert rodin_farm.stem_of(7, "Größe 花瓶 / ваза") == "0007-Größe-花瓶-ваза"
    assert rodin_farm.stem_of(7, "Glazed vase") == "0007-Glazed-vase"
    assert rodin_farm.stem_of(7, "../..") == "0007"
    assert rodin_farm.stem_of(7, "e\u0301") == "0007-\u00e9"
