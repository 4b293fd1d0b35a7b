# SPDX-License-Identifier: GPL-3.0-or-later
"""A second kind of generation is a row below the front ends: a real tracker has it made and followed to its end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rodin_blender.service.errors import BadInput
from rodin_blender.storage.outbox import Outbox, State
from rodin_blender.tasks.generation_request import GenerationRequest
from rodin_blender.tasks.kinds import KINDS, Kind
from rodin_blender.tasks.options import Option, checked
from rodin_blender.tasks.schedule import pace_kind
from rodin_blender.tasks.submission import submission
from rodin_blender.tasks.task import Status
from rodin_blender.tracking.messages import BalanceReceived
from tests.unit import test_submitting
from tests.unit.pictures import png_file
from tests.unit.test_submitting import PLACE, Generating, stored
from tests.unit.watching import wait_until
from tools.simulator import Simulator

simulator, folder, begin = test_submitting.simulator, test_submitting.folder, test_submitting.begin

Begin = Callable[..., Generating]
UUID = "123e4567-e89b-12d3-a456-426614174000"


@pytest.fixture
def splitting(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Kind:
    asset = Option("asset", "asset_id", "Model", "The model that is split into parts", "")
    kind = Kind("split", "/bang", {"asset": asset}, lambda _options: 1.5, max_pictures=2, takes_box=False)
    monkeypatch.setitem(KINDS, kind.name, kind)
    simulator.other_calls["bang"] = 1.5
    return kind


def wish(kind: Kind, *pictures: Path) -> GenerationRequest:
    return GenerationRequest("0a1b2c3d", "", pictures, checked({"asset": UUID}, kind.options), "Vase", PLACE, kind=kind)


def test_it_is_paid_at_its_own_path_with_its_own_options_and_followed(
    begin: Begin, simulator: Simulator, folder: Path, tmp_path: Path, splitting: Kind
) -> None:
    watched = begin()
    pictures = png_file(tmp_path / "Vase front.png"), png_file(tmp_path / "Vase back.png", seed=2)
    watched.tracker.generate(wish(splitting, *pictures))
    done = watched.until("0a1b2c3d", Status.DONE)
    (sent,) = simulator.submissions
    assert (sent.call, sent.fields, len(sent.pictures)) == ("bang", [("asset_id", UUID)], 2), "neither tier nor box nor labels"
    assert simulator.asked("rodin") == [] and watched.of(BalanceReceived)[-1].credits == 11.0
    assert (done.kind, done.price, done.credits, done.options) == ("split", 1.5, 1.5, {"asset": UUID})
    assert stored(folder)["0a1b2c3d"] == done and pace_kind(done).startswith("split ")


def test_its_name_in_the_outbox_is_all_that_another_program_needs_to_send_it(
    begin: Begin, simulator: Simulator, folder: Path, splitting: Kind
) -> None:
    Outbox(folder / "outbox").add(wish(splitting))
    assert json.loads((folder / "outbox" / "0a1b2c3d" / "request.json").read_bytes())["kind"] == "split"
    watched = begin()
    watched.until("0a1b2c3d", Status.UNSENT)
    watched.tracker.send_now("0a1b2c3d")
    assert watched.until("0a1b2c3d", Status.DONE).kind == "split"
    assert [sent.call for sent in simulator.submissions] == ["bang"]


def test_where_its_answer_is_lost_it_is_uncertain_and_sent_again_as_what_it_is(
    begin: Begin, simulator: Simulator, splitting: Kind
) -> None:
    simulator.fail("bang", "taken-and-closed")
    watched = begin()
    watched.tracker.generate(wish(splitting))
    watched.until("0a1b2c3d", Status.UNCERTAIN)
    watched.tracker.send_again("0a1b2c3d", "4e5f6a7b")
    assert watched.until("4e5f6a7b", Status.DONE).kind == "split"
    assert [sent.call for sent in simulator.submissions] == ["bang", "bang"]


def test_a_program_that_does_not_know_the_kind_sends_nothing(
    begin: Begin, simulator: Simulator, folder: Path, splitting: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    Outbox(folder / "outbox").add(wish(splitting))
    monkeypatch.delitem(KINDS, "split")
    watched = begin()
    watched.until("0a1b2c3d", Status.UNSENT)
    watched.tracker.send_now("0a1b2c3d")
    watched.until("0a1b2c3d", Status.SENDING)
    assert "is damaged" in watched.until("0a1b2c3d", Status.UNSENT).message
    wait_until(lambda: watched.outbox.state("0a1b2c3d") is State.UNSENT)
    assert simulator.submissions == []


def test_its_own_table_says_what_it_takes(splitting: Kind) -> None:
    assert submission("a vase", 2, {"asset": UUID}, splitting).options == {"asset": UUID}
    with pytest.raises(BadInput, match="3 pictures"):
        submission("a vase", 3, {}, splitting)
    with pytest.raises(BadInput, match="The options are asset"):
        submission("a vase", 0, {"tier": "Gen-2"}, splitting)
