# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of a submission that was not sent, or of which nobody knows whether it was taken."""

from __future__ import annotations

from ..texts.actions import Action
from ..texts.text import Text, Trouble
from .sending import Outcome

NOT_YET = Trouble("not_sent", "It was not sent yet.", Action.SEND_NOW)
GONE = Trouble("gone", "What was to be sent is no longer on the disk.", Action.DISCARD)
LOST = Trouble("interrupted", "Blender ended before the service had answered.")
LOST_AND_GONE = Trouble(
    "interrupted", "Blender ended before the service had answered, and what was to be sent is no longer on the disk."
)
NOT_REPLACED = Trouble(
    "not_sent", "Meanwhile it became known what became of the first one, so this one was not sent.", Action.SEND_NOW
)


def not_yet(why: Trouble) -> Trouble:
    """It waits for the user, after what kept it from being sent."""
    return Trouble(why.code, Text("{why} It was not sent yet.", why=why.text), Action.SEND_NOW)


def not_removed(why: Trouble) -> Trouble:
    """It waits for the user, since the one that it is to take the place of is still there."""
    text = "It was not sent yet, since the uncertain one that it replaces could not be removed. {why}"
    return Trouble(why.code, Text(text, why=why.text), Action.SEND_NOW)


def later(why: Trouble) -> Trouble:
    """It is tried again without anybody's doing."""
    return Trouble(why.code, why.text, Action.WAIT)


def uncertain(outcome: Outcome) -> Trouble:
    """What is known of a submission that may have been charged."""
    why = outcome.trouble.text if outcome.trouble else Text("")
    whole = Text("It was sent, and no usable answer came. {why} It may have been charged.", why=why)
    before, after = outcome.before, outcome.balance
    if before is not None:
        known = Text("The account had {before} credits before it.", before=before)
        if after is not None and after < before:
            text = "The account's credits went down from {before} to {after}, so it was probably charged."
            known = Text(text, before=before, after=after)
        elif after is not None:
            known = Text("The account still has {after} credits, so it was probably not charged.", after=after)
        whole = Text("{told} {known}", told=whole, known=known)
    return Trouble("uncertain", whole, Action.SETTLE)
