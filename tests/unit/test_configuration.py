# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings: the environment before the studio's file before what the user set, and a sentence for each wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from rodin_blender import configuration
from rodin_blender.command_line.host import plain
from rodin_blender.configuration import (
    FIELDS,
    Setting,
    fixed,
    key_source,
    path_of,
    read_files,
    studio,
    tracker_settings,
    wrong_in_environment,
)
from rodin_blender.service.errors import BadInput
from rodin_blender.service.keys import Secret
from rodin_blender.storage import folders
from rodin_blender.texts.text import Trouble
from tests.unit.shell import Shell, shell

__all__ = ["shell"]

NOT_ALLOWED = Trouble("offline", "Not allowed.")
SECRET = "rk-9f8e7d6c5b4a-very-secret"


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(studio, "system_file", lambda: tmp_path / "etc" / "config.toml")
    for field in FIELDS.values():
        for variable in (*field.variables, configuration.FILE_VARIABLE, folders.FOLDER_VARIABLE):
            monkeypatch.delenv(variable, raising=False)


def written(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "studio.toml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(tmp_path: Path, content: str | bytes) -> dict[str, Setting]:
    """What a studio's file says that RODIN_CONFIG names."""
    return read_files(str(written(tmp_path, content)))


def of_system(tmp_path: Path, content: str) -> Path:
    """The file at the system's place."""
    path = studio.system_file()
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
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
    file = read(tmp_path, 'shortest_interval = 7\ndownload_when_done = true\napi_key = "of-file"')
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
    assert str(Setting(1.0, "$RODIN_DEADLINE").origin) == "the environment variable RODIN_DEADLINE"
    assert str(Setting(1.0, "/studio/rodin.toml").origin) == "/studio/rodin.toml"


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
        ("RODIN_IMPORT_LOCATION", SECRET, "something else than one of these: CURSOR, ORIGIN"),
        ("RODIN_IMPORT_LOCATION", "cursor", "something else than one of these: CURSOR, ORIGIN"),
        ("RODIN_IMPORT_AS_ASSET", "maybe", "neither true nor false"),
        ("RODIN_DOWNLOAD_WHEN_DONE", SECRET, "neither true nor false"),
    ],
)
def test_a_wrong_variable_is_named_and_not_quoted(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, said: str
) -> None:
    monkeypatch.setenv(variable, text)
    trouble = str(wrong_in_environment({}))
    assert trouble.startswith(f"The environment variable {variable} holds ") and said in trouble
    assert SECRET not in trouble
    blocker = plain().settings.blocker
    assert blocker and (blocker.code, str(blocker)) == ("settings", trouble)


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
        ('import_location = "HERE"', "sets import_location to something else than one of these: CURSOR, ORIGIN."),
        ("[api_key]\nx = 1", "sets api_key to a table with 'x'; linux, macos, windows are the names that count."),
        ('download_folder = "models"', "models is no whole path: write one such as /show/rodin or ~/rodin"),
        ("download_folder = 'P:/show'", "P:/show is no whole path"),
        ('download_folder = "//server/share/rodin"', "which only Windows has: write //./server/share/rodin for"),
        ('ca_file = "${SHOW/ca.pem"', "no variable: write ${NAME}"),
        ("[download_folder]\nlinux = 3", "sets download_folder to something that is no text."),
        ("locked = 1", "sets locked to something that is neither true nor a list of names of settings."),
        ('locked = ["deadline"]', "locks 'deadline', which it does not set."),
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
        read_files(str(path))
    text = str(caught.value)
    assert said in text and str(path) in text and text.endswith(".") and text.isprintable()
    assert SECRET not in text and caught.value.__cause__ is None


def test_a_file_that_is_not_there_or_is_a_folder_is_a_sentence(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "gone.toml", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(BadInput) as caught:
            read_files(str(path))
        assert str(caught.value) == f"The file that RODIN_CONFIG names cannot be read ({path}): {reason}."


def test_a_file_as_notepad_writes_it_and_an_empty_one_are_fine(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufeffdeadline = 3\r\n")["deadline"].value == 3.0
    assert read(tmp_path, "") == {}


def test_the_tracker_is_told_what_is_set_or_what_is_in_the_way() -> None:
    values: dict[str, object] = {name: field.default for name, field in FIELDS.items()}

    def told(offline: Trouble | None = None, **changed: object):
        found = {name: Setting(value, "preferences", fixed=False) for name, value in {**values, **changed}.items()}  # type: ignore[arg-type]
        return tracker_settings(found.__getitem__, None, offline=offline)

    good = told(api_key="k", shortest_interval=50.0, longest_interval=20.0, deadline=2.0)
    assert good.blocker is None and good.api_key == Secret("k") and good.address == configuration.SERVICE_ADDRESS
    assert (good.pace.shortest, good.pace.longest, good.pace.deadline) == (50.0, 50.0, 120.0)
    assert not good.connection.proxy and good.connection.ca_file == ""
    behind = told(api_key="k", proxy=" http://me:s3cret@proxy:3128 ", ca_file="/studio/ca.pem").connection
    assert (behind.proxy, behind.ca_file) == (Secret("http://me:s3cret@proxy:3128"), "/studio/ca.pem")
    assert "s3cret" not in repr(behind)
    assert told().blocker.code == "no_key"
    assert told(api_key="a b").blocker.code == "bad_key"
    assert told(api_key="k", service_address="http://example.com").blocker.code == "address"
    assert told(NOT_ALLOWED, api_key="k").blocker.code == "offline"
    assert told(NOT_ALLOWED, api_key="k", service_address="http://127.0.0.1:1/api").blocker is None


def test_where_things_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RODIN_FOLDER", str(tmp_path / "list"))
    host = plain()
    assert host.list_path == tmp_path / "list" / "tasks.sqlite"
    assert host.downloads == tmp_path / "list" / "downloads"
    monkeypatch.setenv("RODIN_DOWNLOAD_FOLDER", str(tmp_path / "models"))
    assert plain().downloads == tmp_path / "models"
    monkeypatch.setenv("RODIN_DOWNLOAD_FOLDER", "//models")
    with pytest.raises(BadInput, match=r"lies beside a \.blend file, and here is none\. Give another one by --to DIR"):
        _ = plain().downloads
    monkeypatch.setenv("RODIN_DOWNLOAD_FOLDER", "$SHOW/rodin")
    with pytest.raises(BadInput, match=r"\$SHOW/rodin names the variable SHOW, which is not set"):
        _ = plain().downloads
    monkeypatch.setenv("SHOW", "/show/one")
    assert plain().downloads == Path("/show/one/rodin")


# Files that lock, and the one of the whole system.


def test_what_a_file_locks_the_environment_does_not_change(tmp_path: Path) -> None:
    file = read(tmp_path, 'locked = ["deadline", "proxy"]\ndeadline = 7\nproxy = "http://p:1"\nlongest_interval = 9')
    environment = {"RODIN_DEADLINE": "9", "RODIN_PROXY": "http://mine:1", "RODIN_LONGEST_INTERVAL": "20"}
    source = str(tmp_path / "studio.toml")
    assert fixed("deadline", file, environment) == Setting(7.0, source, locked=True)
    assert fixed("proxy", file, environment) == Setting("http://p:1", source, locked=True)
    assert fixed("longest_interval", file, environment) == Setting(20.0, "$RODIN_LONGEST_INTERVAL")
    assert all(setting.locked for setting in read(tmp_path, "locked = true\ndeadline = 7\nimport_height = 1").values())
    assert not any(setting.locked for setting in read(tmp_path, "locked = false\ndeadline = 7").values())


def test_what_is_wrong_in_a_variable_that_does_not_count_is_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RODIN_DEADLINE", "never")
    assert wrong_in_environment(read(tmp_path, "deadline = 7"))
    assert not wrong_in_environment(read(tmp_path, "locked = true\ndeadline = 7"))


def test_a_locked_key_goes_before_all_others(tmp_path: Path) -> None:
    kept, command = Setting("kept", "file", fixed=False), Setting("ask", "preferences", fixed=False)
    environment = {"RODIN_API_KEY": "mine"}
    file = read(tmp_path, 'locked = ["api_key_command"]\napi_key_command = "vault"\napi_key = "of-file"')
    assert key_source(file, kept, command, environment)[1].value == "vault"
    file = read(tmp_path, 'api_key_command = "vault"')
    assert key_source(file, kept, command, environment)[1].value == "mine"


def test_the_file_of_the_system_locks_what_the_named_one_says_otherwise(tmp_path: Path) -> None:
    path = of_system(tmp_path, 'locked = ["deadline"]\ndeadline = 7\nimport_height = 1.0\nlongest_interval = 40')
    assert read_files("")["import_height"] == Setting(1.0, str(path))
    file = read(tmp_path, "locked = true\ndeadline = 9\nimport_height = 2.0")
    assert file["deadline"] == Setting(7.0, str(path), locked=True)
    assert file["import_height"] == Setting(2.0, str(tmp_path / "studio.toml"), locked=True)
    assert file["longest_interval"] == Setting(40.0, str(path))


def test_a_file_of_the_system_that_is_wrong_or_cannot_be_read_unlocks_nothing(tmp_path: Path) -> None:
    path = of_system(tmp_path, "deadline = ")
    with pytest.raises(BadInput, match=r"^The studio's file of settings is no TOML"):
        read_files("")
    path.unlink()
    path.mkdir()
    with pytest.raises(BadInput, match=r"^The studio's file of settings cannot be read"):
        read_files("")


def test_a_value_for_each_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = "deadline = {linux = 3, windows = 4}\n[download_folder]\nlinux = '/show'\nmacos = '/Volumes/show'\nwindows = 'P:/show'"
    file = read(tmp_path, content)
    assert (file["download_folder"].value, file["deadline"].value) == ("/show", 3.0)
    monkeypatch.setattr("rodin_blender.storage.paths.SYSTEM", "macos")
    file = read(tmp_path, content)
    assert file["download_folder"].value == "/Volumes/show"
    assert "deadline" not in file, "what it does not set for this system is the user's"


def test_doctor_tells_what_is_locked_and_what_does_not_count_for_it(shell: Shell, tmp_path: Path) -> None:
    studio_file = written(tmp_path, "locked = true\ndeadline = 7\ndownload_folder = '$SHOW/rodin'")
    ran = shell.json("doctor", RODIN_CONFIG=str(studio_file), RODIN_DEADLINE="9")
    settings = ran.event["settings"]
    assert settings["deadline"] == {
        "value": 7.0, "source": str(studio_file), "locked": True, "ignored": "$RODIN_DEADLINE",
    }  # fmt: skip
    assert settings["longest_interval"]["locked"] is False
    assert settings["download_folder"] == {"trouble": "$SHOW/rodin names the variable SHOW, which is not set."}
    told = shell.run("doctor", RODIN_CONFIG=str(studio_file), RODIN_DEADLINE="9").out
    assert f"settings: deadline = 7.0 (from {studio_file}, locked, so $RODIN_DEADLINE does not count)\n" in told


def test_a_path_of_the_preferences_and_one_of_a_file_differ_in_what_two_slashes_mean() -> None:
    beside = Path("/show/shot")
    assert path_of(Setting("//a/b", "preferences", fixed=False), beside) == Path("/show/shot/a/b")
    assert path_of(Setting("", "default", fixed=False), beside) is None
    with pytest.raises(BadInput, match="network share"):
        path_of(Setting("//a/b", "$RODIN_DOWNLOAD_FOLDER"), beside)


@pytest.mark.parametrize("field", configuration.FIELDS.values(), ids=lambda field: field.name)
def test_each_setting_says_what_it_is(field: configuration.Field) -> None:
    assert field.label and field.description
    assert not field.description.endswith("."), "Blender ends it with one"
    assert not field.choice_labels or len(field.choice_labels) == len(field.choices)
