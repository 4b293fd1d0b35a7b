# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service says of the account: whether the API key is accepted, and the credits. For the tracker's thread."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..service.connection import Connection
from ..service.errors import NotAuthorized
from ..texts.wording import sentence
from .messages import BalanceTold, KeyTested, Message, Settings
from .polling import Polling
from .workers import Question


class Account:
    """Asks by the workers that ask about tasks."""

    def __init__(self, polling: Polling, settings: Callable[[], Settings], tell: Callable[[Message], None]) -> None:
        self._polling = polling
        self._settings = settings
        self._tell = tell

    def test(self) -> None:
        """See whether the API key is accepted. Answered by KeyTested."""
        obstacle = self._settings().obstacle
        if obstacle:
            self._tell(KeyTested(False, obstacle.text))
        else:
            self._ask(partial(self._tested, self._settings().connection))

    def ask(self) -> None:
        """Ask for the credits. Answered by BalanceTold, where the service can be asked and tells them."""
        settings = self._settings()
        if not (settings.obstacle or self._polling.client_trouble or self._polling.refused):
            self._ask(self._told)

    def _ask(self, answered: Callable[[float | Exception], None]) -> None:
        self._polling.pool.ask(Question(lambda client: client.balance(), answered, self._settings().connection))

    def _tested(self, connection: Connection, balance: float | Exception) -> None:
        ours = connection.same_account(self._settings().connection)
        if isinstance(balance, Exception):
            if isinstance(balance, NotAuthorized) and ours:
                self._polling.refuse(str(balance))
            self._tell(KeyTested(False, sentence(balance)))
            return
        if ours:
            self._polling.refresh()
            self._tell(BalanceTold(balance))
        self._tell(KeyTested(True, f"The API key is accepted. Balance: {balance:g} credits."))

    def _told(self, balance: float | Exception) -> None:
        if isinstance(balance, float):
            self._tell(BalanceTold(balance))
