"""Compartments as declarations: the text they become, and what a mistake is answered with."""

import pickle

import numpy as np
import pytest
from scipy.linalg import expm

import neurosim as ns
from neurosim.errors import ModelError, ParameterError, UnknownNameError
from neurosim.lower.plan import lower
from neurosim.lower.sleep import sleep_of
from neurosim.models import (
    Compartment,
    CompartmentalModel,
    Coupling,
    Mechanism,
    SpikeMechanism,
    compartmental,
    conductance_synapse,
    current_synapse,
    model_from_dict,
    nmda_synapse,
    param,
)

ENGINES = ["reference", "cpu"]


def membrane(name, **parts):
    return Compartment(name, C_m=100.0, g_L=5.0, E_L=-70.0, **parts)


def lowered(model, dt=0.1):
    net = ns.Network()
    net.population(1, model, name="cell")
    return lower(net, dt, 0, 0, ()).populations[0].model


def traces(model, duration, states, engine="reference", dt=0.1, spikes=(), **weights):
    """Return the result of input spikes with a weight to each receptor."""
    net = ns.Network()
    cell = net.population(1, model, name="cell")
    for receptor, weight in weights.items():
        source = net.population(1, ns.models.spike_source(times=spikes), name=receptor)
        net.connect(source, cell, ns.OneToOne(), weight=weight, delay=1.0, receptor=receptor)
    record = [ns.Spikes(cell), ns.State(cell, states, interval=dt)]
    return ns.simulate(net, duration, dt=dt, record=record, engine=engine)


# ---- what a declaration becomes


def test_names_of_parameters_states_and_receptors():
    model = compartmental(
        "cell",
        [membrane("soma", inh=conductance_synapse(-85.0, 2.0, tau_rise=2.0)),
         membrane("dend", ampa=conductance_synapse(0.0, 2.0, g_max=3.0),
                  nmda=nmda_synapse(g_max=1.5),
                  receptors={"glu": ["ampa", "nmda"]})],
        [Coupling("soma", "dend", 15.0)],
        SpikeMechanism(V_th=-50.0),
    )  # fmt: skip
    assert list(model.receptors) == ["soma_inh", "dend_ampa", "dend_nmda", "dend_glu"]
    assert model.receptors["dend_glu"] == "dend_g_ampa += weight*dend_g_max_ampa; " \
        "dend_g_nmda += weight*dend_g_max_nmda"  # fmt: skip
    assert {"soma_V_m", "soma_g_in", "soma_dg_in", "dend_V_m", "dend_g_nmda"} <= set(model.states)
    assert {"soma_C_m", "dend_I_e", "g_soma_dend", "dend_Mg_nmda", "V_th", "t_ref"} <= set(
        model.parameters
    )
    assert all(p.doc for p in model.parameters.values())
    assert model.spec.refractory.hold == ["soma_V_m"]


def test_is_an_ordinary_model():
    model = ns.models.lif_dendrite_na(dend_C_m=40.0)
    assert model.spec.text["equations"].count("dsoma_V_m/dt") == 1
    again = model_from_dict(model.to_dict())
    assert again.values == model.values
    assert again.spec.odes == model.spec.odes
    assert pickle.loads(pickle.dumps(model)).values == model.values


@pytest.mark.parametrize("name", ["lif_dendrite", "tripod", "iaf_cond_alpha_mc"])
def test_no_current_is_lost_between_compartments(name):
    """With equal leaks and no input, sum of C dV/dt is the leak current of the whole cell."""
    model = lowered(getattr(ns.models, name)())
    rng = np.random.default_rng(3)
    values = dict(model.values) | dict.fromkeys(model.states, 0.0) | {"dt": 0.1, "t": 0.0}
    potentials = [s for s in model.states if s.endswith("_V_m")]
    values |= {s: -70.0 + 5.0 * rng.random() for s in potentials}
    values |= {s: 1000.0 for s in model.states if "since" in s}
    values["soma_V_T_spike"] = 1e6  # switches the exponential current of the Tripod off
    from neurosim.expressions import evaluate

    names = [s.removesuffix("_V_m") for s in potentials]
    total = sum(values[f"{c}_C_m"] * evaluate(model.rhs[f"{c}_V_m"], values) for c in names)
    leak = sum(values[f"{c}_g_L"] * (values[f"{c}_E_L"] - values[f"{c}_V_m"]) for c in names)
    assert total == pytest.approx(leak, rel=1e-12)


def test_mechanism_renames_its_own_names_only():
    mechanism = Mechanism(
        "g*(50[mV] - V_m)*m", {"g": param(1.0, "nS", doc="g")}, {"m": ns.state("1", doc="m")},
        "m_inf = 1/(1 + exp(-V_m/5[mV]))\ndm/dt = (m_inf - m)/tau_m : 1",
    )  # fmt: skip
    named = mechanism.named("dend", "nap")
    assert named.current == "dend_g_nap*(50[mV] - dend_V_m)*dend_m_nap"
    assert named.equations.splitlines() == [
        "dend_m_inf_nap = 1/(1 + exp(-dend_V_m/5[mV]))",
        "ddend_m_nap/dt = (dend_m_inf_nap - dend_m_nap)/tau_m : 1",
    ]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("tau", "rise", "at"),
    [(3.0, 0.0, 0.0), (3.0, 3.0, 3.0), (8.0, 2.0, 8 * 2 / 6 * np.log(4))],
)
def test_a_weight_is_the_peak_of_the_conductance(engine, tau, rise, at):
    model = compartmental(
        "one", [membrane("soma", exc=conductance_synapse(0.0, tau, tau_rise=rise))]
    )
    trace = traces(model(), 40.0, ["soma_g_ex"], engine, spikes=[1.0], soma_exc=7.0).traces["cell"]
    t = trace.t - 2.0
    if rise == 0.0:
        expected = np.exp(-t / tau)
    elif rise == tau:
        expected = t / tau * np.exp(1 - t / tau)
    else:
        peak = np.exp(-at / tau) - np.exp(-at / rise)
        expected = (np.exp(-t / tau) - np.exp(-t / rise)) / peak
    expected = np.where(t >= -1e-9, 7.0 * expected, 0.0)
    np.testing.assert_allclose(trace["soma_g_ex"][:, 0], expected, rtol=0, atol=1e-11)
    assert trace["soma_g_ex"].max() == pytest.approx(7.0, rel=1e-3)


# ---- integration


def stiff(synapse):
    """A thin dendrite: 41 nS on 9 pF make a time constant of 0.2 ms."""
    return compartmental(
        "stiff",
        [membrane("soma"), Compartment("dend", C_m=9.0, g_L=0.5, E_L=-65.0, I_e=20.0, exc=synapse)],
        [Coupling("soma", "dend", 41.0)],
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_passive_compartments_are_exact(engine):
    """Currents into two strongly coupled compartments, against the matrix exponential."""
    model = stiff(current_synapse(3.0))()
    plan = lowered(model)
    assert plan.stepped == () and plan.is_linear
    A = np.array([[-46 / 100, 41 / 100, 0], [41 / 9, -41.5 / 9, 1 / 9], [0, 0, -1 / 3]])
    b = np.array([-350 / 100, (0.5 * -65 + 20) / 9, 0])
    rest = -np.linalg.solve(A, b)
    states = ["soma_V_m", "dend_V_m", "dend_I_ex"]
    found = traces(model, 30.0, states, engine, spikes=[4.0], dend_exc=50.0).traces["cell"]
    x = np.array([-70.0, -65.0, 0.0])
    for k in range(300):
        x = rest + expm(A * 0.1) @ (x - rest)
        x[2] += 50.0 * (k == 49)
        np.testing.assert_allclose([found[s][k, 0] for s in states], x, rtol=0, atol=1e-10)


def test_passive_compartments_sleep():
    assert not isinstance(sleep_of(lowered(stiff(current_synapse(3.0))())), str)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("method", ["rk4", "rk45"])
def test_stiff_coupling_with_conductances(engine, method):
    """rk4 is stable and accurate at 0.1 ms for a dendrite of 0.2 ms, beside steps of 5 us."""
    model = stiff(conductance_synapse(0.0, 3.0))(method=method)
    end = {}
    for dt, kind in ((0.1, engine), (0.005, "cpu")):
        result = traces(model, 10.0, ["dend_V_m"], kind, dt=dt, spikes=[4.0], dend_exc=20.0)
        end[dt] = result.traces["cell"]["dend_V_m"][-1, 0]
    assert end[0.1] == pytest.approx(end[0.005], abs=2e-4)
    assert -60 < end[0.1] < -40


def test_stiffer_neurons_are_integrated_adaptively():
    thin = Compartment("dend", C_m=1.0, g_L=0.1, E_L=-65.0, exc=conductance_synapse(0.0, 3.0))
    parts = [membrane("soma"), thin]
    assert compartmental("thin", parts, [Coupling("soma", "dend", 41.0)])().method == "rk45"
    assert compartmental("thick", parts, [Coupling("soma", "dend", 4.0)])().method == "rk4"
    assert stiff(conductance_synapse(0.0, 3.0))().method == "rk4"
    chosen = compartmental("own", parts, [Coupling("soma", "dend", 41.0)], method="heun")
    assert chosen().method == "heun"


def test_adaptive_steps_and_maps_exclude_each_other():
    with pytest.raises(ModelError, match=r"rk45 cannot apply maps \(dend_since_na := ...\)"):
        lowered(ns.models.lif_dendrite_na(method="rk45"))


# ---- spikes


def test_a_spike_runs_back_into_the_dendrite():
    """While it lasts the dendrite sees V_peak; the soma stands still at its reset potential."""
    model = ns.models.lif_dendrite(soma_I_e=400.0)
    result = traces(model, 60.0, ["soma_V_m", "dend_V_m"])
    at = round(result.spikes["cell"].times[0] / 0.1) - 1
    soma, dend = (result.traces["cell"][s][:, 0] for s in ("soma_V_m", "dend_V_m"))
    np.testing.assert_array_equal(soma[at : at + 9], -50.0)
    assert soma[at + 9] != -50.0
    rate, drive = 17.5 / 50, (15 * 40 - 2.5 * 60) / 50
    toward = drive / rate + (dend[at] - drive / rate) * np.exp(-rate * 0.8)
    assert dend[at + 8] == pytest.approx(toward, abs=1e-4)
    assert dend[at + 8] > dend[at] + 15
    assert dend[at + 9] < dend[at + 8]


def test_time_between_spikes_is_at_least_the_refractory_time():
    """The first possible spike comes one step after it, as with any refractory time."""
    result = traces(ns.models.lif_dendrite(soma_I_e=5000.0), 50.0, ["soma_V_m"])
    intervals = np.diff(result.spikes["cell"].times)
    assert intervals.size > 5
    np.testing.assert_allclose(intervals, 4.1, rtol=0, atol=1e-9)


def test_threshold_jumps():
    model = compartmental(
        "tired", [membrane("soma", I_e=400.0)], (),
        SpikeMechanism(V_th=-50.0, V_reset=-70.0, V_jump=10.0, tau_jump=30.0),
    )  # fmt: skip
    result = traces(model(), 300.0, ["V_th_up"])
    first = result.spikes["cell"].times[0]
    up = result.traces["cell"]
    k = round(first / 0.1) + 19
    assert up["V_th_up"][k, 0] == pytest.approx(10 * np.exp(-2.0 / 30), rel=1e-9)
    intervals = np.diff(result.spikes["cell"].times)
    assert intervals[-1] > 1.5 * first


# ---- mistakes


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: compartmental("x", []), ModelError,
         "x has no compartments; give at least one, such as"),
        (lambda: Compartment("dend", C_m=50.0), ModelError,
         "compartment 'dend' has no membrane: g_L, E_L must be given, as in"),
        (lambda: Compartment("2nd", C_m=50.0, g_L=1.0, E_L=0.0), ModelError,
         "compartment '2nd': a name of letters, digits and '_' is needed."),
        (lambda: Compartment("dend", C_m=0.0, g_L=1.0, E_L=0.0), ParameterError,
         "compartment 'dend': C_m = 0 pF must be > 0 and g_L = 1 nS must be >= 0."),
        (lambda: membrane("dend", exc=3.0), ModelError,
         "compartment 'dend': exc = 3.0; a Mechanism is needed, such as"),
        (lambda: membrane("d", a=nmda_synapse(), receptors={"glu": ["a", "b"]}), UnknownNameError,
         "compartment 'd' has no input 'b'. Inputs: a."),
        (lambda: membrane("d", a=nmda_synapse(), receptors={"a": ["a"]}), ModelError,
         "compartment 'd': receptor 'a' has the name of a mechanism."),
        (lambda: tree("ab", "ac"), UnknownNameError,
         "x: Coupling('a', 'c') names a compartment that it does not have. The neuron has no "
         "compartment 'c'. Compartments: a, b."),
        (lambda: tree("ab", "ba"), ModelError,
         "x: Coupling('b', 'a'): these two are coupled already; add up their conductances."),
        (lambda: tree("aa", "ab"), ModelError,
         "x: Coupling('a', 'a') couples a compartment to itself."),
        (lambda: tree("ab", "bc", "cd", "db", names="abcd"), ModelError,
         "x: Coupling('d', 'b') closes a loop: d - c - b - d. Compartments must form a tree; "
         "leave one of these couplings out."),
        (lambda: tree("ab", names="abc"), ModelError,
         "x: compartment 'c' is not connected to 'a'; add a Coupling."),
        (lambda: tree("ab", names="aba"), ModelError, "x has two compartments 'a'; rename one."),
        (lambda: tree("ab", g=-1.0), ParameterError,
         "x: Coupling('a', 'b'): g = -1 nS must be >= 0."),
        (lambda: tree("ab", g="1"), ParameterError,
         "x: Coupling('a', 'b'): g = '1'; a number is needed."),
        (lambda: Compartment("dend", C_m="50", g_L=1.0, E_L=0.0), ParameterError,
         "compartment 'dend': C_m = '50'; a number is needed."),
        (lambda: compartmental("x", ["soma"]), ModelError, "x: 'soma' is no Compartment; write "
         "Compartment('dend', C_m=50.0, g_L=2.5, E_L=-70.0)."),
        (lambda: compartmental("x", [membrane("a")], [("a", "b", 1.0)]), ModelError,
         "x: ('a', 'b', 1.0) is no Coupling; write Coupling('soma', 'dend', 15.0)."),
        (lambda: tree("ab", spike=SpikeMechanism()), UnknownNameError,
         "x: the spike names a compartment that it does not have. The neuron has no compartment "
         "'soma'. Compartments: a, b."),
        (lambda: tree("ab", spike=SpikeMechanism(compartment="a", hold=["c"])), UnknownNameError,
         "The neuron has no compartment 'c'."),
        (lambda: type("y", (CompartmentalModel,), {"compartments": (membrane("a"),),
                                                   "equations": "dx/dt = 0 : 1"}), ModelError,
         "y: equations is written from the compartments; put your own lines into a Mechanism."),
        (CompartmentalModel, ModelError, "CompartmentalModel is a base class; subclass it with"),
        (lambda: nmda_synapse(-1.0), ParameterError, "synapse: tau = -1 ms must be > 0."),
        (lambda: conductance_synapse(0.0, 2.0, g_max=0.0), ParameterError,
         "synapse: g_max = 0 nS must be > 0."),
        (lambda: compartmental("x", [membrane("a", odd=Mechanism("3[mV]"))]), ModelError,
         "unit clash"),
        (lambda: compartmental("x", [membrane("a", odd=Mechanism("g*V_m"))]), ModelError,
         "x: unknown name 'g'"),
    ],
)  # fmt: skip
def test_mistakes(make, error, text):
    with pytest.raises(error) as caught:
        make()
    assert text in str(caught.value)


def tree(*pairs, names="ab", g=1.0, spike=None):
    couplings = [Coupling(a, b, g) for a, b in pairs]
    return compartmental("x", [membrane(n) for n in names], couplings, spike)


def test_unknown_receptor_of_a_compartment():
    net = ns.Network()
    cell = net.population(1, ns.models.lif_dendrite(), name="cell")
    with pytest.raises(UnknownNameError, match=r"dend_exc"):
        net.connect(cell, cell, ns.AllToAll(), weight=1.0, delay=1.0, receptor="dend_ex")
