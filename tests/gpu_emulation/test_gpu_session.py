"""The session script runs on the emulator, and what fails in it costs nothing else."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import nvrtc
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def session(monkeypatch):
    """The script as a module; its folder and what it imported from there are forgotten again."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    import gpu_session

    yield gpu_session
    for name in set(sys.modules) - before:
        origin = getattr(sys.modules[name], "__file__", None) or ""
        if origin.startswith(str(BENCHMARKS)):
            del sys.modules[name]


def test_every_part_runs_on_the_emulator(session, tmp_path):
    parts = [name for name in session.PARTS if name not in ("tests", "sanitizer")]
    session.main(["--emulate", "--inline", "--out", str(tmp_path), "--parts", *parts])
    found = json.loads((tmp_path / "results-gpu.json").read_text())
    assert {name: part["outcome"] for name, part in found["parts"].items()} == dict.fromkeys(
        parts, "done"
    )
    rows = [session.Row(**row) for part in found["parts"].values() for row in part["rows"]]
    assert [row for row in rows if row.value is False] == []
    page = (tmp_path / "RESULTS-gpu.md").read_text()
    assert "measures nothing" in page
    assert "| cooperative: real-time factor |" in page
    assert "| variant='owner': real-time factor |" in page


def test_what_fails_or_takes_too_long_is_noted(session, tmp_path, monkeypatch):
    def broken(place: Any) -> Any:
        """Breaks."""
        yield session.Row("before", 1.0)
        raise ValueError("no such unit")

    parts = {"broken": session.PARTS["machine"]._replace(run=broken)}
    monkeypatch.setattr(session, "PARTS", parts | {"machine": session.PARTS["machine"]})
    found = session.main(["--emulate", "--inline", "--out", str(tmp_path)])["parts"]
    assert found["broken"]["outcome"] == "failed: ValueError: no such unit"
    assert [row["name"] for row in found["broken"]["rows"]] == ["before"]
    assert found["machine"]["outcome"] == "done"
    assert session._process("machine", True, 0.01)[1] == "stopped after 0 s"
    seen: list[Any] = []
    rows, outcome = session._process("machine", True, 60.0, seen.append)
    assert (outcome, seen[-1]) == ("done", rows)  # they are written before the part has ended
    assert rows
    late = session.main(["--emulate", "--out", str(tmp_path), "--seconds", "1"])["parts"]
    assert late["machine"]["outcome"] == "no time was left"


def test_without_a_gpu_each_part_says_so(session, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    rows, outcome = session._process("launches", False, 60.0)
    assert rows == []
    assert "failed: neurosim.errors.EngineUnavailableError: engine 'gpu'" in outcome


@pytest.mark.skipif(nvrtc.library() is None, reason="the wheel nvidia-cuda-nvrtc is missing")
@pytest.mark.parametrize("kind", ["float", "unsigned", "unsigned long long"])
def test_kernels_compile_for_gpus(session, kind):
    from gpu.micro import source

    found = nvrtc.resources(source(kind), "sm_90")
    assert set(found) == {"run", "nothing", "scatter", "scatter_shared"}
    assert all(kernel.registers <= 32 for kernel in found.values())


def test_what_was_asked_for_is_compared(session):
    row = session.Row
    assert row("rtf", 0.05, at_most=0.08).met and not row("rtf", 0.09, at_most=0.08).met
    assert row("factor", 20.0, at_least=8.0).met and not row("factor", 7.9, at_least=8.0).met
    assert row("factor", 3.0).met is None and row("name", "a GPU").met is None
    assert row("same", True).met and row("same", False).met is False
