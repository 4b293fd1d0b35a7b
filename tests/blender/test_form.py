"""What the form says at once, and what Again brings back."""

from __future__ import annotations

import time
from pathlib import Path, PurePath

import bpy
import pytest
from conftest import Rodin, Service
from test_generate import form, png, status

__all__ = ["form"]


def test_a_picture_that_is_too_small_is_told_when_it_is_added(rodin: Rodin, form, tmp_path: Path) -> None:
    good, small = png(tmp_path / "good.png"), png(tmp_path / "small.png", side=100)
    form.prompt = "A vase"
    bpy.ops.rodin.add_pictures(directory=str(tmp_path), files=[{"name": "good.png"}, {"name": "small.png"}])
    shown = rodin.module("blender.properties.form")
    rodin.until(lambda: shown.fault_of(str(small)), "it was looked at")
    say = rodin.module("blender.voice").say
    assert "'small.png' is too small" in say(shown.fault_of(str(small))) and shown.fault_of(str(good)) is None
    assert "'small.png' is too small" in say(shown.trouble()), "the button says why it cannot be pressed"
    assert any("'small.png' is too small" in told.text for told in rodin.session.news.entries)
    bpy.ops.rodin.remove_picture(index=1)
    assert shown.trouble() is None


@pytest.mark.parametrize("name", ["faces", "seed"])
def test_a_number_that_is_left_to_the_service_reads_automatic(rodin: Rodin, form, name: str) -> None:
    automatic = f"{name}_automatic"
    assert getattr(form, automatic)
    setattr(form, automatic, False)
    assert not getattr(form, automatic) and getattr(form, name) >= 0
    rodin.module("tasks.options").checked(rodin.module("blender.properties.form").all_chosen())
    setattr(form, automatic, True)
    assert getattr(form, automatic)
    assert not hasattr(form, "tier_automatic")


def test_again_brings_pictures_back_by_their_names(
    rodin: Rodin, service: Service, form, tmp_path: Path
) -> None:
    form.images.add().path = str(png(tmp_path / "vase from the front.png"))
    bpy.ops.rodin.generate()
    task_id = status(rodin, "DONE")
    assert rodin.item(task_id).name == "vase from the front"
    assert [picture["name"] for picture in service.submissions()[-1]["pictures"]] == ["1.png"]
    bpy.ops.rodin.again(task_id=task_id)
    assert [PurePath(item.path).name for item in form.images] == ["vase from the front.png"]


def test_a_variable_that_a_script_sets_is_drawn_while_the_timer_rests(
    rodin: Rodin, monkeypatch: pytest.MonkeyPatch
) -> None:
    rodin.until_idle()
    monkeypatch.setenv("RODIN_IMPORT_HEIGHT", "5")
    time.sleep(1.1)
    with rodin.app.settings.drawing():
        assert rodin.app.settings.value("import_height") == 5.0


def test_what_is_drawn_follows_each_place_that_a_setting_comes_from(
    rodin: Rodin, form, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, name = rodin.app.settings, "import_height"

    def drawn() -> object:
        with settings.drawing():
            return settings.value(name)

    def code() -> str:
        with settings.drawing():
            blocker = rodin.app.blocker()
        return blocker.code if blocker else ""

    def look() -> None:
        rodin.app.settings_read_at = float("-inf")
        rodin.module("blender.timer").run()

    rodin.until(lambda: not code(), "the API key is read")
    assert drawn() == 0.0
    rodin.preferences.import_height = 2.0
    assert drawn() == 2.0, "what is set in the preferences is drawn at once"
    rodin.preferences.property_unset(name)
    assert drawn() == 0.0
    settings.set_value(name, 2.5)
    assert drawn() == 2.5
    rodin.preferences.service_address = "nonsense"
    monkeypatch.delenv("RODIN_API_URL")
    look()
    assert code() == "address"
    rodin.preferences.property_unset("service_address")
    monkeypatch.setenv("RODIN_API_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("RODIN_IMPORT_HEIGHT", "3")
    look()
    rodin.until(lambda: code() == "", "the API key is read")
    assert drawn() == 3.0
    monkeypatch.setenv("RODIN_IMPORT_HEIGHT", "tall")
    look()
    assert (drawn(), code()) == (2.5, "settings"), "a wrong one is passed over, and told"
    monkeypatch.delenv("RODIN_IMPORT_HEIGHT")
    look()
    rodin.until(lambda: code() == "", "the tracker has told that nothing is in the way any more")
    assert (drawn(), code()) == (2.5, "")
    (tmp_path / "studio.toml").write_text("import_height = 4.0\n")
    monkeypatch.setenv("RODIN_CONFIG", str(tmp_path / "studio.toml"))
    look()
    rodin.until(lambda: drawn() == 4.0, "the studio's file is read")
    monkeypatch.delenv("RODIN_CONFIG")
    look()
    rodin.until(lambda: drawn() == 2.5, "nothing names it any more")
    rodin.preferences.property_unset(name)
