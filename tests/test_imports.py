"""Imports go one way, heavy packages load late, and importing says nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import neurosim

ROOT = Path(neurosim.__file__).parent

#: Who may import whom: a module only those of lower rank, or of its own part.
RANK = {
    "errors": 0,
    "units": 1, "random": 1, "typing": 1,
    "expressions": 2,
    "models": 3,
    "network": 4,
    "lower": 5,
    "engines.base": 6, "engines": 7, "engines.registry": 8,
    "results": 6, "analysis": 7, "plot": 8, "io": 9,
    "recorder": 10, "simulation": 11, "explain": 12,
    "learning": 13, "datasets": 13, "bridge": 14,
    "": 15, "cli": 16,
}  # fmt: skip

#: Packages that one part alone may import.
OWNERS = {
    "numba": ("engines.cpu", "bridge", "datasets", "analysis.kernels", "learning.kernels"),
    "llvmlite": ("engines.cpu", "bridge.kernels"),
    "torch": ("bridge", "datasets.loading"), "snntorch": ("bridge",),
    "cupy": ("engines.gpu", "bridge"), "mpi4py": ("engines.mpi",),
    "h5py": ("io", "network.sonata", "results", "datasets"), "matplotlib": ("plot",),
}  # fmt: skip

#: Imports that break the rank on purpose, always inside a function.
ALLOWED = {
    # conveniences of results: results.plot(), trains.to_sonata(path), ...
    ("results", "plot"), ("results", "io"), ("results", "analysis"), ("analysis", "plot"),
}  # fmt: skip


def part_of(module: str) -> str:
    """Return the entry of RANK that a module (without "neurosim.") belongs to."""
    names = module.split(".")
    for n in range(len(names), 0, -1):
        if ".".join(names[:n]) in RANK:
            return ".".join(names[:n])
    raise AssertionError(f"neurosim.{module} has no place in the order of imports")


def module_of(path: Path) -> str:
    """Return the name of a file's module without "neurosim."."""
    names = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


@cache
def imports(path: Path) -> list[tuple[str, int, bool]]:
    """Return (module, line, whether at the top) of each import that is executed."""
    found = []
    tree = ast.parse(path.read_text())
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            skipped |= {id(inner) for statement in node.body for inner in ast.walk(statement)}
    inside = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            names = [node.module or ""]
            if (ROOT.parent / Path(*names[0].split("."))).is_dir():  # from package import module
                names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            found.append((name, node.lineno, id(node) not in inside))
    return found


FILES = sorted(ROOT.rglob("*.py"))


def test_there_is_something_to_test():
    assert len(FILES) > 80
    found = [name for path in FILES for name, *_ in imports(path)]
    assert sum(name.startswith("neurosim.") for name in found) > 300
    assert "numba" in found


def test_imports_go_one_way():
    wrong = []
    for path in FILES:
        me = module_of(path)
        mine = part_of(me) if me else ""
        for name, line, at_top in imports(path):
            if not name.startswith("neurosim."):
                continue
            part = _imported_part(name.removeprefix("neurosim."))
            allowed = part == mine or RANK[part] < RANK[mine]
            if not allowed and (at_top or (mine, part) not in ALLOWED):
                wrong.append(f"{path.relative_to(ROOT.parent)}:{line}: {mine} imports {part}")
    assert not wrong


def _imported_part(name: str) -> str:
    # "models.iaf" is in models; "version" is a name of the package itself
    return part_of(name) if name.split(".")[0] in {r.split(".")[0] for r in RANK} else ""


def test_engines_know_nothing_of_each_other():
    engines = ("engines.cpu", "engines.reference", "engines.gpu", "engines.mpi")
    wrong = []
    for path in FILES:
        mine = next((e for e in engines if module_of(path).startswith(e)), None)
        others = tuple(f"neurosim.{e}" for e in engines if e != mine)
        wrong += [
            f"{path}:{line}: imports {name}"
            for name, line, _ in imports(path)
            if mine is not None and name.startswith(others)
        ]
    assert not wrong


def test_packages_are_imported_by_their_owners():
    wrong = []
    for path in FILES:
        me = module_of(path)
        for name, line, _ in imports(path):
            owners = OWNERS.get(name.split(".")[0])
            if owners and not any(me == o or me.startswith(f"{o}.") for o in owners):
                wrong.append(f"{path}:{line}: {name} is for {', '.join(owners)} only")
    assert not wrong


def python(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new process in which warnings are errors."""
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_import_is_silent_and_light():
    heavy = ("numba", "scipy", "h5py", "matplotlib", "torch", "cupy", "pandas", "sympy", "tqdm")
    code = f"import sys, neurosim; print([m for m in {heavy!r} if m in sys.modules], end='')"
    done = python(code)
    assert done.stderr == ""
    assert done.stdout == "[]"


def test_describing_a_network_loads_no_engine():
    code = (
        "import sys, neurosim as ns; net = ns.Network();"
        "a = net.population(10, ns.models.iaf_psc_exp());"
        "net.connect(a, a, ns.FixedIndegree(2), weight=ns.Normal(1, 1)); net.poisson_input(a, 8.0);"
        "ns.CPU(threads=2);"
        "print([m for m in ('numba', 'h5py', 'matplotlib') if m in sys.modules], end='')"
    )
    done = python(code)
    assert (done.stdout, done.stderr) == ("[]", "")


def test_public_names_exist_and_are_listed():
    for name in neurosim.__all__:
        assert getattr(neurosim, name) is not None
        assert name in dir(neurosim)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = neurosim.nothing
    with pytest.raises(AttributeError, match="Did you mean 'FixedIndegree'"):
        _ = neurosim.FixedInDegree
