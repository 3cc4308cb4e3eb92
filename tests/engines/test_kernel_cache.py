"""Compiled kernels on disk: used again, and never when their sources have changed."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import neurosim.engines.cpu.kernels as kernels
from neurosim.engines.cpu.compile import load, with_room
from neurosim.engines.cpu.kernels.cached import cached, sources_digest
from neurosim.engines.cpu.options import available_cores

SCRIPT = """
import neurosim as ns
net = ns.Network()
cell = net.population(2, ns.models.iaf_psc_delta(), name="cell")
simulation = ns.Simulation(net, record=[ns.Spikes(cell)], engine=ns.CPU(threads=1))
simulation.run(1.0)
from neurosim.engines.cpu.kernels.driver import run_thread
stats = run_thread.stats
print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()), end="")
"""


def run(tmp_path: Path) -> str:
    places = {
        "NEUROSIM_CACHE_DIR": str(tmp_path / "ours"),
        "NUMBA_CACHE_DIR": str(tmp_path / "ours"),
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=os.environ | places, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    return done.stdout


def test_the_second_start_compiles_nothing(tmp_path):
    first = run(tmp_path)
    # with a core to spare another process compiled the driver meanwhile
    assert first == ("1 0" if available_cores() > 1 else "0 1")
    written = sorted((tmp_path / "ours").rglob("*.nbc"))
    assert written
    times = [p.stat().st_mtime_ns for p in written]
    assert run(tmp_path) == "1 0"  # the driver came from the cache
    assert [p.stat().st_mtime_ns for p in sorted((tmp_path / "ours").rglob("*.nbc"))] == times


def test_a_changed_source_is_compiled_anew(monkeypatch):
    # the stamp by which Numba knows whether a cached function is still good
    def stamp() -> object:
        return cached(error_model="numpy")(_twice)._cache._cache_file._source_stamp

    before = stamp()
    assert stamp() == before
    sources_digest.cache_clear()
    original = Path.read_bytes

    def edited(path: Path) -> bytes:
        return original(path) + (b"# changed" if path.name == "drive.py" else b"")

    monkeypatch.setattr(Path, "read_bytes", edited)
    assert stamp() != before
    monkeypatch.undo()
    sources_digest.cache_clear()
    assert stamp() == before


def _twice(x):
    return 2 * x


def test_no_kernel_is_cached_without_its_sources():
    # numba's own cache=True looks at one file only
    engine = Path(kernels.__file__).parent.parent
    for path in (*engine.glob("kernels/*.py"), *engine.glob("continuous/kernels/*.py")):
        if path.name != "cached.py":
            text = path.read_text()
            assert "cache=True" not in text and '"cache": True' not in text, path


def test_generated_kernels_know_what_they_inline():
    # equal text is loaded once in a process, and its file carries the digest of all its sources
    text = "def answer():\n    return 42\n"
    module = load("probe", text)
    assert load("probe", text) is module
    assert module.answer() == 42
    assert "neurosim_kernels_probe_" in module.__name__
    Path(module.__file__).unlink()


@pytest.mark.parametrize("collecting", [True, False])
def test_compiling_leaves_the_collection_of_garbage_as_it_was(tmp_path, monkeypatch, collecting):
    monkeypatch.setenv("NEUROSIM_CACHE_DIR", str(tmp_path))
    before = gc.isenabled()
    (gc.enable if collecting else gc.disable)()
    try:
        assert load("seen", f"import gc\nSEEN, WAS = gc.isenabled(), {collecting}").SEEN is False
        with pytest.raises(ZeroDivisionError):
            load("broken", "1 / 0")
        assert gc.isenabled() is collecting
    finally:
        (gc.enable if before else gc.disable)()


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="chunks are those of Python 3.11")
def test_calls_with_room_map_no_memory():
    """A function that is called across the edge of a chunk faults in a page at each call."""
    resource = pytest.importorskip("resource")

    def leaf():
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

    def calls():
        before = leaf()
        for _ in range(300):
            leaf()
        return leaf() - before

    def at_depth(depth):
        return at_depth(depth - 1) if depth else calls()

    def most():  # a chunk holds fewer than 300 of these frames, so one depth is at its edge
        return max(at_depth(depth) for depth in range(300))

    with ThreadPoolExecutor(1) as fresh:  # the stack of this thread has room already
        assert fresh.submit(most).result() >= 300
        assert fresh.submit(with_room, most).result() < 100
