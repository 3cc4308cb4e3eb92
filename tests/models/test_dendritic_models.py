"""Neurons with active dendrites: published numbers, plateaus, local spikes, bursts; both engines.

The table is that of the two-compartment example of Dendrify (Pagkalos et al. 2023), evaluated by
Euler steps of 0.01 ms for n simultaneous synapses on the dendrite and no somatic spike.
"""

import numpy as np
import pytest

import neurosim as ns
from neurosim.lower.plan import lower
from neurosim.models import Compartment, Coupling, compartmental

ENGINES = ["reference", "cpu"]
COUNTS = [1, 4, 8, 12]
#: Peaks of dendrite and soma [mV] and somatic area above rest over 140 ms [mV ms], for COUNTS.
TABLE = {
    "dend_ampa": ([-56.89, -48.79, -40.32, -33.82], [-59.13, -56.87, -54.52, -52.70],
                  [24.5, 88.2, 155.2, 207.1]),
    "dend_exc": ([-56.35, -46.10, -33.95, -24.42], [-58.80, -55.04, -48.92, -42.11],
                 [79.0, 349.4, 833.0, 1423.0]),
}  # fmt: skip


def respond(model, inputs, duration, states, engine="cpu", dt=0.1):
    """Return the results of neurons that get weights at 2 ms.

    `inputs` maps receptors to one weight a neuron; the others are used too, by a silent source, so
    that all tests of a model share a kernel.
    """
    n = len(next(iter(inputs.values())))
    net = ns.Network()
    cells = net.population(n, model, name="cells")
    once = net.population(1, ns.models.spike_source(times=[1.0]), name="once")
    for receptor in model.receptors:
        weight = np.asarray(inputs.get(receptor, np.zeros(n)), float)
        pairs = ns.Explicit(np.zeros(n, int), np.arange(n))
        net.connect(once, cells, pairs, weight=weight, delay=1.0, receptor=receptor)
    record = [ns.Spikes(cells), ns.State(cells, states, interval=dt)]
    results = ns.simulate(net, duration, dt=dt, record=record, engine=engine)
    trains = [results.spikes["cells"].times[results.spikes["cells"].ids == k] for k in range(n)]
    return trains, results.traces["cells"]


def assert_engines_agree(model, inputs, duration, states):
    """Both engines give the same spikes and the same traces."""
    (a_trains, a), (b_trains, b) = (
        respond(model, inputs, duration, states, engine) for engine in ENGINES
    )
    for left, right in zip(a_trains, b_trains, strict=True):
        np.testing.assert_allclose(left, right, rtol=0, atol=1e-9)
    for s in states:
        np.testing.assert_allclose(a[s], b[s], rtol=0, atol=1e-8)


# ---- two compartments with AMPA and NMDA


@pytest.mark.parametrize(("method", "allowed"), [("euler", 0.05), ("rk4", 0.055)])
@pytest.mark.parametrize("receptor", TABLE)
def test_published_table(receptor, method, allowed):
    """Within 0.05 mV by Euler steps, as the table was made; rk4 shows Euler's error, 0.053 mV."""
    model = ns.models.lif_dendrite(V_th=100.0, method=method)
    _, traces = respond(model, {receptor: COUNTS}, 142.0, ["dend_V_m", "soma_V_m"], dt=0.01)
    dend, soma, area = TABLE[receptor]
    np.testing.assert_allclose(traces["dend_V_m"].max(axis=0), dend, rtol=0, atol=allowed)
    np.testing.assert_allclose(traces["soma_V_m"].max(axis=0), soma, rtol=0, atol=0.05)
    found = (traces["soma_V_m"] + 60.0).sum(axis=0) * 0.01
    np.testing.assert_allclose(found, area, rtol=2.5e-3)


@pytest.mark.parametrize("engine", ENGINES)
def test_nmda_sums_supralinearly_and_ampa_sublinearly(engine):
    """Area of eight synapses over eight times that of one: 1.318 and 0.79."""
    model = ns.models.lif_dendrite(V_th=100.0)
    for receptor, expected in (("dend_exc", 1.318), ("dend_ampa", 0.79)):
        _, traces = respond(model, {receptor: [1, 8]}, 142.0, ["soma_V_m"], engine)
        one, eight = (traces["soma_V_m"] + 60.0).sum(axis=0)
        assert eight / (8 * one) == pytest.approx(expected, abs=0.01)


def test_resistances_and_time_constants():
    """DC input resistances 82.353 and 117.647 MOhm, transfers 0.6 and 0.857, 20 and 2.3529 ms."""
    passive = compartmental(
        "passive",
        [Compartment("soma", C_m=200.0, g_L=10.0, E_L=-60.0),
         Compartment("dend", C_m=50.0, g_L=2.5, E_L=-60.0)],
        [Coupling("soma", "dend", 15.0)],
    )  # fmt: skip
    net = ns.Network()
    into_soma = net.population(1, passive(soma_I_e=10.0), name="soma")
    into_dend = net.population(1, passive(dend_I_e=10.0), name="dend")
    states = ["soma_V_m", "dend_V_m"]
    record = [ns.State(p, states, interval=600.0) for p in (into_soma, into_dend)]
    traces = ns.simulate(net, 600.0, record=record, engine="cpu").traces
    up = {p: [traces[p][s][-1, 0] + 60.0 for s in states] for p in ("soma", "dend")}
    assert up["soma"][0] / 0.01 == pytest.approx(17.5 / 212.5 * 1e3, rel=1e-6)
    assert up["dend"][1] / 0.01 == pytest.approx(25.0 / 212.5 * 1e3, rel=1e-6)
    assert up["dend"][0] / up["dend"][1] == pytest.approx(0.6, rel=1e-6)
    assert up["soma"][1] / up["soma"][0] == pytest.approx(15.0 / 17.5, rel=1e-6)
    model = lower(net, 0.1, 0, 0, ()).populations[0].model
    A = np.array([[model.full.generator[r, c] for c in model.linear] for r in model.linear])
    np.testing.assert_allclose(sorted(-1 / np.linalg.eigvals(A).real), [40 / 17, 20.0], rtol=1e-12)


def test_dc_resistances_of_the_built_in_model():
    """The same with its synapses, which are silent and integrated by rk4."""
    for into, out, expected in (("soma", "soma", 82.352941), ("dend", "dend", 117.647059)):
        model = ns.models.lif_dendrite(V_th=100.0, **{f"{into}_I_e": 10.0})
        _, traces = respond(model, {"dend_exc": [0]}, 600.0, [f"{out}_V_m"])
        assert (traces[f"{out}_V_m"][-1, 0] + 60.0) / 0.01 == pytest.approx(expected, rel=1e-6)


def test_plateaus_grow_with_the_input():
    """Time above -40 mV: no plateau by AMPA synapses or few NMDA synapses, tens of ms by many."""
    model = ns.models.lif_dendrite(V_th=100.0)
    above = {}
    for receptor in TABLE:
        _, traces = respond(model, {receptor: [4, 8, 12, 20, 30]}, 300.0, ["dend_V_m"])
        above[receptor] = (traces["dend_V_m"] > -40.0).sum(axis=0) * 0.1
    np.testing.assert_allclose(above["dend_exc"], [0.0, 11.4, 57.1, 91.3, 115.9], atol=0.2)
    assert above["dend_ampa"].max() < 10.0


def test_plateau_makes_the_soma_fire_repeatedly():
    model = ns.models.lif_dendrite()
    trains, _ = respond(model, {"dend_exc": [8, 14, 20]}, 200.0, ["dend_V_m"])
    assert [t.size for t in trains] == [0, 1, 3]


def test_plateau_needs_its_synapses_on_one_dendrite():
    model = ns.models.lif_two_dendrites(V_th=100.0)
    inputs = {"left_exc": [12, 6], "right_exc": [0, 6]}
    _, traces = respond(model, inputs, 200.0, ["left_V_m", "right_V_m"])
    clustered, spread = (traces["left_V_m"] > -40.0).sum(axis=0) * 0.1
    assert clustered > 45.0
    assert spread < 10.0
    np.testing.assert_allclose(traces["left_V_m"][:, 1], traces["right_V_m"][:, 1], atol=1e-12)


# ---- local sodium spikes


@pytest.mark.parametrize(("dt", "engine"), [(0.01, "cpu"), (0.1, "cpu"), (0.1, "reference")])
def test_sodium_spikes_begin_at_eight_synapses(dt, engine):
    model = ns.models.lif_dendrite_na(V_th=100.0)
    states = ["dend_V_m", "dend_since_na"]
    _, traces = respond(model, {"dend_exc": [6, 7, 8, 9, 10, 12]}, 142.0, states, engine, dt)
    counts = (traces["dend_since_na"] == 0.0).sum(axis=0)
    assert counts[:4].tolist() == [0, 0, 1, 1]
    assert counts[4:].min() > 1
    peaks = traces["dend_V_m"].max(axis=0)
    np.testing.assert_allclose(peaks[2:4], [-5.7, -5.2], rtol=0, atol=0.1)


def test_sodium_spike_has_its_durations():
    """Conductances are on for t_rise and t_fall, one step after the crossing, whatever dt is."""
    model = ns.models.lif_dendrite_na(
        V_th=100.0, dend_g_fall_na=0.0, dend_E_rise_na=1000.0, dend_t_ref_na=100.0
    )
    for dt in (0.1, 0.05):
        _, traces = respond(model, {"dend_exc": [8]}, 30.0, ["dend_V_m"], dt=dt)
        slope = np.diff(traces["dend_V_m"][:, 0]) / dt
        assert (slope > 100.0).sum() * dt == pytest.approx(1.2, abs=1e-9)


def test_sodium_spikes_keep_their_refractory_time():
    model = ns.models.lif_dendrite_na(V_th=100.0)
    _, traces = respond(model, {"dend_exc": [30]}, 142.0, ["dend_since_na"])
    times = traces.t[traces["dend_since_na"][:, 0] == 0.0]
    assert times.size > 10
    assert np.diff(times).min() >= 5.0 - 1e-9


# ---- Tripod


def test_plateaus_of_man_and_mouse():
    """Human dendrites have NMDA plateaus of tens of ms, those of the mouse none."""
    quiet = {"V_th": 1000.0, "soma_V_T_spike": 1000.0}
    above = {}
    for model in (ns.models.tripod, ns.models.tripod_mouse):
        inputs = {"distal_exc": [30, 70, 100]}
        _, traces = respond(model(**quiet), inputs, 200.0, ["distal_V_m"])
        above[model.__name__] = (traces["distal_V_m"] > -40.0).sum(axis=0) * 0.1
    assert above["tripod"][0] < 5.0
    assert 40.0 < above["tripod"][1] < above["tripod"][2] < 80.0
    assert above["tripod_mouse"].max() < 5.0


def test_tripod_fires_by_its_proximal_dendrite_first():
    """The distal dendrite gives less to the soma; a spike depolarises both dendrites."""
    inputs = {"proximal_exc": [100, 0], "distal_exc": [0, 30]}
    states = ["soma_V_m", "distal_V_m"]
    trains, traces = respond(ns.models.tripod(), inputs, 60.0, states)
    assert [t.size > 0 for t in trains] == [True, False]
    at = round(trains[0][0] / 0.1) - 1
    np.testing.assert_array_equal(traces["soma_V_m"][at : at + 31, 0], -70.6)
    during = traces["distal_V_m"][at : at + 11, 0]
    assert (np.diff(during) > 0).all()
    assert during[-1] > -25.0  # 15.7 nS on 25 pF follow 20 mV with 1.5 ms


# ---- calcium spikes


def test_calcium_spike_makes_a_burst_of_coincident_input():
    """Soma alone: one spike. Dendrite alone: none. Both: a burst and a plateau of 30 ms."""
    inputs = {"soma_exc": [50, 0, 50], "dend_exc": [0, 15, 15]}
    states = ["soma_V_m", "dend_V_m"]
    trains, traces = respond(ns.models.pyramidal_ca(), inputs, 200.0, states)
    assert [t.size for t in trains] == [1, 0, 3]
    plateau = (traces["dend_V_m"] > -38.0).sum(axis=0) * 0.1
    assert plateau[:2].tolist() == [0.0, 0.0]
    assert plateau[2] == pytest.approx(31.4, abs=1.0)
    assert np.diff(trains[2]).max() < 16.0


def test_calcium_spike_is_all_or_none():
    """With one somatic spike the plateau jumps from nothing to its full size."""
    inputs = {"soma_exc": [50.0] * 4, "dend_exc": [8, 10, 15, 25]}
    _, traces = respond(ns.models.pyramidal_ca(), inputs, 200.0, ["dend_V_m"])
    plateau = (traces["dend_V_m"] > -38.0).sum(axis=0) * 0.1
    assert plateau[1] < 10.0
    assert plateau[2:].min() > 25.0


# ---- both engines


@pytest.mark.parametrize(
    ("name", "inputs", "states"),
    [
        ("lif_dendrite", {"dend_exc": [4, 20], "soma_gaba": [0, 3]}, ["soma_V_m", "dend_V_m"]),
        ("lif_dendrite_na", {"dend_exc": [8, 14]}, ["soma_V_m", "dend_V_m", "dend_since_na"]),
        ("lif_two_dendrites", {"left_exc": [12, 20], "right_exc": [0, 6]}, ["left_V_m"]),
        ("tripod", {"distal_exc": [40, 80], "proximal_exc": [80, 20]}, ["soma_V_m", "distal_V_m"]),
        ("pyramidal_ca", {"soma_exc": [50, 50], "dend_exc": [0, 15]}, ["soma_V_m", "dend_V_m"]),
    ],
)
def test_engines_agree(name, inputs, states):
    assert_engines_agree(getattr(ns.models, name)(), inputs, 80.0, states)
