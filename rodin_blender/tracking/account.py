# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service says of the account: whether the API key is accepted, and the credits. For the tracker's thread."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..service.connection import Connection
from ..service.errors import NotAuthorized, trouble_of
from ..texts.text import Text
from .messages import BalanceReceived, KeyTested, Message, Settings
from .polling import Polling
from .workers import WorkItem


class Account:
    """Asks by the workers that ask about tasks."""

    def __init__(self, polling: Polling, settings: Callable[[], Settings], tell: Callable[[Message], None]) -> None:
        self._polling = polling
        self._settings = settings
        self._tell = tell

    def test(self, settings: Settings | None) -> None:
        """See whether the API key is accepted, of these settings or of those in use. Answered by KeyTested."""
        settings = settings or self._settings()
        if settings.blocker:
            self._tell(KeyTested(False, settings.blocker, settings.api_key))
        else:
            self._ask(partial(self._tested, settings.connection), settings.connection)

    def ask(self) -> None:
        """Ask for the credits. Answered by BalanceReceived, where the service can be asked and tells them."""
        settings = self._settings()
        if not (settings.blocker or self._polling.client_trouble or self._polling.refused):
            self._ask(self._received, settings.connection)

    def _ask(self, on_done: Callable[[float | Exception], None], connection: Connection) -> None:
        self._polling.pool.submit(WorkItem(lambda client: client.balance(), on_done, connection))

    def _tested(self, connection: Connection, balance: float | Exception) -> None:
        ours = connection.same_account(self._settings().connection)
        if isinstance(balance, Exception):
            refused = isinstance(balance, NotAuthorized)
            if isinstance(balance, NotAuthorized) and ours:
                self._polling.key_refused(balance.trouble)
            self._tell(KeyTested(False, trouble_of(balance), connection.api_key, refused))
            return
        if ours:
            self._polling.refresh()
            self._tell(BalanceReceived(balance))
        text = "The API key is accepted. The account has {credits} credits."
        self._tell(KeyTested(True, Text(text, credits=balance), connection.api_key))

    def _received(self, balance: float | Exception) -> None:
        if isinstance(balance, float):
            self._tell(BalanceReceived(balance))
