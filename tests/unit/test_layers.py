# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of the layers, which CONTRIBUTING.md draws: an import goes to an earlier layer or stays in its own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "rodin_blender"
TOOLS = PACKAGE.with_name("tools")
LAYERS = (
    "texts", "service", "tasks", "storage", "tracking", "configuration", "command_line", "blender", "scripting"
)  # fmt: skip
ANYWHERE = ("handlers",)
"""What stands beside the layers and imports only `texts`, `service`, `tasks` and `storage`."""
LONGEST = 400
"""Lines of a module. What needs more holds more than one thing."""
EFFECTS = ("wake", "tracker", "follow", "run", "tell", "show", "fill", "clear", "set_value", "enter", "renew", "touch")
"""Methods and functions of `blender` that do something."""
WITHOUT_BPY = LAYERS[: LAYERS.index("command_line") + 1]


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imported(path: Path, *, running: bool = False) -> Iterator[str]:
    """What a module imports, as whole names below the package, and as they are from elsewhere.

    With `running`, without what is imported for type checkers only.
    """
    inside = path.relative_to(PACKAGE).with_suffix("").parts
    tree = ast.parse(path.read_text(encoding="utf-8"))
    passed = {inner for node in ast.walk(tree) if running and _is_for_types(node) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if node in passed:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module)
        elif isinstance(node, ast.ImportFrom):
            above = inside[: len(inside) - node.level]
            name = ".".join(("", *above, *([node.module] if node.module else [])))
            yield from (f"{name}.{alias.name}" for alias in node.names)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _named(path: Path) -> str:
    """A module's whole name below the package, as `imported` has it."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(("", *parts)).removesuffix(".__init__")


def imports_of_modules() -> dict[str, set[str]]:
    """The modules that each module imports, all by their whole names below the package."""
    names = {_named(path): path for path in modules()}

    def module(name: str) -> str:
        """The module that an imported name is, or that holds it."""
        return name if name in names else name.rpartition(".")[0]

    return {
        name: {module(other) for other in imported(path, running=True) if other.startswith(".")} - {name}
        for name, path in names.items()
    }


def test_no_modules_import_each_other() -> None:
    """Nor in a circle of several; an import within a function counts, since it only hides the circle."""
    _assert_no_circle(imports_of_modules())


def test_no_parts_of_blender_import_each_other() -> None:
    """A folder of `blender` is taken as a whole: what it is made of needs nothing of those who use it."""

    def part(name: str) -> str:
        return ".".join(name.split(".")[:3])

    imports: dict[str, set[str]] = {}
    for name, others in imports_of_modules().items():
        if name.startswith(".blender."):
            found = {part(other) for other in others if other.startswith(".blender.")}
            imports.setdefault(part(name), set()).update(found - {part(name)})
    assert imports[".blender.panels"] >= {".blender.app", ".blender.properties"}
    _assert_no_circle(imports)


def test_no_tools_import_each_other() -> None:
    names = {".".join(path.relative_to(TOOLS.parent).with_suffix("").parts): path for path in TOOLS.rglob("*.py")}
    imports: dict[str, set[str]] = {}
    for name, path in names.items():
        nodes = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.ImportFrom)]
        modules = [resolve_name("." * node.level + (node.module or ""), name.rpartition(".")[0]) for node in nodes]
        found = {f"{module}.{alias.name}" for module, node in zip(modules, nodes, strict=True) for alias in node.names}
        imports[name] = (found | {*modules}) & names.keys() - {name}
    assert imports["tools.simulator.service"] >= {"tools.simulator.faults", "tools.simulator.generation_faults"}
    _assert_no_circle(imports)


def _assert_no_circle(imports: dict[str, set[str]]) -> None:
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(" is imported by ".join(error.args[1]))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_import_goes_up(path: Path) -> None:
    layer = path.relative_to(PACKAGE).with_suffix("").parts[0]
    for name in imported(path):
        if name == "bpy" or name.startswith("bpy."):
            assert layer not in WITHOUT_BPY, f"{path} imports bpy"
        if name.startswith(".") and layer in LAYERS:
            other = name.split(".")[1]
            if other in LAYERS:
                assert LAYERS.index(other) <= LAYERS.index(layer), f"{path} imports {name}, which is a later layer"
            else:
                assert other in ANYWHERE, f"{path} imports {name}, which is no layer"


@pytest.mark.parametrize(
    "path",
    [path for path in modules() if path.parent.name != "languages"],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_a_module_holds_one_thing(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize("path", sorted((PACKAGE / "blender" / "panels").glob("*.py")), ids=lambda path: path.name)
def test_drawing_only_reads(path: Path) -> None:
    """Nothing that `draw` calls of ours has an effect, and it sets nothing of ours."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in EFFECTS, f"{path.name} calls {node.func.attr} in line {node.lineno}"
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            assert not ast.unparse(node).startswith(("app()", "session.", "self.session")), f"line {node.lineno}"


def test_one_object_holds_what_is_alive_in_blender() -> None:
    """A module that sets a global of its own keeps something that outlives disabling the extension."""
    found = {
        path.name
        for path in (PACKAGE / "blender").rglob("*.py")
        if any(isinstance(node, ast.Global) for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert found == {"app.py"}
