"""What may run code out of a file or a text stands nowhere in the sources: read from the syntax tree, not by grep."""

import ast
from pathlib import Path

import pytest

import sparsewire

SOURCE = Path(sparsewire.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
TEXTS = sorted(path for path in SOURCE.rglob("*") if path.suffix in {".js", ".html", ".j2", ".svg"})

# Each can be made to run any code by the bytes that it reads.
MODULES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "imp", "pty"}
BUILTINS = {"eval", "exec", "compile", "__import__", "execfile"}
DOTTED = {
    "os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "yaml.load", "yaml.unsafe_load",
    "yaml.full_load", "torch.hub.load", "torch.jit.load", "torch.package.PackageImporter",
    "torch.hub.load_state_dict_from_url",
    "torch.utils.model_zoo.load_url", "pandas.read_pickle",
    "pd.read_pickle", "asyncio.create_subprocess_shell", "runpy.run_path", "runpy.run_module",
}  # fmt: skip
ATTRIBUTES = {"extractall", "unpack_archive", "read_pickle", "to_pickle", "literal_exec", "run_cell"}
KEYWORDS = {"shell": True, "allow_pickle": True, "weights_only": False, "trust_remote_code": True}

# (file, what) → why it is harmless there. Nothing needs an exception now.
ALLOWED: dict[tuple[str, str], str] = {}


def dotted(node: ast.expr) -> str:
    """`torch.load` for that expression; "" for what is no plain name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := dotted(node.value)):
        return f"{before}.{node.attr}"
    return ""


def renamed(tree: ast.AST) -> dict[str, str]:
    """What the names of this file mean: `from torch import load as read` makes `read` stand for `torch.load`."""
    meaning = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            meaning |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            meaning |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return meaning


def name_of(node: ast.expr, meaning: dict[str, str]) -> str:
    """The full name of what an expression means."""
    head, _, rest = dotted(node).partition(".")
    return meaning.get(head, head) + (f".{rest}" if rest else "")


def forbidden(code: str) -> list[tuple[int, str]]:
    """Line and name of everything that may not stand in a source."""
    tree = ast.parse(code)
    meaning, found = renamed(tree), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            found += [(node.lineno, name) for name in names if name.split(".")[0] in MODULES]
        elif isinstance(node, ast.Call):
            found += [(node.lineno, what) for what in _of_call(node, meaning)]
        if isinstance(node, ast.Name | ast.Attribute):
            found += [(node.lineno, what) for what in _of_name(node, meaning)]
    return sorted(set(found))


def _of_name(node: ast.Name | ast.Attribute, meaning: dict[str, str]) -> list[str]:
    name = name_of(node, meaning)
    unsafe = name in BUILTINS | DOTTED or name.removeprefix("builtins.") in BUILTINS
    return [name] if unsafe or (isinstance(node, ast.Attribute) and node.attr in ATTRIBUTES) else []


def _of_call(node: ast.Call, meaning: dict[str, str]) -> list[str]:
    given = {keyword.arg: keyword.value for keyword in node.keywords}
    found = [
        f"{name}={bad}"
        for name, bad in KEYWORDS.items()
        if name in given and not (isinstance(value := given[name], ast.Constant) and value.value is not bad)
    ]
    if name_of(node.func, meaning) in ("torch.load", "torch.serialization.load"):
        only = given.get("weights_only")
        if not (isinstance(only, ast.Constant) and only.value is True):
            found.append("torch.load without weights_only=True")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_nothing_here_runs_what_it_reads(path: Path) -> None:
    here = str(path.relative_to(SOURCE))
    found = [(line, what) for line, what in forbidden(path.read_text()) if (here, what) not in ALLOWED]
    assert not found, f"{here}: {found}: read data as data, or say in ALLOWED why it is harmless"


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(SOURCE)))
def test_nothing_on_a_page_runs_what_it_reads(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not [word for word in ("eval(", "new Function(", "document.write(", "javascript:") if word in text]


def test_every_exception_is_needed() -> None:
    found = {(str(path.relative_to(SOURCE)), what) for path in FILES for _, what in forbidden(path.read_text())}
    assert set(ALLOWED) <= found
    assert all(ALLOWED.values())


CAUGHT = [
    "import pickle", "from pickle import loads", "import cloudpickle.x", "import marshal as m", "import shelve",
    "eval('1')", "exec(x)", "compile(x, '', 'eval')", "__import__('os')", "import builtins\nbuiltins.eval('1')",
    "import builtins as b\nb.exec('1')", "run = eval", "map(eval, x)", "from builtins import eval as safe\nsafe(x)",
    "from torch import load as read\nread(f)", "import torch as t\nt.load(f)",
    "torch.load(f)", "torch.load(f, weights_only=False)", "torch.load(f, weights_only=flag)", "torch.load(f, **more)",
    "torch.jit.load(f)", "torch.hub.load(x)", "from torch import jit\njit.load(f)",
    "yaml.load(f)", "from yaml import load\nload(f)", "import yaml as y\ny.unsafe_load(f)",
    "subprocess.run(x, shell=True)", "subprocess.run(x, shell=flag)", "os.system(x)", "import os as o\no.popen(x)",
    "np.load(f, allow_pickle=True)", "archive.extractall(x)", "shutil.unpack_archive(x)",
]  # fmt: skip
FINE = [
    "model.eval()", "re.compile('x')", "import pickletools", "torch.load(f, weights_only=True)", "yaml.safe_load(f)",
    "subprocess.run(x, shell=False)", "np.load(f, allow_pickle=False)", "np.load(f)", "evaluate(x)", "json.load(f)",
    "torch.compile(f)", "executor.submit(x)", "'eval(x)'",
]  # fmt: skip


@pytest.mark.parametrize("code", CAUGHT)
def test_the_gate_catches(code: str) -> None:
    assert forbidden(code)


@pytest.mark.parametrize("code", FINE)
def test_the_gate_lets_through(code: str) -> None:
    assert not forbidden(code)
