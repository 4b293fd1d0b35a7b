# SPDX-License-Identifier: GPL-3.0-or-later
"""The one paid call, POST /rodin: what is sent, what its answer means, and what a refusal is called. Pure functions.

A submission is sent once. Whether it may be sent again is said by `refusal`: only where the service surely has not
taken it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..service import keys, pasted
from ..service.errors import (
    BadAnswer,
    BadInput,
    ClientUnavailable,
    NotAuthorized,
    NotSent,
    Refused,
    ServiceError,
    Throttled,
)
from ..service.keys import LONGEST_KEY, Secret
from .options import OPTIONS, Value, checked

LONGEST_PROMPT = 1024
"""Characters."""
LONGEST_PROMPT_TOLD = 60
"""Characters of the prompt of an answer, which may have been shortened to a name."""
MOST_PICTURES = 5


@dataclass(frozen=True)
class Picture:
    """A picture of a submission: its file's name as the user knows it, and its content type, of `check_picture`."""

    name: str
    kind: str


@dataclass(frozen=True)
class Submission:
    """What is asked for. `options` are such as `checked` returns. The first picture decides the material."""

    prompt: str
    options: Mapping[str, Value]
    pictures: tuple[Picture, ...] = ()
    proportions: tuple[int, int, int] | None = None
    """See `task.Box.proportions`."""


@dataclass(frozen=True)
class Accepted:
    """What the service promises. `credits` is what it took, None where it does not say."""

    task_uuid: str
    subscription_key: Secret
    job_uuids: tuple[str, ...]
    credits: float | None


@dataclass(frozen=True)
class Refusal:
    """Why a submission came to nothing, and surely cost nothing. `advice` says what to do now.

    `code` is for scripts: the service's own word, HTTP_ and a number, or NOT_SENT. `again_by_itself` says that sending
    the same again later may succeed without anybody's doing.
    """

    code: str
    text: str
    advice: str
    again_by_itself: bool = False


def submission(prompt: str, picture_count: int, options: Mapping[str, Any]) -> Submission:
    """A submission whose pictures are still to be checked and added. Raises BadInput with what to change."""
    prompt = prompt.strip()
    if not prompt and not picture_count:
        raise BadInput("Say what you want to make, or add a picture.")
    if len(prompt) > LONGEST_PROMPT:
        raise BadInput(
            f"The text has {len(prompt):,} characters, and the service takes {LONGEST_PROMPT:,} at most. Shorten it."
        )
    if "\0" in prompt or any("\ud800" <= character <= "\udfff" for character in prompt):
        raise BadInput("The text holds characters that are no text. Type it again.")
    if picture_count > MOST_PICTURES:
        raise BadInput(
            f"There are {picture_count} pictures, and the service takes {MOST_PICTURES} at most. Remove some."
        )
    return Submission(prompt, checked(options))


def fields(wanted: Submission) -> list[tuple[str, str]]:
    """The form's text fields, in a stable order. Without a prompt there is no such field: an empty one is refused."""
    form = [("prompt", wanted.prompt)] if wanted.prompt else []
    tier, mesh_mode = str(wanted.options["tier"]), str(wanted.options["mesh_mode"])
    for option in OPTIONS.values():
        value = wanted.options[option.name]
        if option.takes(tier, mesh_mode) and (option.always_sent or value != option.default):
            form.append((option.field, _form_text(option.name, value)))
    if wanted.proportions:
        form.append(("bbox_condition", json.dumps(wanted.proportions)))
    return form


def accepted(answer: Mapping[str, Any]) -> Accepted:
    """What an answer that means yes promises. Raises BadAnswer where it lacks what is needed to follow the task."""
    jobs = answer.get("jobs")
    jobs = jobs if isinstance(jobs, dict) else {}
    task_uuid, key = _identifier(answer.get("uuid")), _identifier(jobs.get("subscription_key"))
    if not task_uuid or not key:
        missing = "subscription key" if task_uuid else "task uuid" if key else "task uuid and no subscription key"
        raise BadAnswer(200, f"The service's answer has no {missing}, so that the task cannot be followed.")
    uuids = jobs.get("uuids")
    job_uuids = tuple(filter(None, map(_identifier, uuids))) if isinstance(uuids, list) else ()
    return Accepted(task_uuid, Secret(key), job_uuids, _credits(answer.get("consumed")))


def answer_in(text: str) -> bytes:
    """The answer to a submission, for `accepted`, in what a user has found of it: alone, or inside a log.

    Raises BadInput where there is none, or where there are several.
    """
    try:
        accepted(json.loads(text))
        return text.encode()
    except (ValueError, AttributeError, RecursionError, BadAnswer):
        found = [generation for generation in pasted.read(text).generations if generation.task_uuid]
    if len(found) != 1:
        several = f"There are {len(found)} answers in it" if found else "The answer in it has no task uuid"
        raise BadInput(f"{several}. Give the whole answer to this task, and no other.")
    return pasted.copied(found[0]).encode()


def prompt_in(answer: bytes) -> str:
    """What an answer of `answer_in` was asked for, as short as a name; "" where it does not say."""
    found = json.loads(answer)
    told = found.get("prompt") or found.get("name")
    return keys.quoted(told, LONGEST_PROMPT_TOLD) if isinstance(told, str) else ""


def is_checked(answer: bytes, prompt: str) -> bool:
    """Whether an answer says that it is the one to this prompt; where it says nothing, it is not known.

    Raises BadInput for the answer to another one.
    """
    told, asked = prompt_in(answer), keys.quoted(prompt, LONGEST_PROMPT_TOLD)
    if told and asked and told.casefold() != asked.casefold():
        raise BadInput(
            f"This is the answer to another prompt, '{told}'. If it is this task's all the same, track it by its key, "
            "and discard this one."
        )
    return bool(told and asked)


def refusal(error: ServiceError) -> Refusal | None:
    """What an error means for a submission; None where the service may have taken it all the same."""
    match error:
        case NotSent():
            return Refusal("NOT_SENT", str(error), "It was not sent.", error.cause not in ("aborted", "picture"))
        case ClientUnavailable():
            return Refusal("NOT_SENT", str(error), "It was not sent.")
        case Throttled():
            return Refusal("THROTTLED", str(error), "It is sent again by itself in a while.", again_by_itself=True)
        case NotAuthorized() if error.code in _REFUSALS:
            return _refused(Refused(error.code, error.detail))
        case NotAuthorized():
            return Refusal("UNAUTHORIZED", str(error), _OTHER_KEY)
        case Refused():
            return _refused(error)
        case BadAnswer(http_status=status) if 300 <= status < 500 and status not in _MAY_HAVE_BEEN_TAKEN:
            advice = (
                "The pictures may be too large for a proxy on the way: use smaller ones."
                if status == 413
                else "Check the service address in the preferences, and your proxy."
            )
            return Refusal(f"HTTP_{status}", str(error), advice)
    return None


_MAY_HAVE_BEEN_TAKEN = (408, 409, 425, 499)
"""HTTP codes of a service or a proxy that has begun with a request and not ended it."""

_OTHER_KEY = "Enter another API key in the preferences, then send it again."
_OTHER_PLAN = "See your plan at hyper3d.ai, then send it again."
_MORE_CREDITS = "Get credits at hyper3d.ai, then send it again."
_AGAIN = "Send it again; if that does not help, write to the service's support."

_REFUSALS: dict[str, tuple[str, str]] = {
    "INSUFFICIENT_FUND": ("The account has too few credits.", _MORE_CREDITS),
    "INSUFFICIENT_FUNDS": ("The account has too few credits.", _MORE_CREDITS),
    "NO_ACTIVE_SUBSCRIPTION": ("The account has no active plan.", _OTHER_PLAN),
    "SUBSCRIPTION_PLAN_TOO_LOW": ("The account's plan does not allow this.", _OTHER_PLAN),
    "INVALID_REQUEST": (
        "The service does not take this combination.",
        "Change an option or a picture, then send it again.",
    ),
    "PERMISSION_DENIED": ("The account is not allowed to do this.", "See your plan, or enter another API key."),
    "PARALLELISM_LIMIT_REACHED": (
        "As many tasks as your plan allows are running already.",
        "It is sent by itself when one of them has ended.",
    ),
    "IMAGE_CONTENT_VIOLATION": (
        "The service's moderation does not accept a picture or the text.",
        "Use other pictures or other words. Pictures of flat colors are refused, too.",
    ),
    "OBJECT_NOT_FOUND_ON_IMAGE": (
        "The service finds no object in a picture.",
        "Use a picture in which the object stands out from the background.",
    ),
    "IMAGE_LABEL_LENGTH_TOO_LONG": ("The service finds more labels than pictures.", _AGAIN),
    "USER_NOT_FOUND": ("The service does not know whose API key this is.", _OTHER_KEY),
    "GROUP_NOT_FOUND": ("The service does not know whose API key this is.", _OTHER_KEY),
    "NO_SUCH_TASK": ("The service does not know the task.", _AGAIN),
    "UNKNOWN": ("The service refused, and does not say why.", _AGAIN),
}


def _refused(error: Refused) -> Refusal:
    code = error.code.removeprefix("API_")
    known = _REFUSALS.get(code)
    if known is None:
        return Refusal(code, f"{error}.".replace("..", "."), _AGAIN)
    text, advice = known
    if code == "INVALID_REQUEST" and error.detail:
        text = f"{text[:-1]}: {error.detail}"
    return Refusal(code, text, advice, code == "PARALLELISM_LIMIT_REACHED")


def _form_text(name: str, value: Value) -> str:
    if name == "high_pack":
        # A list is written as JSON: a bare word is answered as if the service were down.
        return json.dumps(["HighPack"])
    return str(value).lower() if isinstance(value, bool) else str(value)


def _identifier(value: object) -> str:
    """`value` where it can be sent back to the service, else "". No form is asked of it: a task was paid for."""
    fine = isinstance(value, str) and len(value) <= LONGEST_KEY and value.isascii() and value.isprintable()
    return value.strip() if fine and isinstance(value, str) else ""


def _credits(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1e6:
        return None
    return float(value) if math.isfinite(value) else None
