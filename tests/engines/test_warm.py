"""The driver is compiled in a second process where that is possible, and never wrongly."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from numba.core import caching

from neurosim.engines.cpu import warm
from neurosim.engines.cpu.kernels.cached import cached, can_cache, is_cached


@pytest.fixture
def started(monkeypatch):
    """Pretend that nothing is compiled yet, and collect the processes that would be started."""
    calls = []

    def popen(command, *, env, **options):
        calls.append(([str(c) for c in command], env))
        return SimpleNamespace(wait=lambda: 0)

    monkeypatch.setattr(warm.subprocess, "Popen", popen)
    monkeypatch.setattr(warm, "available_cores", lambda: 2)
    monkeypatch.setattr(warm, "can_cache", lambda function: True)
    monkeypatch.setattr(warm, "is_cached", lambda function, word: False)
    monkeypatch.delenv(warm._MARK, raising=False)
    warm.start_compiling.cache_clear()
    yield calls
    warm.start_compiling.cache_clear()


def test_one_process_for_each_precision(started):
    first = warm.start_compiling("float64")
    assert warm.start_compiling("float64") is first
    first.join()
    assert len(started) == 1
    assert warm.start_compiling("float32") is not first
    assert ["float64" in c[-1] for c, _ in started] == [True, False]


def test_modules_are_found_where_they_were(started, monkeypatch, tmp_path):
    # '' stands for the folder at start, as of `python -c`; a script's folder is not it
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", "/somewhere"])
    warm.start_compiling("float64")
    command, env = started[0]
    assert env["PYTHONPATH"].split(os.pathsep) == [str(tmp_path), "/somewhere"]
    assert command[1] == "-P"
    assert env[warm._MARK] == "1"
    monkeypatch.setenv(warm._MARK, "1")  # the second process starts no third
    assert warm.start_compiling("float32") is None


@pytest.mark.parametrize("executable", [None, "", "/usr/bin/uwsgi"])
def test_an_embedded_interpreter_compiles_itself(started, monkeypatch, executable):
    monkeypatch.setattr(sys, "executable", executable)
    assert warm.start_compiling("float64") is None
    assert not started


@pytest.mark.parametrize(
    ("name", "value"),
    [("available_cores", 1), ("can_cache", False), ("is_cached", True)],
)
def test_nothing_is_started_in_vain(started, monkeypatch, name, value):
    monkeypatch.setattr(warm, name, lambda *_: value)
    assert warm.start_compiling("float64") is None
    assert not started


def test_a_process_that_cannot_start(started, monkeypatch):
    def refuse(*_, **__):
        raise OSError("no more processes")

    monkeypatch.setattr(warm.subprocess, "Popen", refuse)
    assert warm.start_compiling("float64") is None


def test_functions_compile_where_nothing_can_be_written(monkeypatch):
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    twice = cached(error_model="numpy")(_twice)
    assert twice(21) == 42
    assert not can_cache(twice)
    assert is_cached(twice, "int64")
    assert not is_cached(twice, "float64")


def _twice(x):
    return 2 * x


def test_filling_the_cache_leaves_nothing_to_compile_but_models():
    script = """
import sys

import neurosim as ns
from numba.core.dispatcher import Dispatcher
from neurosim.engines.cpu.warm import fill_cache

def versions():
    modules = [m for name, m in list(sys.modules.items()) if name.startswith("neurosim.engines")]
    found = [d for m in modules for d in vars(m).values() if isinstance(d, Dispatcher)]
    return {(d.__name__, s) for d in found for s in d.signatures}

fill_cache()
before = versions()
net = ns.Network()
noise = net.population(5, ns.models.poisson(rate=50.0), name="noise")
cells = net.population(7, ns.models.iaf_psc_delta(), name="cells")
net.connect(noise, cells, ns.FixedIndegree(3), weight=ns.Normal(2.0, 0.5), delay=1.5, name="a")
net.connect(noise, cells, ns.FixedProbability(0.3), weight=1.0, delay=ns.Uniform(1, 3), name="b")
for precision in ("float32", "float64"):
    engine = ns.CPU(threads=2, precision=precision)
    ns.simulate(net, 20.0, record=[ns.Spikes(cells)], engine=engine)
ns.simulate(net, 20.0, dt=None, record=[ns.Spikes(cells)])
print(len(before) > 5, sorted(versions() - before))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "True []\n"
