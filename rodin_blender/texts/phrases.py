# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said at several places, as texts: how far a file is, and words in a row."""

from __future__ import annotations

from collections.abc import Sequence

from .text import Text, Value
from .wording import size_text


def progress(received: int, size: int | None, speed: float) -> Text:
    """How much of a file has arrived, and how fast: 3.2 of 12.4 MB, 1.8 MB/s."""
    amount: Text | str = size_text(received)
    if size:
        whole = size_text(size)
        amount = Text("{part} of {whole}", part=str(amount).removesuffix(whole[-3:]), whole=whole)
    return Text("{amount}, {speed:size}/s", amount=amount, speed=speed) if speed else Text("{amount}", amount=amount)


def listed(words: Sequence[Value], limit: int, separator: str = ", ") -> Text:
    """Words or texts in a row: a, b and 3 more."""
    fields = {f"word{number}": word for number, word in enumerate(words[:limit])}
    some = Text(separator.join(f"{{{name}}}" for name in fields), **fields)
    if len(words) <= limit:
        return some
    return Text("{some} and {count} more", some=some, count=len(words) - limit)


def quoted(names: Sequence[str], limit: int) -> Text:
    """Names in a row: 'a', 'b' and 3 more."""
    return listed([f"'{name}'" for name in names], limit)
