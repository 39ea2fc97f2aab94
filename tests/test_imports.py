"""The house's one rule of building: a room may import only from the rooms below it."""

import ast
from pathlib import Path

import pytest

import sparsewire

SOURCE = Path(sparsewire.__file__).parent

# From the roof to the ground; rooms on one floor never import each other.
FLOORS = [
    {"__main__"},
    {"cli"},
    {"experiments"},
    {"lab"},
    {"search"},
    {"training"},
    {"models", "analysis", "data"},
    {"execution"},
    {"structure"},
    {"kernels"},
    {"files"},
    {"errors"},
]
HEIGHT = {room: len(FLOORS) - floor for floor, rooms in enumerate(FLOORS) for room in rooms}
# For matplotlib and friends: whoever needs one imports it inside the function that needs it.
HEAVY = {
    "matplotlib", "networkx", "sklearn", "plotly", "distributed", "dask", "dask_jobqueue", "onnx", "rustworkx",
    "pyarrow", "pandas", "starlette", "uvicorn", "tensorboard", "mlflow", "wandb",
}  # fmt: skip
FILES = sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(tree: ast.AST) -> list[tuple[ast.AST, str]]:
    """Every module that the code imports, at the top, inside functions and under TYPE_CHECKING alike."""
    found: list[tuple[ast.AST, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import; write the absolute name"
            assert node.module is not None
            found += [(node, f"{node.module}.{alias.name}") for alias in node.names]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_room_imports_only_from_below(path: Path) -> None:
    here = room_of(path)
    for node, name in imported(ast.parse(path.read_text())):
        parts = name.split(".")
        if parts[0] != "sparsewire" or len(parts) == 1:
            continue
        there = parts[1]
        if there == "__version__":  # where a report says which version made it
            continue
        assert there in HEIGHT, f"{path}:{node.lineno}: imports {name}: import from the room that holds the name"
        assert there == here or HEIGHT[there] < HEIGHT[here], f"{path}:{node.lineno}: {here} may not import {there}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_heavy_libraries_are_imported_where_they_are_used(path: Path) -> None:
    for node in _outside_functions(ast.parse(path.read_text())):
        for _, name in imported(node):
            assert name.split(".")[0] not in HEAVY, f"{path}:{node.lineno}: import {name} inside the function"


def _outside_functions(tree: ast.Module) -> list[ast.stmt]:
    return [
        node
        for node in tree.body
        # `if TYPE_CHECKING:` costs nothing
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.If)
    ]


def test_no_module_bears_the_name_of_a_public_function() -> None:
    modules = {path.stem for path in FILES} - {"__init__"}
    functions = set(sparsewire.__all__) - set(sparsewire._MODULES)
    assert not modules & functions


def test_rooms_stay_small() -> None:
    """One concept a file: a file of more than 300 lines holds two."""
    too_long = {str(path): lines for path in FILES if (lines := len(path.read_text().splitlines())) > 300}
    assert not too_long
    assert not [path for path in FILES if path.stem in {"utils", "helpers", "common", "base", "misc"}]
