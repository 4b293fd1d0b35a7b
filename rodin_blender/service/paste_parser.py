# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what people paste, type or pipe in: subscription keys and answers, one or many, alone or inside other text.

The window and the command line share this reader. It is pure, and its time grows with the length of the text only.

An *answer* is what the service sends when a task is started, in JSON or as Python prints it. It may stand in a log, in
the output of curl, in a Markdown code block, in a list, or below others. A subscription key may stand alone on a line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeGuard

from ..texts.actions import Action
from ..texts.text import Text
from . import keys
from .errors import BadInput
from .keys import SHORTEST_SECRET, UUID, Generation, NoTask, Secret, size_of, subscription_key, task_uuid
from .text_values import parts_of, unescaped

LONGEST_PASTE = 256 * 1024
"""Characters that are read on Blender's main thread."""
LONGEST_NAME = 100
LONGEST_PROMPT_AS_NAME = 60
NO_ERROR = ("", "OK")
LONGEST_NESTING = 3
"""Answers inside strings of JSON, inside strings of JSON: loggers do this."""

KEY_LIKE_LENGTH = 50
"""Characters without a space that are hardly a word."""

_API_KEY = re.compile(r"[A-Za-z0-9]{64}|vibecoding")
"""The forms of the API keys that were published for trials. No subscription key of such a form was seen."""
_JWT = r"eyJ[\w-]+\.[\w-]+\.[\w-]+"
"""The form of all subscription keys that were seen; no other is ruled out."""
_LABELED_KEY = re.compile(
    r"subscription[_ ]?key[\"']?\s*[:=]>?\s*(?:([\"'`])([^\s\"'`]{16,})\1|([^\s\"'`,;:=}]{16,1000})(?=[\s,;}]|$))", re.I
)
_CUT_KEY = re.compile(r"[\"']subscription_key[\"']\s*:")
_LABELED_UUID = re.compile(rf"(?<![\w-])(?:task[_ ])?uuid[\"']?\s*[:=]\s*[\"'`]?({UUID})(?![\w-])", re.I)
_ERROR_CODE = re.compile(r"\s*[A-Z][A-Z0-9_]+\s*")
_COLORS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_BINARY = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_STRAIGHT_QUOTES = str.maketrans("“”„‘’", "\"\"\"''")
_LIKE_JSON = re.compile(r"\{|\[\s*(?:[\[{\"']|\]?$)")


@dataclass(frozen=True)
class Skipped:
    """Why a part of what was pasted is not followed; `number` is its place among the tasks, beginning at 1."""

    number: int
    text: Text


@dataclass(frozen=True)
class ParsedTasks:
    """What was read: at least one task to follow, each key once, in the order of the text."""

    generations: tuple[Generation, ...]
    refused: tuple[Skipped, ...] = ()
    """Error answers among them: the service did not start these."""
    invalid: tuple[Skipped, ...] = ()
    """What was meant for a task, and cannot be one."""


class _ErrorAnswer(BadInput):
    """An error answer of the service."""


class _Noise(BadInput):
    """Something that stands beside answers in a log: not told where there is an answer."""


_Candidate = dict[object, object] | str | BadInput
"""An answer, a key, or what is wrong with what may have been one."""


def parse(text: str, api_key: Secret | None = None, longest: int = LONGEST_PASTE) -> ParsedTasks:
    """The tasks that `text` holds. `api_key` is the one in use, so that it is told from a subscription key.

    Raises BadInput, with what was given instead and what is needed, when there is no task in it.
    """
    if len(text) > longest:
        raise NoTask(Text("This is a text of {size}, far too much to look for a task in.", size=size_of(len(text))))
    text = _COLORS.sub("", text).replace("\ufeff", "").replace("\xa0", " ").strip()
    if not text:
        raise NoTask("Nothing was given.")
    if _BINARY.search(text):
        raise NoTask("This is data that is not text.")
    # Word processors and chats change quotation marks, and what prints a text in quotation marks escapes those in it.
    variants = dict.fromkeys((text, text.translate(_STRAIGHT_QUOTES), unescaped(text)))
    best: list[Generation | BadInput] = []
    answers = False
    for variant in variants:
        candidates = _candidates(variant)
        answers |= any(isinstance(part, dict) for part in candidates)
        best = max(best, [_read_one(part, api_key) for part in candidates], key=_score)
        if _is_complete(best):
            break
    if not answers:
        best = [_read_one(part, api_key) for part in _labeled(text)] or best
    return _classified(best)


def generation_answer(answer: object) -> Generation:
    """What a decoded JSON answer tells of its task. Raises BadInput where the subscription key is not in it.

    Also reads `{"uuid", "subscription_key", "name"}`, and what `serialized` made.
    """
    if not isinstance(answer, dict):
        answer = {}
    jobs = answer.get("jobs")
    key = jobs.get("subscription_key") if isinstance(jobs, dict) else None
    if not isinstance(key, str):
        key = answer.get("subscription_key")
    if not isinstance(key, str):
        raise _explain_missing_key(answer)
    uuid, name, prompt = answer.get("uuid"), answer.get("name"), answer.get("prompt")
    secret = subscription_key(key)
    if isinstance(name, str) and name.strip():
        called = keys.printable(name.replace(key, "****"), LONGEST_NAME)
    else:
        called = keys.redacted(prompt, LONGEST_PROMPT_AS_NAME, (secret,)) if isinstance(prompt, str) else ""
    return Generation(secret, task_uuid(uuid) if isinstance(uuid, str) else "", called)


def serialized(generation: Generation) -> str:
    """What brings a task back when it is read here again, in the form of the service's own answer."""
    jobs = {"subscription_key": generation.subscription_key.reveal()}
    return json.dumps({"uuid": generation.task_uuid, "name": generation.name, "jobs": jobs}, ensure_ascii=False)


def _explain_missing_key(answer: dict[object, object]) -> BadInput:
    """What an answer without a subscription key is."""
    error = answer.get("error")
    if isinstance(error, str) and error.strip() not in NO_ERROR:
        code = error.strip().removeprefix("API_")
        message = answer.get("message")
        said = f"{error}: {message}" if isinstance(message, str) and message else error
        text = "This is an error answer ({said}): nothing was started, so there is nothing to follow."
        # Answers to status checks stand in logs as well, and so do other programs' errors.
        kind = _ErrorAnswer if _ERROR_CODE.fullmatch(error) and code != "NO_SUCH_TASK" else _Noise
        return kind(Text(text, said=keys.redacted(said, 120)))
    if "generation_id" in answer:
        return NoTask(
            "This is the answer of another Hyper3D tool. It has a generation id and no subscription key, so the task "
            "can only be followed with that tool, or in a web browser."
        )
    if isinstance(answer.get("jobs"), list):
        return _Noise("This answer tells a task's status, and not its subscription key.", Action.GIVE_ANSWER)
    if isinstance(answer.get("list"), list):
        return _Noise("This answer is a list of files to download, without a subscription key.", Action.GIVE_ANSWER)
    return NoTask("There is no subscription key in this answer.")


def _read_one(part: _Candidate, api_key: Secret | None) -> Generation | BadInput:
    """The task of one answer or one key, or why there is none."""
    if isinstance(part, BadInput):
        return part
    try:
        generation = Generation(subscription_key(part)) if isinstance(part, str) else generation_answer(part)
    except BadInput as error:
        return error
    if generation.subscription_key == api_key:
        return NoTask("This is your API key, which tells who you are, and not which task to follow.")
    alone = generation.subscription_key.reveal() if isinstance(part, str) else ""
    if _API_KEY.fullmatch(alone):
        return NoTask("This looks like an API key, which belongs in the preferences and tells of no task.")
    return generation


def _score(found: list[Generation | BadInput]) -> tuple[int, int, bool]:
    """What makes one reading of a text better than another."""
    tasks = [part for part in found if isinstance(part, Generation)]
    return sum(bool(task.task_uuid) for task in tasks), len(tasks), bool(found)


def _is_complete(found: list[Generation | BadInput]) -> bool:
    """Whether no other reading can be better."""
    whole = [bool(part.task_uuid) if isinstance(part, Generation) else isinstance(part, _ErrorAnswer) for part in found]
    return all(whole) and any(isinstance(part, Generation) for part in found)


def _classified(found: list[Generation | BadInput]) -> ParsedTasks:
    """Raises BadInput where nothing that was found can be followed."""
    generations: dict[Secret, Generation] = {}
    refused: list[Skipped] = []
    invalid: list[Skipped] = []
    tasks = [part for part in found if not isinstance(part, _Noise)] or found
    for number, part in enumerate(tasks, 1):
        if isinstance(part, Generation):
            # A log may show a key by itself before the answer that it stands in.
            before = generations.get(part.subscription_key, part)
            merged = Generation(part.subscription_key, before.task_uuid or part.task_uuid, before.name or part.name)
            generations[part.subscription_key] = merged
        else:
            # Whoever brings many knows what is needed: it is told where there is nothing else.
            (refused if isinstance(part, _ErrorAnswer) else invalid).append(Skipped(number, part.trouble.text))
    if generations:
        return ParsedTasks(tuple(generations.values()), tuple(refused), tuple(invalid))
    if not tasks:
        raise NoTask("There is no task in this text.")
    first = next(part for part in tasks if isinstance(part, BadInput))
    if len(tasks) == 1:
        raise first
    text = "None of these {count} can be followed. The first: {first}"
    raise BadInput(Text(text, count=len(tasks), first=first.trouble))


def _candidates(text: str) -> list[_Candidate]:
    """What may be a task in a text: answers, whole or not, and keys that stand alone on a line; in the text's order."""
    found: list[_Candidate] = []
    parts = list(parts_of(text))
    decoded = [part for part in parts if not isinstance(part, str)]
    answers = any(True for _ in _answers(decoded))
    lines = [line for part in parts if isinstance(part, str) for line in _lines(part)]
    if len(lines) > 1 and not decoded and _is_broken_key(lines):
        return ["".join(lines)]
    if not decoded and _LIKE_JSON.match(text) and not _CUT_KEY.search(text):
        return [NoTask("This cannot be read; perhaps a part of it is missing.")]
    sentences = any(len(line.split()) > 1 for line in lines) and (answers or len(lines) > 1)
    for part in parts:
        if isinstance(part, BadInput):
            found.append(part)
        elif not isinstance(part, str):
            found += [*part] if len(parts) == 1 and _is_list_of_keys(part) else _answers(part)
        elif _CUT_KEY.search(part) and not _LABELED_KEY.search(part):
            found.append(NoTask("A part of this answer is missing."))
        else:
            keys = [line for line in _lines(part) if _looks_like_a_key(line, answers, sentences)]
            short = NoTask("This is too short for a subscription key, which has some 300 characters.")
            found += (line if len(line) >= SHORTEST_SECRET or len(lines) == 1 else short for line in keys)
    if not found and _LIKE_JSON.match(text):
        found.append(NoTask("There is no subscription key in this answer."))
    return found


def _looks_like_a_key(line: str, answers: bool, sentences: bool) -> bool:
    """Whether a line that is not part of an answer is to be read as a key, in a text with answers, with sentences."""
    if sentences and not answers:
        # A long word in a line may be a key with something wrong beside it, which is to be told.
        return any(len(word) >= KEY_LIKE_LENGTH for word in line.split())
    return bool(re.fullmatch(_JWT if sentences else r"[\w.+/=~-]{32,}" if answers else ".*", line, re.ASCII))


def _lines(text: str) -> Iterator[str]:
    """The lines that say something. The marks around a code block in Markdown do not."""
    stripped = (line.strip().strip("\"'`,;") for line in text.splitlines() if not line.lstrip().startswith("```"))
    return (line for line in stripped if any(map(str.isalnum, line)))


def _is_broken_key(lines: list[str]) -> bool:
    """Whether these are one key that a terminal or a mail program has broken into lines."""
    return bool(re.fullmatch(_JWT, "".join(lines), re.ASCII)) and not re.fullmatch(_JWT, lines[0], re.ASCII)


def _is_list_of_keys(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) and " " not in item for item in value)


def _answers(value: object) -> Iterator[dict[object, object]]:
    """What looks like an answer of the service in a decoded value, at any depth, in its order."""
    left = [(value, 0)]
    while left:
        inner, nesting = left.pop()
        inside: list[object] = []
        if isinstance(inner, dict):
            if _is_answer(inner):
                yield inner
            if not _has_key(inner):
                inside = list(inner.values())
        elif isinstance(inner, list):
            inside = inner
        elif isinstance(inner, str) and "subscription_key" in inner and nesting < LONGEST_NESTING:
            nesting += 1
            inside = [part for part in parts_of(inner) if not isinstance(part, str)]
        left += ((item, nesting) for item in reversed(inside))


def _has_key(value: dict[object, object]) -> bool:
    jobs = value.get("jobs")
    return "subscription_key" in value or (isinstance(jobs, dict) and "subscription_key" in jobs)


def _is_answer(value: dict[object, object]) -> bool:
    jobs, error = value.get("jobs"), value.get("error")
    return (
        _has_key(value)
        or isinstance(jobs, (dict, list))
        or (isinstance(error, str) and error.strip() not in NO_ERROR)
        or "generation_id" in value
        or (isinstance(value.get("list"), list) and len(value) <= 3)
    )


def _labeled(text: str) -> list[_Candidate]:
    """Keys that a text calls by their name; with the task uuid where there is one of each."""
    found = [match[2] or match[3] for match in _LABELED_KEY.finditer(text)]
    uuids = {match[1].lower() for match in _LABELED_UUID.finditer(text)}
    if len(found) == len(uuids) == 1:
        return [{"subscription_key": found[0], "uuid": uuids.pop()}]
    return list(found)
