"""The command line: explain, info, cache."""

import subprocess
import sys

import pytest

from neurosim.cli import main

SCRIPT = """
import neurosim as ns
net = ns.Network()
exc = net.population(80, ns.models.iaf_psc_exp(), name="exc")
hh = net.population(2, ns.models.hh_psc_alpha(), name="axons")
net.connect(exc, exc, ns.FixedProbability(0.1), weight=20.0, delay=1.5)
ns.simulate(net, 1e9, record=[ns.Spikes(exc)])
raise SystemExit("the simulation was run")
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return str(path)


def test_explain_describes_the_first_simulation_and_runs_nothing(script, capsys):
    assert main(["explain", script]) == 0
    out = capsys.readouterr().out
    assert "exc: 80 x iaf_psc_exp; V_m, I_syn_ex, I_syn_in exactly; receptors in use: exc" in out
    assert "axons: 2 x hh_psc_alpha" in out
    assert "by rk45" in out
    assert "exc->exc: exc -> exc, FixedProbability(p=0.1, autapses=True), one weight" in out
    assert "strategy of axons: clock" in out
    assert "A spike with delay d arrives at t + d." in out
    assert "def clock(block, step, row, out):" in out


def test_explain_leaves_out_kernels_on_request(script, capsys):
    assert main(["explain", "--no-kernels", script]) == 0
    assert "def clock" not in capsys.readouterr().out


def test_explain_says_when_nothing_was_simulated(tmp_path, capsys):
    path = tmp_path / "empty.py"
    path.write_text("x = 1")
    assert main(["explain", str(path)]) == 1
    assert "ran no simulation" in capsys.readouterr().err


def test_explain_shows_a_users_mistake_without_a_traceback(tmp_path, capsys):
    path = tmp_path / "wrong.py"
    path.write_text("import neurosim as ns\nns.models.iaf_psc_exp(tau_m=-1.0)")
    assert main(["explain", str(path)]) == 1
    assert capsys.readouterr().err == (
        "neurosim: ParameterError: iaf_psc_exp.tau_m = -1 ms: must be > 0 "
        "(membrane time constant).\n"
    )


def test_cache_is_cleared_only_in_its_own_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NEUROSIM_CACHE_DIR", str(tmp_path))
    (tmp_path / "neurosim_kernels_x_1.py").write_text("")
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["cache", "where"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path)
    assert main(["cache", "clear"]) == 0
    assert capsys.readouterr().out == "removed 1 generated kernels\n"
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_the_installed_command_prints_versions():
    command = [sys.executable, "-m", "neurosim.cli", "info"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("neurosim ")
    assert "cores:" in done.stdout
