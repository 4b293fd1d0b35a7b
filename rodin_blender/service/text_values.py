# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the objects and lists that stand in a text, in JSON or as Python prints them. Pure, and in linear time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from .keys import NoTask

SHORT = 2048
"""Characters in which an answer mostly fits."""
SHORTEST_CUT = 16
"""Characters before the end of a text in which the JSON module finds it cut off."""
ERROR_COST = 64
"""Characters that the JSON module could read in the time that it takes to tell of an error."""

_OPENING = re.compile(r"[{\[]")
_DECODER = json.JSONDecoder(strict=False)
_TOKEN = re.compile(r"""'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|[{}\[\]]|None|True|False|[^'"{}\[\]NTF]+|.""", re.S)
_CONSTANTS = {"None": "null", "True": "true", "False": "false"}
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))", re.S)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}


def parts_of(text: str) -> Iterator[object]:
    """The objects and lists in a text, decoded, and what stands around them as strings.

    A BadInput is the last part of a text whose brackets would take too long to sort out.
    """
    at = plain = 0
    wasted = 0
    while opening := _OPENING.search(text, at):
        start = opening.start()
        value, end, cost = _decoded(text, start)
        if value is None:
            wasted += cost
            if wasted > 8 * len(text) + 100_000:
                yield NoTask("This text cannot be read: it has too many brackets.")
                return
            at = start + 1
            continue
        if text[plain:start].strip():
            yield text[plain:start]
        yield value
        at = plain = end
    if text[plain:].strip():
        yield text[plain:]


def _decoded(text: str, start: int) -> tuple[object, int, int]:
    """The value that begins at `start`, where it ends, and 0; or None, and how many characters were read for it."""
    cost = 0
    # An error of the JSON module counts the lines before it, which in a long text takes longer than all else.
    for size in (SHORT, len(text)):
        window = text[start : start + size]
        try:
            value, end = _DECODER.raw_decode(window)
            return value, start + end, 0
        except json.JSONDecodeError as error:
            if error.pos < len(window) - SHORTEST_CUT and not error.msg.startswith("Unterminated"):
                cost += ERROR_COST + error.pos
                break
            cost += len(window)
        except (ValueError, RecursionError):
            cost += len(window)
            break
    # Python prints dictionaries in quotation marks of its own.
    if text.startswith(("'", "{'"), _next(text, start + 1)):
        return _python_value(text, start)
    return None, start, cost


def _next(text: str, at: int) -> int:
    """The place of the next character that is no space."""
    while text[at : at + 1].isspace():
        at += 1
    return at


def _python_value(text: str, start: int) -> tuple[object, int, int]:
    """As `_decoded`, for what Python prints of dictionaries, lists, strings, numbers, True, False and None."""
    depth, words = 0, []
    for token in _TOKEN.finditer(text, start):
        word = token[0]
        depth += (word in "{[") - (word in "}]")
        quoted_word = len(word) > 1 and word[0] in "'\""
        words.append(json.dumps(unescaped(word[1:-1])) if quoted_word else _CONSTANTS.get(word, word))
        if depth == 0:
            try:
                return _DECODER.decode("".join(words)), token.end(), 0
            except (ValueError, RecursionError):
                break
    # Python reads these slower than the JSON module reads its own.
    return None, start, 16 * (token.end() - start)


def unescaped(text: str) -> str:
    def plain(match: re.Match[str]) -> str:
        code = match[1] or match[2]
        return chr(int(code, 16)) if code else _ESCAPED.get(match[3], match[3])

    return _ESCAPE.sub(plain, text)
