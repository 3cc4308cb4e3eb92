"""Passive trees of many compartments, and what a held soma does to its neighbours."""

import numpy as np
import pytest

import neurosim as ns
from neurosim.engines.cpu.codegen import generate
from neurosim.lower.plan import lower
from neurosim.models import Compartment, Coupling, SpikeMechanism, cable, compartmental

ENGINES = ["reference", ns.CPU(strategy="clock", threads=1)]


def tree(n, *, spike=True):
    """Return a cable of n compartments that spikes at its first."""
    parts, couplings = cable(n, 600.0, 2.0)
    mechanism = SpikeMechanism(compartment="dend_0", V_th=-60.0, V_reset=-75.0, t_ref=3.0)
    return compartmental(f"tree_{n}", parts, couplings, mechanism if spike else None)


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("n", [6, 12])  # written out, and as a table
def test_engines_agree_on_trees(n, precision):
    net = ns.Network()
    cells = net.population(11, tree(n)(dend_0_I_e=60.0), name="cells")
    net.inject(cells[:4], ns.StepCurrent([5.0, 12.0], [40.0, 0.0]), parameter="dend_0_I_e")
    record = [ns.Spikes(cells), ns.State(cells, ["dend_0_V_m", f"dend_{n - 1}_V_m"], 0.5)]
    found = ns.simulate(net, 60.0, record=record, engine=ns.CPU(precision=precision, threads=2))
    expected = ns.simulate(net, 60.0, record=record, engine="reference")
    if precision == "float64":
        assert expected.spikes["cells"].times.size >= 22
        np.testing.assert_array_equal(found.spikes["cells"].times, expected.spikes["cells"].times)
    for state, values in expected.traces["cells"].items():
        atol = 1e-9 if precision == "float64" else 1e-2
        np.testing.assert_allclose(found.traces["cells"][state][:20], values[:20], atol=atol)


def test_kernels_grow_with_the_tree_and_not_with_its_matrix():
    lines = []
    for n in (20, 40, 80):
        net = ns.Network()
        net.population(8, tree(n)(), name="cells")
        lowered = lower(net, 0.1, 0, 0, ()).populations[0].model
        assert len(lowered.full.matrix) == n * n
        lines.append(generate(lowered, None, "float64").source.count("\n"))
    assert lines[2] - lines[1] == pytest.approx(2 * (lines[1] - lines[0]), rel=0.05)


@pytest.mark.parametrize("dt", [0.1, 0.5])
@pytest.mark.parametrize("engine", ENGINES, ids=["reference", "cpu"])
def test_a_held_soma_is_a_voltage_source_for_its_dendrite(engine, dt):
    """C dV/dt = g_L (E - V) + g (V_reset - V): an exponential at any step."""
    model = compartmental(
        "pair",
        [Compartment("soma", C_m=100.0, g_L=5.0, E_L=-70.0),
         Compartment("dend", C_m=40.0, g_L=2.0, E_L=-70.0)],
        [Coupling("soma", "dend", 8.0)],
        SpikeMechanism(V_th=-50.0, V_reset=-80.0, t_ref=20.0),
    )  # fmt: skip
    net = ns.Network()
    cell = net.population(1, model(), name="cell", soma_V_m=-40.0, dend_V_m=-45.0)
    record = [ns.Spikes(cell), ns.State(cell, ["soma_V_m", "dend_V_m"], dt)]
    found = ns.simulate(net, 15.0, dt=dt, record=record, engine=engine)
    assert found.spikes["cell"].times.tolist() == [dt]
    soma, dend = (found.traces["cell"][f"{s}_V_m"][:, 0] for s in ("soma", "dend"))
    assert (soma == -80.0).all()
    rate = (2.0 + 8.0) / 40.0
    rest = (2.0 * -70.0 + 8.0 * -80.0) / 10.0
    since = np.arange(dend.size) * dt
    np.testing.assert_allclose(dend, rest + (dend[0] - rest) * np.exp(-rate * since), atol=1e-11)
