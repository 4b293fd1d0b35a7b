"""What a language of the interface lacks, as lines to fill in.

    python3 -m tools.texts LANGUAGE      such as de_DE: what texts/languages/de_DE.py has no translation for
    python3 -m tools.texts               all that is to be translated, for a new language

Each line has the English text, in the order of the source; above them stands where they come from. What is no longer
said, and translations without the fields of their text, are told at the end.

It reads the source and needs no Blender: texts are literals where they are shown (`Text("…")`, `label(text="…")`,
`bl_label`, an operator's docstring), or rows of the tables of settings and options. The command line's own words, and
what only programmers read, are English.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from rodin_blender.configuration import FIELDS, GENERATE
from rodin_blender.tasks.kinds import KINDS
from rodin_blender.tasks.option_words import words

PACKAGE = ROOT / "rodin_blender"
LANGUAGES = PACKAGE / "texts" / "languages"
IN_ENGLISH = (
    "command_line",
    "blender/commands.py",
    "blender/report.py",
    "blender/thumbnail.py",
    "texts/languages",
    "scripting.py",
)
"""Parts of the package whose words are not translated: commands, logs and reports are searched and sent to others."""
FIELD = re.compile(r"\{\w+(?::\w+)?\}")

_OF_LAYOUT = ("text", "title", "message", "confirm_text", "placeholder", "heading")
"""Arguments that Blender shows."""
_SHOWN_CLASSES = ("Operator", "Menu", "Panel")
"""Of `bpy.types`: the docstring of such a class is its tooltip."""


@cache
def modules() -> tuple[tuple[str, ast.Module], ...]:
    """Those with texts that are translated, by their paths in the package."""
    named = ((path.relative_to(PACKAGE).as_posix(), path) for path in sorted(PACKAGE.rglob("*.py")))
    return tuple(
        (name, ast.parse(path.read_text(encoding="utf-8"))) for name, path in named if not name.startswith(IN_ENGLISH)
    )


@cache
def to_translate() -> dict[str, str]:
    """Each English text, with where it is said first."""
    found: dict[str, str] = {}
    for name, tree in modules():
        for text in _Module(tree).texts():
            found.setdefault(text, name)
    for text in _of_tables():
        found.setdefault(text, "the tables of settings and options")
    return {text: where for text, where in found.items() if re.search(r"[^\W\d]{2}", FIELD.sub("", text))}


def languages() -> list[str]:
    return sorted(path.stem for path in LANGUAGES.glob("*.py") if path.stem != "__init__")


def translations(language: str) -> dict[str, str]:
    texts: dict[str, str] = import_module(f"rodin_blender.texts.languages.{language}").TEXTS
    return texts


def lacks(language: str) -> dict[str, str]:
    """What it has no translation for, with where that is said."""
    known = translations(language)
    return {text: where for text, where in to_translate().items() if not known.get(text)}


def surplus(language: str) -> list[str]:
    """What it translates that is not said."""
    said = to_translate()
    return [text for text in translations(language) if text not in said]


def unlike(language: str) -> list[str]:
    """Texts whose translations have other fields than they."""
    return [
        text
        for text, said in translations(language).items()
        if sorted(FIELD.findall(text)) != sorted(FIELD.findall(said))
    ]


def _of_tables() -> Iterator[str]:
    for field in FIELDS.values():
        if not field.name.startswith(GENERATE):
            yield from (field.label, field.description)
            yield from (text for choice in field.choice_words for text in choice)
    for option in (option for kind in KINDS.values() for option in kind.options.values()):
        yield from (option.label, option.description)
        yield from (text for choice in option.choices for text in words(option, choice))


class _Module:
    """The literals of a module that users read."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._named = _assigned(tree.body)

    def texts(self) -> Iterator[str]:
        yield from self._within(self._tree, self._named)

    def _within(self, node: ast.AST, named: dict[str, list[ast.expr]]) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            match child:
                case ast.FunctionDef():
                    own = _assigned(inner for inner in ast.walk(child) if isinstance(inner, ast.stmt))
                    yield from self._within(child, {**named, **own})
                    continue
                case ast.ClassDef():
                    yield from self._of_class(child, named)
                case ast.Call():
                    yield from self._of_call(child, named)
                case ast.Dict(keys=[ast.Attribute(value=ast.Name(id="Action")), *_]):
                    # Words for what a user can do.
                    yield from (text for value in child.values for text in _literals(value, named))
            yield from self._within(child, named)

    def _of_class(self, node: ast.ClassDef, named: dict[str, list[ast.expr]]) -> Iterator[str]:
        if any(isinstance(base, ast.Attribute) and base.attr in _SHOWN_CLASSES for base in node.bases):
            yield ast.get_docstring(node) or ""
        for name, values in _assigned(node.body).items():
            if name in ("bl_label", "bl_description"):
                yield from (text for value in values for text in _literals(value, named))

    def _of_call(self, node: ast.Call, named: dict[str, list[ast.expr]]) -> Iterator[str]:
        function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        shown: list[ast.expr] = []
        if function in ("Text", "Section"):
            shown += node.args[:1]
        elif function == "text_property" or function.endswith("Property"):
            shown += node.args[:2]
            shown += [given[name] for name in ("name", "description") if name in given]
            if "items" in given:
                yield from self._of_items(given["items"], named)
        elif function in ("Trouble", "Blocker"):
            shown += node.args[1:2]
        elif function in _ERRORS or function == "__init__":
            # Before its sentence an error may have a word for what it is.
            sentences = (text for value in node.args[:2] for text in _literals(value, named))
            yield from (text for text in sentences if " " in text)
        translated = not (isinstance(given.get("translate"), ast.Constant) and given["translate"].value is False)
        if function not in ("Text", "operator_named") and translated:
            shown += [given[name] for name in _OF_LAYOUT if name in given]
        yield from (text for value in shown for text in _literals(value, named))

    def _of_items(self, node: ast.expr, named: dict[str, list[ast.expr]]) -> Iterator[str]:
        """The names and descriptions of an enumeration's items."""
        for table in _meant(node, named):
            for item in getattr(table, "elts", ()):
                for row in _meant(item, named):
                    yield from (text for value in getattr(row, "elts", ())[1:3] for text in _literals(value, named))


def _literals(node: ast.expr, named: dict[str, list[ast.expr]]) -> Iterator[str]:
    """The texts that an expression may be, as far as they stand in its module."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp():
            yield from _literals(node.body, named)
            yield from _literals(node.orelse, named)
        case ast.Name() | ast.Attribute():
            # One that is assigned from itself would have no end.
            others = {name: values for name, values in named.items() if name != getattr(node, "id", "")}
            yield from (text for value in _meant(node, named) if value is not node for text in _literals(value, others))
        case ast.Subscript():
            yield from _literals(node.value, named)
        case ast.Dict():
            yield from (text for value in node.values for text in _literals(value, named))


def _meant(node: ast.expr, named: dict[str, list[ast.expr]]) -> list[ast.expr]:
    """What a name stands for, also one of another module; anything else stands for itself."""
    match node:
        case ast.Name():
            return named.get(node.id) or (_CONSTANTS.get(node.id, []) if node.id.strip("_").isupper() else [])
        case ast.Attribute(value=ast.Name(), attr=name) if name.isupper():
            return _CONSTANTS.get(name, [])
        case ast.Starred():
            return _meant(node.value, named)
    return [node]


def _assigned(statements: Iterator[ast.stmt] | list[ast.stmt]) -> dict[str, list[ast.expr]]:
    """What names are given, by `=` alone."""
    found: dict[str, list[ast.expr]] = {}
    for statement in statements:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found.setdefault(name, []).append(value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                found.setdefault(name, []).append(value)
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                for target, value in zip(names, values, strict=False):
                    if isinstance(target, ast.Name):
                        found.setdefault(target.id, []).append(value)
    return found


def _errors() -> set[str]:
    """The names of all classes below RodinError."""
    bases = {
        node.name: {base.id for base in node.bases if isinstance(base, ast.Name)}
        for _name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    found = {"RodinError"}
    while more := {name for name, above in bases.items() if above & found} - found:
        found |= more
    return found


_ERRORS = _errors()
_CONSTANTS = {name: values for _name, tree in modules() for name, values in _assigned(tree.body).items()}
"""Of all modules: their names are told apart."""


def main() -> int:
    language = sys.argv[1] if len(sys.argv) > 1 else ""
    if language and language not in languages():
        print(f"There is no {LANGUAGES / language}.py: make it with TEXTS = {{}} in it.", file=sys.stderr)
        return 1
    missing = lacks(language) if language else to_translate()
    where = ""
    for text, place in missing.items():
        if place != where:
            where = place
            print(f"    # {where}")
        print(f'    {json.dumps(text, ensure_ascii=False)}: "",')
    if not language:
        return 0
    for text in surplus(language):
        print(f"no longer said: {text!r}", file=sys.stderr)
    for text in unlike(language):
        print(f"other fields in the translation of {text!r}", file=sys.stderr)
    return 1 if missing or surplus(language) or unlike(language) else 0


if __name__ == "__main__":
    sys.exit(main())
