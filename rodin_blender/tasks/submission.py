# SPDX-License-Identifier: GPL-3.0-or-later
"""The paid call: what is sent, by the kind of the generation, and what an answer that means yes promises. Pure.

A submission is sent once. Whether it may be sent again is said by `refusals.of_submission`: only where the service
surely has not taken it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from ..service import keys, paste_parser
from ..service.errors import BadAnswer, BadInput
from ..service.keys import LONGEST_KEY, Secret
from ..texts.text import Text
from .kinds import GENERATE, Kind
from .options import GEN_2_5, TIERS, Value, checked

LONGEST_PROMPT = 1024
"""Characters."""
LONGEST_PROMPT_ECHO = 60
"""Characters of the prompt of an answer, which may have been shortened to a name."""
MAX_PICTURES = GENERATE.max_pictures
VIEWS = {"front": "F", "right": "R", "back": "B", "left": "L"}
"""The service's `image_label` for a picture whose name ends with this word."""


@dataclass(frozen=True)
class Picture:
    """A picture of a submission: its file's name as the user knows it, and its content type, of `check_picture`."""

    name: str
    kind: str


@dataclass(frozen=True)
class Submission:
    """What is asked for. `options` are such as `checked` returns for `kind`. The first picture decides the material."""

    prompt: str
    options: Mapping[str, Value]
    pictures: tuple[Picture, ...] = ()
    proportions: tuple[int, int, int] | None = None
    """See `task.Box.proportions`."""
    kind: Kind = GENERATE


@dataclass(frozen=True)
class Accepted:
    """What the service promises. `credits` is what it took, None where it does not say."""

    task_uuid: str
    subscription_key: Secret
    job_uuids: tuple[str, ...]
    credits: float | None


def submission(prompt: str, picture_count: int, options: Mapping[str, Any], kind: Kind = GENERATE) -> Submission:
    """A submission whose pictures are still to be checked and added. Raises BadInput with what to change."""
    prompt = prompt.strip()
    if not prompt and not picture_count:
        raise BadInput("Say what you want to make, or add a picture.")
    if len(prompt) > LONGEST_PROMPT:
        text = "The text has {length:n} characters, and the service takes {most:n} at most. Shorten it."
        raise BadInput(Text(text, length=len(prompt), most=LONGEST_PROMPT))
    if "\0" in prompt or any("\ud800" <= character <= "\udfff" for character in prompt):
        raise BadInput("The text holds characters that are no text. Type it again.")
    if picture_count > kind.max_pictures:
        text = "There are {count} pictures, and the service takes {most} at most. Remove some."
        raise BadInput(Text(text, count=picture_count, most=kind.max_pictures))
    return Submission(prompt, checked(options, kind.options), kind=kind)


def fields(wanted: Submission) -> list[tuple[str, str]]:
    """The form's text fields, in a stable order. Without a prompt there is no such field: an empty one is refused."""
    form = [("prompt", wanted.prompt)] if wanted.prompt else []
    tier, mesh_mode = str(wanted.options.get("tier", "")), str(wanted.options.get("mesh_mode", ""))
    for option in wanted.kind.options.values():
        value = wanted.options[option.name]
        if option.takes(tier, mesh_mode) and (option.always_sent or value != option.default):
            form.append((option.field, _form_text(option.name, value)))
    labels = view_labels([picture.name for picture in wanted.pictures], tier)
    if labels:
        form.append(("image_label", json.dumps(labels)))
    if wanted.proportions and wanted.kind.takes_box:
        form.append(("bbox_condition", json.dumps(wanted.proportions)))
    return form


def view_labels(names: Sequence[str], tier: str) -> list[str]:
    """What the service is told of the side that each picture shows; [] where it is not told, and finds it out itself.

    Told are several pictures that are all named for a side, each for another one ("Chair Front.png"), to the tiers that
    take it: a guess from one name among others might be wrong, and is paid for.
    """
    words = [PurePath(name).stem.rpartition(" ")[2].lower() for name in names]
    fine = len(words) > 1 and len(set(words)) == len(words) and VIEWS.keys() >= set(words)
    return [VIEWS[word] for word in words] if fine and tier in TIERS and TIERS[tier].family == GEN_2_5 else []


def accepted(answer: Mapping[str, Any]) -> Accepted:
    """What an answer that means yes promises. Raises BadAnswer where it lacks what is needed to follow the task."""
    jobs = answer.get("jobs")
    jobs = jobs if isinstance(jobs, dict) else {}
    task_uuid, key = _identifier(answer.get("uuid")), _identifier(jobs.get("subscription_key"))
    if not task_uuid or not key:
        if task_uuid:
            text = "The service's answer has no subscription key, so that the task cannot be followed."
        elif key:
            text = "The service's answer has no task uuid, so that the task cannot be followed."
        else:
            text = "The service's answer has no task uuid and no subscription key, so that the task cannot be followed."
        raise BadAnswer(200, text)
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
        found = [generation for generation in paste_parser.parse(text).generations if generation.task_uuid]
    if len(found) != 1:
        text = "The answer in it has no task uuid. Give the whole answer to this task."
        if found:
            text = "There are {count} answers in it. Give the one to this task, and no other."
        raise BadInput(Text(text, count=len(found)))
    return paste_parser.serialized(found[0]).encode()


def prompt_in(answer: bytes) -> str:
    """What an answer of `answer_in` was asked for, as short as a name; "" where it does not say."""
    found = json.loads(answer)
    echoed = found.get("prompt") or found.get("name")
    return keys.redacted(echoed, LONGEST_PROMPT_ECHO) if isinstance(echoed, str) else ""


def is_checked(answer: bytes, prompt: str) -> bool:
    """Whether an answer says that it is the one to this prompt; where it says nothing, it is not known.

    Raises BadInput for the answer to another one.
    """
    echoed, asked = prompt_in(answer), keys.redacted(prompt, LONGEST_PROMPT_ECHO)
    if echoed and asked and echoed.casefold() != asked.casefold():
        text = (
            "This is the answer to another prompt, '{prompt}'. If it is this task's all the same, track it by its key, "
            "and discard this one."
        )
        raise BadInput(Text(text, prompt=echoed))
    return bool(echoed and asked)


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
