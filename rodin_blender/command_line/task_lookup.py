# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks by what a user calls them, and what is said of a word that calls none."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from ..service.errors import BadInput
from ..service.keys import Generation, Secret
from ..storage.store import Store
from ..tasks.task import Task
from . import arguments

SHORTEST_KEY = 32
"""Characters without a space that are taken for a subscription key where a name could stand, too.

Those that were seen have about 300, but no form of them is promised. In a file and on standard input, where no names
stand, a shorter one is a key as well.
"""
CLOSE, VERY_CLOSE = 0.6, 0.8
"""How much a mistyped name is like the right one, as difflib has it; and one that is as long as a key."""
MAX_SUGGESTIONS = 3


class TaskLookup:
    """The tasks of a list or of a batch's results; `where` says which, and `hint` how to see them, for the user."""

    def __init__(self, tasks: Iterable[Task], where: str, hint: str = "") -> None:
        self._where = where
        self._hint = hint
        self._by_id: dict[str, Task] = {}
        self._by_name: dict[str, list[Task]] = {}
        for task in tasks:
            self._by_id[task.task_id] = task
            self._by_name.setdefault(task.name, []).append(task)

    def get(self, word: str) -> Task | None:
        """The task with this id or name, None if there is none. Raises BadInput for a name that several have."""
        found = [self._by_id[word]] if word in self._by_id else self._by_name.get(word, [])
        if len(found) > 1:
            ids = ", ".join(task.task_id for task in found)
            raise BadInput(f"Several tasks are called '{word}'; give one of their ids: {ids}.")
        return found[0] if found else None

    def task(self, word: str) -> Task:
        """The task with this id or name. Raises BadInput, with the names that are like it, if there is none."""
        task = self.get(word)
        if task is None:
            raise BadInput(f"There is no task {self._description(word)} in {self._where}.{self._suggestions(word)}")
        return task

    def check_key(self, word: str) -> None:
        """Raises BadInput for what does not look like a subscription key, and so is a mistyped name."""
        if _has_the_form_of_a_key(word) and not self._similar(word, VERY_CLOSE):
            return
        raise BadInput(
            f"There is no task {self._description(word)} in {self._where}, and it does not look like a subscription "
            f"key, which has {SHORTEST_KEY} characters or more and no spaces.{self._suggestions(word)} A shorter key "
            "is taken from a file (@FILE) and from standard input (-)."
        )

    def _description(self, word: str) -> str:
        # What has the form of a key may be one in the wrong place.
        return "of such a name" if _has_the_form_of_a_key(word) and not self._similar(word, VERY_CLOSE) else f"'{word}'"

    def _suggestions(self, word: str) -> str:
        names = [f"'{name}'" for name in self._similar(word, CLOSE)]
        return f" Did you mean {' or '.join(names)}?" if names else self._hint

    def _similar(self, word: str, how_close: float) -> list[str]:
        """Names that are like a word but for their case, the likest first."""
        names = {name.casefold(): name for name in self._by_name}
        return [names[name] for name in get_close_matches(word.casefold(), names, MAX_SUGGESTIONS, how_close)]


def lookup(store: Store, words: list[str]) -> list[Task]:
    """The tasks with these ids or names, none twice. Raises BadInput for a word that is neither, StoreError."""
    known = _in_list(store)
    return list({task.task_id: task for task in map(known.task, words)}.values())


def lookup_or_parse(store: Store, words: list[str], api_key: Secret) -> tuple[list[Task], list[Generation], list[str]]:
    """The tasks of the list that these arguments name, the keys among them, and what is to be told of error answers.

    Raises BadInput for anything else, such as a mistyped name, before anything is asked or added.
    """
    known = _in_list(store)
    tasks = {task.task_id: task for word in words if (task := known.get(word))}
    keys = [word for word in words if not known.get(word)]
    for word in keys:
        # The reader of keys says of the API key what it is.
        if not arguments.is_source(word) and word != api_key.reveal():
            known.check_key(word)
    generations, refused = arguments.generations(keys, api_key) if keys else ([], [])
    return list(tasks.values()), generations, refused


def _in_list(store: Store) -> TaskLookup:
    """Raises StoreError."""
    return TaskLookup(store.tasks(), f"the list at {store.path}", " `list` prints what there is.")


def _has_the_form_of_a_key(word: str) -> bool:
    """Also of what the reader of keys knows better: an answer, which may stand in place of its key, and a link."""
    return "{" in word or "://" in word or (len(word) >= SHORTEST_KEY and not any(map(str.isspace, word)))
