# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings: the environment before the studio's file before what the user set, and a sentence for each wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from rodin_blender import configuration
from rodin_blender.command_line.host import plain
from rodin_blender.configuration import FIELDS, Setting, fixed, read_file, tracker_settings, wrong_in_environment
from rodin_blender.service.errors import BadInput
from rodin_blender.service.keys import Secret
from rodin_blender.storage import folders

SECRET = "rk-9f8e7d6c5b4a-very-secret"


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in FIELDS.values():
        for variable in (*field.variables, configuration.FILE_VARIABLE, folders.FOLDER_VARIABLE):
            monkeypatch.delenv(variable, raising=False)


def written(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "studio.toml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_each_setting_has_a_variable_of_its_own_and_a_default_that_is_allowed() -> None:
    variables = [variable for field in FIELDS.values() for variable in field.variables]
    assert len(variables) == len(set(variables)) == len(FIELDS) + 1
    assert {"RODIN_API_KEY", "HYPER3D_API_KEY", "RODIN_API_URL", "RODIN_DEADLINE"} <= set(variables)
    for field in FIELDS.values():
        text = str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
        found = fixed(field.name, {}, {field.variables[0]: text})
        assert found is None if text == "" else found == Setting(field.default, f"${field.variables[0]}")


def test_the_environment_goes_before_the_file_and_the_file_before_the_rest(tmp_path: Path) -> None:
    file = read_file(written(tmp_path, 'shortest_interval = 7\ndownload_when_done = true\napi_key = "of-file"'))
    source = str(tmp_path / "studio.toml")
    assert fixed("shortest_interval", file, {}) == Setting(7.0, source)
    assert fixed("shortest_interval", file, {"RODIN_SHORTEST_INTERVAL": " 9.5 "}) == Setting(
        9.5, "$RODIN_SHORTEST_INTERVAL"
    )
    assert fixed("download_when_done", file, {"RODIN_DOWNLOAD_WHEN_DONE": "off"}).value is False  # type: ignore[union-attr]
    assert fixed("api_key", file, {"RODIN_API_KEY": ""}) == Setting("of-file", source), "empty is not set"
    assert fixed("api_key", file, {"HYPER3D_API_KEY": "second"}) == Setting("second", "$HYPER3D_API_KEY")
    both = {"RODIN_API_KEY": "first", "HYPER3D_API_KEY": "second"}
    assert fixed("api_key", file, both) == Setting("first", "$RODIN_API_KEY")
    assert fixed("deadline", file, {}) is None


def test_the_source_is_told_in_words() -> None:
    assert Setting(1.0, "$RODIN_DEADLINE").origin == "the environment variable RODIN_DEADLINE"
    assert Setting(1.0, "/studio/rodin.toml").origin == "/studio/rodin.toml"


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("RODIN_SHORTEST_INTERVAL", SECRET, "no number"),
        ("RODIN_SHORTEST_INTERVAL", "0.9", "not between 1 and 300"),
        ("RODIN_LONGEST_INTERVAL", "1e9", "not between 1 and 3600"),
        ("RODIN_DEADLINE", "nan", "not between 0.1 and 10080"),
        ("RODIN_DEADLINE", "inf", "not between"),
        ("RODIN_DEADLINE", "5,5", "no number"),
        ("RODIN_IMPORT_HEIGHT", "-1", "not between 0 and 1e+06"),
        ("RODIN_IMPORT_LOCATION", SECRET, "something else than CURSOR or ORIGIN"),
        ("RODIN_IMPORT_LOCATION", "cursor", "something else than CURSOR or ORIGIN"),
        ("RODIN_IMPORT_AS_ASSET", "maybe", "neither true nor false"),
        ("RODIN_DOWNLOAD_WHEN_DONE", SECRET, "neither true nor false"),
    ],
)
def test_a_wrong_variable_is_named_and_not_quoted(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, said: str
) -> None:
    monkeypatch.setenv(variable, text)
    trouble = wrong_in_environment()
    assert trouble.startswith(f"The environment variable {variable} holds ") and said in trouble
    assert SECRET not in trouble
    obstacle = plain().settings.obstacle
    assert obstacle and (obstacle.kind, obstacle.text) == ("settings", trouble)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f'api_kye = "{SECRET}"', "sets 'api_kye', which is not known; known are api_key, api_key_command, "),
        (f'shortest_interval = "{SECRET}"', "sets shortest_interval to something that is no number."),
        ("shortest_interval = true", "sets shortest_interval to something that is no number."),
        ("shortest_interval = 0", "sets shortest_interval to a number that is not between 1 and 300."),
        ("longest_interval = nan", "that is not between"),
        (f"deadline = {'9' * 400}", "that is not between"),
        ("download_when_done = 1", "sets download_when_done to something that is neither true nor false."),
        ("api_key = 5", "sets api_key to something that is no text."),
        ('import_location = "HERE"', "sets import_location to something else than CURSOR or ORIGIN."),
        ("[api_key]\nx = 1", "sets api_key to something that is no text."),
        (f"api_key = {SECRET}", "is no TOML"),
        (f'api_key = "{SECRET}', "is no TOML"),
        (b"\xff\xfea\x00", "is no TOML"),
        (b"\x00" * 100, "is no TOML"),
        ("x = " + "[" * 100_000, "is no TOML"),
    ],
)
def test_a_wrong_file_is_a_sentence_with_its_path_and_without_its_content(
    tmp_path: Path, content: str | bytes, said: str
) -> None:
    path = written(tmp_path, content)
    with pytest.raises(BadInput) as caught:
        read_file(path)
    text = str(caught.value)
    assert said in text and str(path) in text and text.endswith(".") and text.isprintable()
    assert SECRET not in text and caught.value.__cause__ is None


def test_a_file_that_is_not_there_or_is_a_folder_is_a_sentence(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "gone.toml", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(BadInput) as caught:
            read_file(path)
        assert str(caught.value) == f"The file that RODIN_CONFIG names cannot be read ({path}): {reason}."


def test_a_file_as_notepad_writes_it_and_an_empty_one_are_fine(tmp_path: Path) -> None:
    assert read_file(written(tmp_path, "\ufeffdeadline = 3\r\n"))["deadline"].value == 3.0
    assert read_file(written(tmp_path, "")) == {}


def test_the_tracker_is_told_what_is_set_or_what_is_in_the_way() -> None:
    values: dict[str, object] = {name: field.default for name, field in FIELDS.items()}

    def told(offline: str = "", **changed: object):
        return tracker_settings({**values, **changed}.__getitem__, offline=offline)  # type: ignore[arg-type]

    good = told(api_key="k", shortest_interval=50.0, longest_interval=20.0, deadline=2.0)
    assert good.obstacle is None and good.api_key == Secret("k") and good.address == configuration.SERVICE_ADDRESS
    assert (good.pace.shortest, good.pace.longest, good.pace.deadline) == (50.0, 50.0, 120.0)
    assert not good.connection.proxy and good.connection.ca_file == ""
    behind = told(api_key="k", proxy=" http://me:s3cret@proxy:3128 ", ca_file="/studio/ca.pem").connection
    assert (behind.proxy, behind.ca_file) == (Secret("http://me:s3cret@proxy:3128"), "/studio/ca.pem")
    assert "s3cret" not in repr(behind)
    assert told().obstacle.kind == "no_key"
    assert told(api_key="a b").obstacle.kind == "bad_key"
    assert told(api_key="k", service_address="http://example.com").obstacle.kind == "address"
    assert told("Not allowed.", api_key="k").obstacle.kind == "offline"
    assert told("Not allowed.", api_key="k", service_address="http://127.0.0.1:1/api").obstacle is None


def test_where_things_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RODIN_FOLDER", str(tmp_path / "list"))
    host = plain()
    assert host.list_path == tmp_path / "list" / "tasks.sqlite"
    assert host.downloads == tmp_path / "list" / "downloads"
    monkeypatch.setenv("RODIN_DOWNLOAD_FOLDER", str(tmp_path / "models"))
    assert plain().downloads == tmp_path / "models"
    monkeypatch.setenv("RODIN_DOWNLOAD_FOLDER", "//models")
    with pytest.raises(BadInput, match="lies beside a"):
        _ = plain().downloads
