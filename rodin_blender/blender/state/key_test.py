# SPDX-License-Identifier: GPL-3.0-or-later
"""The last test of an API key: of the one in use, or of one that is being typed."""

from __future__ import annotations

from ...service.keys import Secret
from ...tasks.task import Task
from ...tracking.messages import KeyTested, Message


class KeyTest:
    def __init__(self) -> None:
        self.result: KeyTested | None = None
        """None while nothing is known."""
        self.wanted = False
        """Whether the key in use is to be tested as soon as it is known."""
        self.dialog_outdated = False
        """Whether the dialog for the API key does not show the result yet."""

    def request(self) -> None:
        """Have the key in use tested."""
        self.result, self.wanted = None, True

    def result_for(self, api_key: Secret) -> KeyTested | None:
        """The result, where it is of this key and not of another one that was only tried."""
        return self.result if self.result and self.result.api_key == api_key else None

    def handle(self, message: Message, _before: Task | None) -> None:
        if isinstance(message, KeyTested):
            self.result, self.dialog_outdated = message, True
