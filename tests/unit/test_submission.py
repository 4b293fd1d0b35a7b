# SPDX-License-Identifier: GPL-3.0-or-later
"""The paid request: what is refused before it is sent, what its form holds, and what each answer means."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rodin_blender.service import answers
from rodin_blender.service.errors import (
    Aborted,
    BadAnswer,
    BadInput,
    ClientUnavailable,
    NotSent,
    ServiceError,
    Unreachable,
)
from rodin_blender.service.keys import Secret
from rodin_blender.tasks.options import OPTIONS, TIERS
from rodin_blender.tasks.refusals import of_submission
from rodin_blender.tasks.submission import Accepted, Picture, accepted, answer_in, fields, submission, view_labels
from rodin_blender.texts.text import Trouble

KEY = "a.subscription.key"
UUID = "123e4567-e89b-12d3-a456-426614174000"


def refused(prompt: str, picture_count: int = 0, **options: object) -> str:
    with pytest.raises(BadInput) as caught:
        submission(prompt, picture_count, options)
    return str(caught.value)


def form(prompt: str = "a vase", **options: object) -> list[tuple[str, str]]:
    return fields(submission(prompt, 0 if prompt else 1, options))


@pytest.mark.parametrize(
    ("prompt", "picture_count", "options", "words"),
    [
        ("", 0, {}, "Say what you want to make, or add a picture."),
        (" \n", 0, {}, "Say what you want"),
        ("x" * 1025, 0, {}, "1,025 characters"),
        ("a vase", 6, {}, "6 pictures"),
        ("a\0b", 0, {}, "Type it again"),
        ("caf\udce9", 0, {}, "Type it again"),
        ("a vase", 0, {"seed": 70_000}, "Seed must lie between"),
    ],
)
def test_what_cannot_be_sent_is_refused(
    prompt: str, picture_count: int, options: dict[str, object], words: str
) -> None:
    assert words in refused(prompt, picture_count, **options)


def test_the_longest_prompt_and_the_most_pictures_pass() -> None:
    assert submission("陶" * 1024, 5, {}).prompt == "陶" * 1024
    assert submission("  a vase ", 0, {}).prompt == "a vase"


def test_what_is_always_sent() -> None:
    assert form() == [
        ("prompt", "a vase"),
        ("tier", "Gen-2.5-Medium"),
        ("mesh_mode", "Raw"),
        ("geometry_instruct_mode", "faithful"),
    ]
    assert form(tier="Sketch") == [("prompt", "a vase"), ("tier", "Sketch"), ("mesh_mode", "Raw")]


def test_an_empty_prompt_is_left_out() -> None:
    assert "prompt" not in dict(form(""))


def test_all_that_can_be_wished_in_the_service_own_form() -> None:
    assert dict(
        form(
            material="all",
            quality="low",
            faces=30_000,
            mesh_mode="Quad",
            geometry_instruct_mode="creative",
            texture_mode="extreme-high",
            file_format="fbx",
            seed=0,
            symmetry="balanced",
            original_alpha=True,
            t_pose=True,
            hd_texture=True,
            texture_delight=True,
            high_pack=True,
        )
    ) == {
        "prompt": "a vase",
        "tier": "Gen-2.5-Medium",
        "material": "All",
        "quality": "low",
        "quality_override": "30000",
        "mesh_mode": "Quad",
        "geometry_instruct_mode": "creative",
        "texture_mode": "extreme-high",
        "geometry_file_format": "fbx",
        "seed": "0",
        "is_symmetric": "balanced",
        "use_original_alpha": "true",
        "TAPose": "true",
        "hd_texture": "true",
        "texture_delight": "true",
        "addons": '["HighPack"]',
    }
    assert dict(form(tier="Regular", condition_mode="fuse"))["condition_mode"] == "fuse"


def test_every_tier_has_a_form_without_what_it_does_not_take() -> None:
    for tier in TIERS:
        sent = dict(form(tier=tier))
        assert sent["tier"] == tier
        assert ("geometry_instruct_mode" in sent) is tier.startswith("Gen-2.5")
        assert len(sent) <= 4
    assert len({option.field for option in OPTIONS.values()}) == len(OPTIONS)


# Answers.


def answer(**changed: object) -> dict[str, object]:
    return {
        "error": None,
        "uuid": UUID,
        "jobs": {"uuids": ["a", "b"], "subscription_key": KEY},
        "consumed": 0.5,
    } | changed


def test_an_accepted_submission() -> None:
    assert accepted(answer()) == Accepted(UUID, Secret(KEY), ("a", "b"), 0.5)
    assert KEY not in repr(accepted(answer()))


@pytest.mark.parametrize(
    ("consumed", "credits_"),
    [(None, None), (0, 0.0), (2, 2.0), ("0.5", None), (True, None), (-1, None), (1e300, None), (10**400, None)],
)
def test_what_it_cost_where_that_is_told(consumed: object, credits_: float | None) -> None:
    assert accepted(answer(consumed=consumed)).credits == credits_


def test_identifiers_of_another_form_are_kept_for_a_task_was_paid() -> None:
    found = accepted(answer(uuid="task-7", jobs={"subscription_key": UUID}))
    assert (found.task_uuid, found.subscription_key.reveal(), found.job_uuids) == ("task-7", UUID, ())


def test_the_answer_is_found_in_a_log_of_the_users() -> None:
    wanted, other = answer(), answer(jobs={"subscription_key": "eyJ.of.another"}, uuid=UUID.replace("1", "2"))
    assert accepted(json.loads(answer_in(json.dumps(wanted)))).credits == 0.5
    for text in (f"201 {json.dumps(wanted)} in 2 s", json.dumps({"status": 201, "body": wanted}), f"{wanted}"):
        found = accepted(json.loads(answer_in(text)))
        assert (found.task_uuid, found.subscription_key) == (UUID, Secret(KEY))
    for text, words in (
        (f"{json.dumps(wanted)}\n{json.dumps(other)}", "There are 2 answers in it"),
        ('{"subscription_key": "eyJ.of.another"}', "no task uuid"),
        ("", "Nothing was given"),
        ('{"error": "INVALID_REQUEST"}', "nothing was started"),
    ):
        with pytest.raises(BadInput, match=words):
            answer_in(text)


@pytest.mark.parametrize(
    ("changed", "missing"),
    [
        ({"uuid": None}, "no task uuid,"),
        ({"uuid": ""}, "no task uuid,"),
        ({"uuid": "a\nb"}, "no task uuid,"),
        ({"jobs": {}}, "no subscription key,"),
        ({"jobs": None}, "no subscription key,"),
        ({"jobs": {"subscription_key": " "}}, "no subscription key,"),
        ({"jobs": {"subscription_key": "x" * 9000}}, "no subscription key,"),
        ({"uuid": 7, "jobs": []}, "no task uuid and no subscription key,"),
    ],
    ids=str,
)
def test_an_answer_that_cannot_be_followed(changed: dict[str, object], missing: str) -> None:
    with pytest.raises(BadAnswer, match=missing) as caught:
        accepted(answer(**changed))
    # It may have been charged: no refusal.
    assert of_submission(caught.value) is None


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from(["uuid", "jobs", "consumed", "uuids", "subscription_key"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["uuids", "subscription_key"]), inner),
            max_leaves=6,
        ),
    )
)
def test_whatever_the_answer_is_it_is_accepted_or_bad(found: dict[str, object]) -> None:
    try:
        result = accepted(found)
    except BadAnswer:
        return
    assert result.task_uuid
    assert result.subscription_key


# Refusals.


def error_of(http_status: int, body: bytes) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        accepted(answers.read(http_status, body))
    return caught.value


@pytest.mark.parametrize("prefix", ["", "API_"])
@pytest.mark.parametrize(
    ("code", "words", "advice", "again"),
    [
        ("INSUFFICIENT_FUND", "too few credits", "Get credits", False),
        ("INSUFFICIENT_FUNDS", "too few credits", "Get credits", False),
        ("NO_ACTIVE_SUBSCRIPTION", "no active plan", "plan", False),
        ("SUBSCRIPTION_PLAN_TOO_LOW", "does not allow", "plan", False),
        ("INVALID_REQUEST", "this combination: Wrong tier.", "Change an option", False),
        ("PERMISSION_DENIED", "not allowed", "plan", False),
        ("PARALLELISM_LIMIT_REACHED", "running already", "automatically", True),
        ("IMAGE_CONTENT_VIOLATION", "moderation", "other pictures or other words", False),
        ("OBJECT_NOT_FOUND_ON_IMAGE", "no object", "other pictures", False),
        ("IMAGE_LABEL_LENGTH_TOO_LONG", "labels", "support", False),
        ("USER_NOT_FOUND", "API key", "another API key", False),
        ("GROUP_NOT_FOUND", "API key", "another API key", False),
        ("NO_SUCH_TASK", "does not know", "support", False),
        ("UNKNOWN", "does not say why", "support", False),
        ("TEAPOT", "TEAPOT: Wrong tier.", "support", False),
    ],
)
def test_each_refusal_in_plain_words(prefix: str, code: str, words: str, advice: str, again: bool) -> None:
    error = error_of(201, json.dumps({"error": prefix + code, "message": "Wrong tier."}).encode())
    found = of_submission(error)
    assert found is not None
    assert found.trouble.code == code.lower()
    assert words in str(found.trouble.text)
    assert advice in str(found.trouble).removeprefix(str(found.trouble.text))
    assert found.retryable is again
    assert ".." not in str(found.trouble)


@pytest.mark.parametrize(
    ("error", "code", "again"),
    [
        (NotSent("dns", Trouble("unreachable_dns", "The service was not found (DNS).")), "unreachable_dns", True),
        (NotSent("aborted", "It was cancelled."), "not_sent", False),
        (NotSent("picture", "A picture cannot be read."), "not_sent", False),
        (ClientUnavailable("This Python has no requests."), "client", False),
        (error_of(429, b""), "throttled", True),
        (error_of(401, b""), "bad_key", False),
        (error_of(201, b'{"error": "UNAUTHORIZED"}'), "bad_key", False),
        (error_of(403, b"<html>"), "http_403", False),
        (error_of(404, b"<html>"), "http_404", False),
        (error_of(413, b"<html>"), "http_413", False),
        (error_of(302, b""), "http_302", False),
    ],
    ids=repr,
)
def test_what_surely_was_not_taken(error: ServiceError, code: str, again: bool) -> None:
    found = of_submission(error)
    assert found is not None
    assert (found.trouble.code, found.retryable) == (code, again)
    assert found.left is not isinstance(error, (NotSent, ClientUnavailable))
    assert str(found.trouble.text)
    assert found.trouble.actions or not found.left


@pytest.mark.parametrize(
    "error",
    [
        Unreachable("reset", "The connection broke off."),
        Unreachable("timeout", "No answer in time."),
        Aborted(),
        error_of(500, b"<html>"),
        error_of(502, b"<html>"),
        error_of(503, b'{"error": "UNKNOWN"}'),
        error_of(200, b"<html>Welcome to the hotel's network</html>"),
        error_of(200, b""),
        error_of(201, b"[1]"),
        error_of(201, b"{}"),
        error_of(408, b""),
        error_of(499, b""),
    ],
    ids=repr,
)
def test_what_may_have_been_taken_is_no_refusal(error: ServiceError) -> None:
    assert of_submission(error) is None


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["Chair Front.png", "Chair Right.png", "Chair Back.png", "Chair Left.png"], ["F", "R", "B", "L"]),
        (["1/chair back.jpg", "2/Front.webp"], ["B", "F"]),
        (["Chair Front.png"], []),
        (["Chair Front.png", "Chair.png"], []),
        (["Chair Front.png", "Table Front.png"], []),
        (["feedback.png", "Chair Front.png"], []),
        ([], []),
    ],
)
def test_pictures_that_are_all_named_for_another_side_are_labeled(names: list[str], labels: list[str]) -> None:
    assert view_labels(names, "Gen-2.5-Medium") == labels
    assert view_labels(names, "Gen-2") == [], "only the newest generation takes labels"
    wanted = replace(submission("", 1, {}), pictures=tuple(Picture(name, "image/png") for name in names))
    assert dict(fields(wanted)).get("image_label") == (json.dumps(labels) if labels else None)
