"""The public surface is what `__init__.py` lists: it exists, it is documented, and importing it is cheap."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import sparsewire

ROOT = Path(__file__).parent.parent
STUB = Path(sparsewire.__file__).with_suffix(".pyi")


@pytest.mark.parametrize("name", sparsewire.__all__)
def test_every_public_name_exists_and_says_what_it_is(name: str) -> None:
    value = getattr(sparsewire, name)
    assert inspect.getdoc(value), f"{name} has no docstring"


@pytest.mark.parametrize("name", sparsewire.__all__)
def test_every_public_function_shows_an_example(name: str) -> None:
    value = getattr(sparsewire, name)
    if inspect.isfunction(value) or inspect.isclass(value):
        assert ">>>" in (inspect.getdoc(value) or ""), f"{name} has no example"


@pytest.mark.parametrize("module", sparsewire._MODULES)
def test_every_public_member_of_a_public_module_is_documented(module: str) -> None:
    value = getattr(sparsewire, module)
    for name, member in inspect.getmembers(value):
        ours = getattr(member, "__module__", "").startswith("sparsewire.")
        if ours and not name.startswith("_") and (inspect.isfunction(member) or inspect.isclass(member)):
            assert inspect.getdoc(member), f"{module}.{name} has no docstring"


def test_the_stub_for_type_checkers_lists_the_same_names() -> None:
    listed = [
        alias.asname or alias.name
        for node in ast.parse(STUB.read_text()).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert sorted(listed) == sorted(sparsewire.__all__)


def test_every_public_name_appears_in_the_docs() -> None:
    pages = "\n".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    missing = [name for name in sparsewire.__all__ if f"sparsewire.{name}" not in pages and f"sw.{name}" not in pages]
    assert not missing


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'prun'"):
        sparsewire.prun  # noqa: B018


def test_importing_the_package_does_not_import_torch() -> None:
    code = "import sys, sparsewire; dir(sparsewire); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_all_public_names_cost_no_more_than_torch_and_what_they_need() -> None:
    """torch's compiler takes as long to import as torch; so do pictures, and workers."""
    code = "import sys, sparsewire as sw; [getattr(sw, name) for name in sw.__all__]; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    heavy = {
        "torch._dynamo",
        "torch._inductor",
        "torch.onnx",
        "matplotlib",
        "plotly",
        "distributed",
        "sklearn",
        "pandas",
    }
    assert not heavy & set(found)


def test_the_changelog_knows_this_version() -> None:
    first = next(line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## "))
    assert first.split()[1] in {sparsewire.__version__, "Unreleased"}
