# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated service is as strict with a submission as the real one, and counts what arrives."""

from __future__ import annotations

import hashlib
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import trimesh

from tests.unit.pictures import png
from tools.simulator import API_KEY, Simulator
from tools.simulator.generation_faults import REFUSALS

FORM = {"prompt": "a vase", "tier": "Gen-2.5-Medium", "mesh_mode": "Raw", "geometry_instruct_mode": "faithful"}
FILES = {"base.glb": b"glTF"}
KEY = {"Authorization": f"Bearer {API_KEY}"}


@pytest.fixture
def service() -> Iterator[Simulator]:
    with Simulator(speed=10) as running:
        running.result_files = FILES
        yield running


def submit(
    service: Simulator, form: dict[str, Any] = FORM, *pictures: tuple[str, bytes, str], headers: dict[str, str] = KEY
) -> requests.Response:
    parts: list[tuple[str, Any]] = [
        *((name, (None, text)) for name, text in form.items()),
        *(("images", picture) for picture in pictures),
    ]
    return requests.post(f"{service.url}/rodin", files=parts, headers=headers, timeout=10)


def refused(service: Simulator, form: dict[str, Any], *pictures: tuple[str, bytes, str]) -> str:
    answer = submit(service, form, *pictures)
    assert answer.status_code == 201
    said = answer.json()
    assert "uuid" not in said
    assert service.balance == 12.5
    return f"{said['error']}: {said['message']}"


def test_a_generated_task_is_followed_as_any_other(service: Simulator) -> None:
    answer = submit(service).json()
    assert answer["consumed"] == 0.5
    assert service.balance == 12.0
    body = {"subscription_key": answer["jobs"]["subscription_key"]}
    jobs = requests.post(f"{service.url}/status", json=body, headers=KEY, timeout=5).json()["jobs"]
    assert [job["uuid"] for job in jobs] == answer["jobs"]["uuids"]
    listed = requests.post(f"{service.url}/download", json={"task_uuid": answer["uuid"]}, headers=KEY, timeout=5).json()
    assert requests.get(listed["list"][0]["url"], timeout=5).content == b"glTF"


def test_what_was_submitted_is_listed(service: Simulator) -> None:
    picture = png(512, 512)
    answer = submit(service, FORM | {"addons": '["HighPack"]'}, ("vase.png", picture, "image/png")).json()
    (sent,) = requests.get(f"{service.root}/simulator/submissions", timeout=5).json()["submissions"]
    assert sent["pictures"] == [
        {
            "name": "vase.png",
            "kind": "image/png",
            "size": len(picture),
            "sha256": hashlib.sha256(picture).hexdigest(),
        }
    ]
    assert dict(sent["fields"]) == FORM | {"addons": '["HighPack"]'}
    assert (sent["prompt"], sent["tier"], sent["price"]) == ("a vase", "Gen-2.5-Medium", 1.5)
    assert (sent["outcome"], sent["task_uuid"]) == ("", answer["uuid"])
    assert abs(sent["at"] - time.time()) < 30


def test_without_a_key_or_with_another_nothing_is_started(service: Simulator) -> None:
    for headers in ({}, {"Authorization": "Bearer another"}):
        assert submit(service, headers=headers).status_code == 401
    assert service.submissions == []


def test_what_is_no_multipart_is_an_outage(service: Simulator) -> None:
    for body in (
        {"data": FORM},
        {"json": FORM},
        {"data": b"--x\r\n", "headers": {"Content-Type": "multipart/form-data"}},
    ):
        found = requests.post(
            f"{service.url}/rodin", timeout=5, **{**body, "headers": {**KEY, **body.get("headers", {})}}
        )
        assert found.status_code == 500
    assert service.submissions == []


@pytest.mark.parametrize("field", ["addons", "bbox_condition", "image_label"])
def test_a_bare_list_is_an_outage(service: Simulator, field: str) -> None:
    assert submit(service, FORM | {field: "HighPack"}).status_code == 500
    assert service.submissions == []


def test_without_a_tier_the_old_generation_answers(service: Simulator) -> None:
    assert submit(service, {"prompt": "a vase"}).json()["consumed"] == 0.5
    assert service.submissions[0].tier == "Regular"


PICTURE = ("vase.png", png(512, 512), "image/png")


@pytest.mark.parametrize(
    ("form", "pictures", "words"),
    [
        ({}, [], "A prompt or an image is required"),
        (FORM | {"prompt": ""}, [PICTURE], "1 to 1024"),
        (FORM | {"prompt": "x" * 1025}, [], "1 to 1024"),
        (FORM, [PICTURE] * 6, "5 images"),
        (FORM, [("vase.txt", b"What?", "text/plain")], "no jpg"),
        (FORM, [("vase.png", b"What?", "image/png")], "no jpg"),
        (FORM | {"tier": "Gen-3"}, [], "no tier"),
        (FORM | {"tier": "Sketch", "geometry_instruct_mode": "faithful"}, [], "does not take"),
        (FORM | {"seed": "70000"}, [], "seed"),
        (FORM | {"seed": "-1"}, [], "seed"),
        (FORM | {"TAPose": "True"}, [], "TAPose"),
        (FORM | {"quality_override": "5000"}, [], "quality_override"),
        (FORM | {"polish": "1"}, [], "not known"),
        (FORM | {"image_label": '["F", "B"]'}, [PICTURE], "image_label"),
        (FORM | {"image_label": '["Front"]'}, [PICTURE], "image_label"),
        (FORM | {"bbox_condition": "[1, 2]"}, [], "bbox_condition"),
        (FORM | {"bbox_condition": "[1, 2, 0]"}, [], "bbox_condition"),
        (FORM | {"bbox_condition": "[1, 2, 2049]"}, [], "bbox_condition"),
        (FORM | {"bbox_condition": "[1, 2, 1.5]"}, [], "bbox_condition"),
        ({"prompt": "x", "tier": "Sketch", "geometry_file_format": "usdz"}, [], "glb"),
        ({"prompt": "x", "tier": "Regular", "addons": '["HighPack"]'}, [], "no addons"),
    ],
)
def test_what_it_does_not_take(
    service: Simulator, form: dict[str, Any], pictures: list[tuple[str, bytes, str]], words: str
) -> None:
    told = refused(service, form or {"": ""}, *pictures) if form else refused(service, {"tier": "Gen-2"}, *pictures)
    assert told.startswith("INVALID_REQUEST")
    assert words in told


def test_a_model_has_the_proportions_that_were_asked_for_but_for_some_percent(service: Simulator) -> None:
    service.result_files = None
    uuid = submit(service, FORM | {"bbox_condition": "[50, 100, 20]"}).json()["uuid"]
    listed = requests.post(f"{service.url}/download", json={"task_uuid": uuid}, headers=KEY, timeout=5).json()["list"]
    content = requests.get(listed[0]["url"], timeout=5).content
    sides = trimesh.load(io.BytesIO(content), file_type="glb").extents
    assert list(sides / max(sides)) == pytest.approx([0.5, 1.0, 0.2], rel=0.05)
    assert list(sides / max(sides)) != pytest.approx([0.5, 1.0, 0.2], rel=0.005), "the real service's are not exact"


def test_the_account_runs_empty(service: Simulator) -> None:
    service.balance = 1.2
    assert "uuid" in submit(service).json()
    assert "uuid" in submit(service).json()
    assert submit(service).json()["error"] == "INSUFFICIENT_FUND"
    assert service.balance == pytest.approx(0.2)
    assert [sent.outcome for sent in service.submissions] == ["", "", "INSUFFICIENT_FUND"]
    assert requests.get(f"{service.url}/check_balance", headers=KEY, timeout=5).json()["balance"] == pytest.approx(0.2)


def test_only_so_many_run_at_once(service: Simulator) -> None:
    requests.post(
        f"{service.root}/simulator/account",
        json={"parallel": 1, "story": [[[0, "Generating"], [2, "Done"]]]},
        timeout=5,
    )
    assert "uuid" in submit(service).json()
    assert submit(service).json()["error"] == "PARALLELISM_LIMIT_REACHED"
    time.sleep(0.25)
    assert "uuid" in submit(service).json()


def test_several_at_once_are_all_counted(service: Simulator) -> None:
    threads = [threading.Thread(target=submit, args=(service,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(service.submissions) == 8
    assert service.balance == 12.5 - 8 * 0.5


# Faults.


@pytest.mark.parametrize("code", REFUSALS)
def test_it_refuses_with_each_code(service: Simulator, code: str) -> None:
    service.fail("rodin", f"refused-{code.lower().replace('_', '-')}")
    assert refused(service, FORM).startswith(f"{code}: ")
    assert service.submissions == []
    assert "uuid" in submit(service).json()


@pytest.mark.parametrize(
    ("fault", "taken"),
    [
        ("closed-before-upload", False),
        ("closed-in-upload", False),
        ("closed-after-upload", False),
        ("taken-and-closed", True),
        ("taken-and-reset", True),
        ("answer-cut", True),
    ],
)
def test_a_connection_that_ends(service: Simulator, fault: str, taken: bool) -> None:
    service.fail("rodin", fault)
    with pytest.raises(requests.RequestException):
        submit(service, FORM, ("vase.png", png(512, 512, 4_000_000), "image/png"))
    assert len(service.submissions) == taken
    assert service.balance == (12.0 if taken else 12.5)


@pytest.mark.parametrize(
    ("fault", "taken", "http_status", "words"),
    [
        ("answer-without-key", True, 201, '"uuid"'),
        ("answer-without-uuid", True, 201, "subscription_key"),
        ("answer-without-consumed", True, 201, '"uuid"'),
        ("taken-and-html", True, 200, "<html>"),
        ("taken-and-502", True, 502, "<html>"),
        ("html", False, 200, "<html>"),
        ("429-seconds", False, 429, "slow down"),
        ("401", False, 401, "UNAUTHORIZED"),
        ("413-before-upload", False, 413, "<html>"),
    ],
)
def test_an_answer_that_is_none(service: Simulator, fault: str, taken: bool, http_status: int, words: str) -> None:
    service.fail("rodin", fault)
    found = submit(service, FORM, PICTURE)
    assert (found.status_code, len(service.submissions)) == (http_status, taken)
    assert words in found.text
    if fault.startswith("answer-without-"):
        assert fault.rpartition("-")[2].replace("key", "subscription_key") not in {*found.json(), *found.json()["jobs"]}


@pytest.mark.parametrize(("fault", "taken"), [("taken-and-hung", True), ("hung-after-upload", False)])
def test_a_service_that_hangs_after_the_upload(service: Simulator, fault: str, taken: bool) -> None:
    service.fail("rodin", fault)
    with pytest.raises(requests.ReadTimeout):
        requests.post(f"{service.url}/rodin", files={n: (None, t) for n, t in FORM.items()}, headers=KEY, timeout=0.5)
    assert len(service.submissions) == taken


def test_a_slow_line(service: Simulator) -> None:
    service.upload_rate = 4_000_000
    begun = time.monotonic()
    submit(service, FORM, ("vase.png", png(512, 512, 2_000_000), "image/png"))
    assert time.monotonic() - begun > 0.4
    assert json.dumps(service.submissions[0].pictures)


@pytest.mark.parametrize("share", [0.3, 0.999])
def test_half_an_upload_is_no_submission(service: Simulator, share: float) -> None:
    picture = ("images", ("vase.png", png(512, 512, 300_000), "image/png"))
    parts = [*((name, (None, text)) for name, text in FORM.items()), picture]
    request = requests.Request("POST", f"{service.url}/rodin", files=parts, headers=KEY).prepare()
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    with socket.create_connection(("127.0.0.1", service.port), 5) as line:
        line.sendall(f"POST /api/v2/rodin HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode())
        assert isinstance(request.body, bytes)
        line.sendall(request.body[: int(len(request.body) * share)])
        line.shutdown(socket.SHUT_WR)
        assert b"201" not in line.recv(65_536)
    assert service.submissions == []
    assert service.balance == 12.5
