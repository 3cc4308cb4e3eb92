"""Models as data: what a declaration may say, and what a mistake in it is answered with."""

import inspect
import subprocess
import sys

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import neurosim as ns
from neurosim.errors import ModelError, ParameterError, ParameterWarning, UnknownNameError
from neurosim.models import model_from_dict


def declare(**changes):
    """Declare a leaky neuron with some of its texts changed."""
    body = {
        "tau": ns.param(10.0, "ms", gt=0, doc="membrane time constant"),
        "E": ns.param(-70.0, "mV"),
        "V_m": ns.state("mV", init="E"),
        "equations": "dV_m/dt = -(V_m - E)/tau : mV",
        "receptors": {"in": "V_m += weight"},
        "threshold": "V_m > -50[mV]",
        "reset": "V_m = E",
    }
    body |= changes
    return type("leaky", (ns.NeuronModel,), {k: v for k, v in body.items() if v is not ...})


MISTAKES = [
    # equations
    ({"equations": "dV_m/dt = -(V_m - E)/taum : mV"},
     "leaky: unknown name 'taum' in 'dV_m/dt = -(V_m - E)/taum : mV'. Parameters: tau, E. "
     "States: V_m. Did you mean 'tau'?"),
    ({"equations": "dV_m/dt = -(V_m - E) : mV"},
     "leaky: unit clash in 'dV_m/dt = -(V_m - E) : mV': the right side is in mV, but mV/ms is "
     "needed."),
    ({"equations": "dV_m/dt = -(V_m - E + tau)/tau : mV"}, "'+' combines mV with ms"),
    ({"equations": "dV_m/dt = where(V_m > E, V_m, tau)/tau : mV"}, "where() combines mV with ms"),
    ({"equations": "dV_m/dt = -V_m/tau*exp(V_m) : mV"},
     "exp() needs a number without unit, not one in mV"),
    ({"equations": "dV_m/dt = V_m**tau/tau : mV"}, "an exponent must have no unit, not ms"),
    ({"equations": "dV_m/dt = (V_m/1[mV])*V_m**(V_m/E)/tau : mV"},
     "a quantity in mV can only be raised to a literal power"),
    ({"equations": "dV_m/dt = -(V_m - E)/tau"},
     "leaky, line 1: 'dV_m/dt = -(V_m - E)/tau' needs the unit of V_m at the end, as ' : mV'."),
    ({"equations": "dV_m/dt = -(V_m - E)/tau : mv"},
     "leaky: in 'dV_m/dt = -(V_m - E)/tau : mv': unknown unit 'mv'."),
    ({"equations": "a = b + 1\nb = a\ndV_m/dt = -(V_m - E)/tau*a : mV"},
     "leaky: these lines define each other in a loop: 'a = b + 1'; 'b = a'."),
    ({"equations": "a = a\ndV_m/dt = -(V_m - E)/tau*a : mV"}, "in a loop: 'a = a'"),
    ({"equations": "I = E : pA\ndV_m/dt = -(V_m - E)/tau : mV"},
     "unit clash in 'I = E : pA': the right side is in mV, but pA is needed"),
    ({"equations": "dV_m/dt = -(V_m - E)/tau : mV\nV_m := E : mV"},
     "leaky: V_m has two equations ('V_m := E : mV')."),
    ({"equations": "dV_m/dt = -(V_m - E)/tau*(V_m > E) : mV"},
     "a comparison is no number; use where(condition, a, b)"),
    ({"equations": "dV_m/dt = where(V_m, V_m, E)/tau : mV"}, "a condition is needed"),
    ({"equations": "dV_m/dt = previous(V_m)/tau : mV"}, "previous() belongs in the threshold"),
    ({"equations": "dV_m/dt = -(V_m - E)/tau + xi : mV"}, "combines mV/ms with 1/ms**(1/2)"),
    ({"equations": "V_m := xi : mV"}, "xi (white noise) belongs in a line 'dx/dt = ...'"),
    ({"equations": 3}, "leaky: equations = 3; it must be a text."),
    # names
    ({"t": ns.param(1.0, "ms")}, "parameter 't' has the name of a built-in name; rename it"),
    ({"xi": ns.param(1.0, "1")}, "parameter 'xi' has the name of a built-in name; rename it"),
    ({"weight": ns.param(1.0, "1")}, "parameter 'weight' has the name of a built-in name"),
    ({"equations": "tau = 3\ndV_m/dt = -(V_m - E)/tau : mV"},
     "leaky: sub-expression 'tau' has the name of a parameter; rename it."),
    ({"equations": "dE/dt = E/1[ms] : mV"}, "state 'E' has the name of a parameter"),
    # units of states and parameters
    ({"V_m": ns.state("V"), "equations": "dV_m/dt = -V_m/tau : V"},
     "leaky: state V_m is in V; states use the coherent units ms, mV, pA"),
    ({"V_m": ns.state("ms", init="tau")}, "state V_m is declared in ms but its equation says mV"),
    ({"E": ns.param(-70.0, "mVV")}, "leaky: in 'parameter E': unknown unit 'mVV'"),
    ({"V_m": ns.state("mV", init="V_0")}, "initial value of V_m: 'V_0' may use parameters only"),
    ({"V_m": ns.state("mV", init="tau")}, "unit clash in 'tau': the right side is in ms"),
    # receptors
    ({"receptors": {"in": "V_m = weight"}},
     "leaky, receptor 'in': 'V_m = weight' must be 'state += weight' or 'state += weight * "
     "(parameters)', so that simultaneous arrivals can be summed."),
    ({"receptors": {"in": "V_m += weight*V_m"}}, "must be 'state += weight'"),
    ({"receptors": {"in": "V_m += 2"}}, "must be 'state += weight'"),
    ({"receptors": {"in": "g += weight"}}, "assigns to 'g', which is no state. States: V_m."),
    ({"receptors": "V_m += weight"}, "it must be a dict; write {'exc': 'I_syn += weight'}"),
    # threshold and reset
    ({"reset": ...},
     "leaky: threshold 'V_m > -50[mV]' has no reset; write for instance reset = \"V_m = V_reset\", "
     'or reset = "" if nothing is reset.'),
    ({"reset": "E = V_m"}, "leaky, reset: 'E = V_m' assigns to 'E', which is no state."),
    ({"reset": "V_m = tau"}, "unit clash in 'V_m = tau': the right side is in ms, but mV"),
    ({"reset": "V_m *= E"}, "unit clash in 'V_m *= E': the right side is in mV, but 1 is needed"),
    ({"reset": "V_m = previous(V_m)"}, "previous() belongs in the threshold"),
    ({"threshold": "V_m > 3"}, "unit clash in 'V_m > 3': '>' combines mV with 1"),
    ({"threshold": "V_m"}, "a condition is needed, such as 'V_m >= V_th', not a number"),
    ({"threshold": "previous(E) > V_m"}, "previous() takes a state"),
    ({"threshold": "v > E"}, "unknown name 'v' in 'v > E'"),
    # refractoriness and method
    ({"refractory": ns.Refractory("t_ref")},
     "leaky, refractory: 't_ref' is not a parameter with a unit of time."),
    ({"refractory": ns.Refractory("E")}, "'E' is not a parameter with a unit of time"),
    ({"refractory": ns.Refractory("tau", hold=["v"])}, "hold names 'v', which is no state"),
    ({"refractory": ns.Refractory("tau", hold="V_m")}, "hold = 'V_m'; write a list, ['V_m']"),
    ({"refractory": ns.Refractory("tau", ignore=["x"])}, "ignore names 'x', which is no receptor"),
    ({"refractory": "tau"}, "it must be a Refractory; write Refractory('t_ref', hold=['V_m'])"),
    ({"method": "rk5"}, "method 'rk5' is not one of euler, exponential_euler, heun, rk4, rk45"),
    ({"threshold_test": "sub"}, "threshold_test = 'sub' must be 'step' or 'substep'"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), MISTAKES)
def test_mistakes_in_a_declaration(changes, message):
    with pytest.raises(ModelError) as caught:
        declare(**changes)
    assert message in str(caught.value)


def lowered(model):
    net = ns.Network()
    net.population(1, model, name="cell")
    return ns.Simulation(net, engine="reference").plan.populations[0].model


@pytest.mark.parametrize(
    ("equations", "method", "message"),
    [
        ("dV_m/dt = (E + xi*xi*1[ms*mV])/tau : mV", "rk4", "xi must appear linearly"),
        ("dV_m/dt = -V_m/tau + V_m*xi*tau**-0.5 : mV", "heun", "only additive noise is integrated"),
        ("dV_m/dt = -V_m/tau + E*xi*tau**-0.5 : mV", "rk45", "rk45 cannot integrate white noise"),
        ("dV_m/dt = sin(V_m/E)*E/tau : mV", "exponential_euler", "needs the slope of dV_m/dt"),
    ],
)
def test_equations_that_a_method_cannot_integrate(equations, method, message):
    with pytest.raises(ModelError, match=message):
        lowered(declare(equations=equations)(method=method))


PARAMETERS = [
    ({"tau_m": -3.0}, r"iaf_psc_exp.tau_m = -3 ms: must be > 0 \(membrane time constant\)"),
    ({"tau_m": 0}, "must be > 0"),
    ({"t_ref": -1}, r"iaf_psc_exp.t_ref = -1 ms: must be >= 0 \(refractory period\)"),
    ({"tau_m": np.nan}, "iaf_psc_exp.tau_m = nan is not a finite number"),
    ({"I_e": np.inf}, "iaf_psc_exp.I_e = inf is not a finite number"),
    ({"I_e": [1.0, np.nan, 2.0]}, r"I_e = nan \(neuron 1, 1 of 3\) is not a finite number"),
    ({"C_m": [1.0, -2.0]}, "iaf_psc_exp.C_m = -2 pF: must be > 0"),
    ({"C_m": [[1.0]]}, r"iaf_psc_exp.C_m has shape \(1, 1\); give one value, or one a neuron"),
    ({"tau_m": "long"}, "iaf_psc_exp.tau_m = 'long': a number in ms is needed"),
    ({"tau_m": None}, "iaf_psc_exp.tau_m = None: a number in ms is needed"),
]


@pytest.mark.parametrize(("values", "message"), PARAMETERS)
def test_values_that_are_refused(values, message):
    with pytest.raises(ParameterError, match=message):
        ns.models.iaf_psc_exp(**values)


def test_unknown_parameter():
    with pytest.raises(UnknownNameError) as caught:
        ns.models.iaf_psc_exp(tau=20.0)
    assert str(caught.value).startswith("iaf_psc_exp has no parameter 'tau'. Parameters: tau_m,")
    assert "Did you mean 'tau_m'?" in str(caught.value)


def test_unknown_state():
    net = ns.Network()
    with pytest.raises(UnknownNameError, match=r"has no state 'v_m'.* Did you mean 'V_m'"):
        net.population(1, ns.models.iaf_psc_exp(), v_m=-60.0)


def test_implausible_value_warns():
    with pytest.warns(ParameterWarning, match="0.02 ms is outside the usual 0.5-1000 ms"):
        ns.models.iaf_psc_exp(tau_m=0.02)


def test_wrong_number_of_values():
    net = ns.Network()
    with pytest.raises(ns.errors.NeurosimError, match="I_e"):
        net.population(3, ns.models.iaf_psc_exp(I_e=[1.0, 2.0]), name="cells")
        ns.simulate(net, 1.0, engine="reference")


def test_base_class_cannot_be_used():
    with pytest.raises(ModelError, match="subclass it with equations"):
        ns.NeuronModel()


def test_unknown_method_override():
    with pytest.raises(ModelError, match="iaf_cond_exp: method 'rk5' is not one of euler"):
        ns.models.iaf_cond_exp(method="rk5")


BUILT_IN = [
    m
    for m in vars(ns.models).values()
    if inspect.isclass(m) and issubclass(m, ns.NeuronModel)
    if m not in (ns.NeuronModel, ns.models.CompartmentalModel)
]


@pytest.mark.parametrize("cls", BUILT_IN, ids=lambda c: c.__name__)
def test_built_in_model(cls):
    """Documented, with a source; survives the way to plain data and back; rests without input."""
    assert "Source:" in cls.__doc__
    assert all(p.doc and p.parsed_unit for p in cls.parameters.values())
    model = cls()
    again = model_from_dict(model.to_dict())
    assert again.name == model.name and again.values == model.values
    assert again.spec.odes == model.spec.odes and again.spec.threshold == model.spec.threshold
    # of each compartment, where there are several
    kinds = {name.rsplit("_", 1)[-1] for name in cls.receptors}
    assert kinds <= {"exc", "inh"} or kinds in ({"in"}, {"exc", "inh", "dendrite"})
    net = ns.Network()
    cell = net.population(1, model, name="cell")
    record = [ns.Spikes(cell), ns.State(cell, list(model.states), interval=1.0)]
    results = ns.simulate(net, 20.0, record=record, engine="reference")
    assert results.spikes["cell"].times.size <= (1 if "hh" in cls.__name__ else 0)
    assert all(np.isfinite(values).all() for values in results.traces["cell"].values())


def test_replace_and_repr():
    model = ns.models.iaf_cond_exp(g_L=10.0, method="rk45")
    other = model.replace(t_ref=5.0)
    assert other.values["g_L"] == 10.0 and other.values["t_ref"] == 5.0
    assert other.method == "rk45" and model.values["t_ref"] == 2.0
    assert repr(model) == "iaf_cond_exp(g_L=10.0)"
    source = ns.models.spike_source(times=[1.0, 2.0])  # has options that are no parameters
    assert repr(source) == "spike_source(times=<2 values>, ids=<2 values>)"


class my_iaf_psc_exp(ns.NeuronModel):
    """The built-in model as a user would write it, with other names and a sub-expression."""

    tau_m = ns.param(10.0, "ms", gt=0)
    C = ns.param(250.0, "pF", gt=0)
    tau_ex = ns.param(2.0, "ms", gt=0)
    tau_in = ns.param(2.0, "ms", gt=0)
    E_L = ns.param(-70.0, "mV")
    theta = ns.param(-55.0, "mV")
    dead = ns.param(2.0, "ms", ge=0)
    I_e = ns.param(0.0, "pA")
    v = ns.state("mV", init="E_L")
    equations = """
        I = ex + inh + I_e
        dv/dt   = (E_L - v)/tau_m + I/C : mV
        dex/dt  = -ex/tau_ex : pA
        dinh/dt = -inh/tau_in : pA
    """
    receptors = {"exc": "ex += weight", "inh": "inh += weight"}
    threshold = "v >= theta"
    reset = "v = E_L"
    refractory = ns.Refractory("dead", hold=["v"])


def driven(model, n, engine, duration=200.0, **initial):
    """Return the spikes of unconnected cells with a strong fluctuating drive."""
    net = ns.Network()
    cells = net.population(n, model, name="cells", **initial)
    rng = np.random.default_rng(3)
    ids = np.repeat(np.arange(n), 60)
    times = np.round(rng.uniform(1, duration - 5, ids.size), 1)
    source = net.population(n, ns.models.spike_source(times=times, ids=ids), name="source")
    net.connect(source, cells, ns.OneToOne(), weight=500.0, delay=1.0, receptor="exc")
    source = net.population(n, ns.models.spike_source(times=times + 3, ids=ids, round_times=True))
    net.connect(source, cells, ns.OneToOne(), weight=-200.0, delay=1.0, receptor="inh")
    spikes = ns.simulate(net, duration, record=[ns.Spikes(cells)], engine=engine).spikes["cells"]
    assert spikes.times.size > 3 * n
    return spikes


@pytest.mark.parametrize(
    "engine", ["reference", ns.CPU(strategy="clock"), ns.CPU(strategy="event")]
)
def test_user_written_model_equals_the_built_in_one(engine):
    mine = driven(my_iaf_psc_exp(I_e=300.0), 5, engine)
    built_in = driven(ns.models.iaf_psc_exp(I_e=300.0), 5, engine)
    np.testing.assert_array_equal(mine.times, built_in.times)
    np.testing.assert_array_equal(mine.ids, built_in.ids)


@pytest.mark.parametrize("engine", ["reference", "cpu"])
def test_heterogeneous_parameters_equal_a_loop_over_scalars(engine):
    """All coefficients differ: rates, drive, threshold, reset, dead time."""
    values = {
        "tau_m": np.array([8.0, 10.0, 15.0]),
        "C_m": np.array([200.0, 250.0, 300.0]),
        "tau_syn_ex": np.array([1.0, 15.0, 3.0]),
        "I_e": np.array([250.0, 260.0, 280.0]),
        "V_th": np.array([-56.0, -55.0, -58.0]),
        "V_reset": np.array([-70.0, -65.0, -60.0]),
        "t_ref": np.array([1.0, 2.0, 3.5]),
    }
    together = driven(ns.models.iaf_psc_exp(**values), 3, engine)
    for i in range(3):
        scalars = {k: float(v[i]) for k, v in values.items()}
        alone = driven(ns.models.iaf_psc_exp(**scalars), 3, "reference")
        np.testing.assert_allclose(
            together.times[together.ids == i], alone.times[alone.ids == i], atol=1e-9
        )


def test_heterogeneous_parameters_of_a_stepped_model():
    values = {"g_L": np.array([10.0, 20.0]), "tau_syn_ex": np.array([2.0, 4.0]),
              "E_ex": np.array([0.0, -10.0])}  # fmt: skip
    runs = {}
    for engine in ("reference", "cpu"):
        net = ns.Network()
        cells = net.population(2, ns.models.iaf_cond_exp(**values, I_e=250.0), name="cells")
        record = [ns.State(cells, ["V_m"], interval=0.1)]
        trace = ns.simulate(net, 30.0, record=record, engine=engine).traces["cells"]
        runs[engine] = trace["V_m"]
    np.testing.assert_allclose(runs["cpu"], runs["reference"], rtol=1e-12)
    for i in range(2):
        scalars = {k: float(v[i]) for k, v in values.items()}
        net = ns.Network()
        cell = net.population(1, ns.models.iaf_cond_exp(**scalars, I_e=250.0), name="cell")
        record = [ns.State(cell, ["V_m"], interval=0.1)]
        alone = ns.simulate(net, 30.0, record=record, engine="reference").traces["cell"]["V_m"]
        np.testing.assert_allclose(runs["reference"][:, i], alone[:, 0], rtol=1e-12)


def test_distributions_as_parameters():
    """Drawn once for the seed, the same in every engine, with the right mean and spread."""
    n = 2000
    net = ns.Network()
    model = ns.models.iaf_psc_exp(I_e=ns.Normal(100.0, 20.0), V_th=1000.0)
    cells = net.population(n, model, name="cells", V_m=ns.Uniform(-65, -55))

    def potential(duration, seed):
        record = [ns.State(cells, ["V_m"], interval=duration)]
        results = ns.simulate(net, duration, seed=seed, record=record, engine="reference")
        return results.traces["cells"]["V_m"]

    first, last = potential(0.1, 1), potential(200.0, 1)
    currents = (last[-1] + 70.0) * 250.0 / 10.0
    assert abs(currents.mean() - 100.0) < 5 * 20 / np.sqrt(n)
    assert abs(currents.std() - 20.0) < 5 * 20 / np.sqrt(2 * n)
    assert first.min() > -65.2 and first.max() < -54.8 and first.std() > 2.5
    assert np.abs(potential(200.0, 2) - last).max() > 0.1


def test_bounds_hold_for_drawn_values():
    net = ns.Network()
    net.population(100, ns.models.iaf_psc_exp(tau_m=ns.Normal(1.0, 5.0)), name="cells")
    with pytest.raises(ParameterError, match="tau_m"):
        ns.simulate(net, 1.0, engine="reference")


@pytest.mark.parametrize("method", ["euler", "exponential_euler", "heun", "rk4", "rk45"])
def test_method_override(method):
    """Every method solves a conductance neuron, to the accuracy of its order at 0.1 ms."""
    net = ns.Network()
    cell = net.population(1, ns.models.iaf_cond_exp(method=method, tau_syn_ex=2.0), name="cell")
    source = net.population(1, ns.models.spike_source(times=[1.0]), name="source")
    net.connect(source, cell, ns.OneToOne(), weight=10.0, delay=1.0)
    record = [ns.State(cell, ["V_m"], interval=10.0)]
    v = ns.simulate(net, 10.0, record=record, engine="reference").traces["cell"]["V_m"][-1, 0]

    def rhs(t, v):
        return [(-16.6667 * (v[0] + 70.0) - 10.0 * np.exp(-(t - 2.0) / 2.0) * v[0]) / 250.0]

    exact = solve_ivp(rhs, (2.0, 10.0), [-70.0], rtol=1e-12, atol=1e-12).y[0, -1]
    allowed = {"euler": 0.15, "exponential_euler": 0.15, "heun": 2e-3}.get(method, 1e-6)
    assert v == pytest.approx(exact, abs=allowed)


def test_importing_submodules_hides_no_model():
    """A model is a class also after all modules were imported that models live in."""
    code = """
import importlib, inspect, pkgutil
import neurosim.models as models
for found in pkgutil.walk_packages(models.__path__, "neurosim.models."):
    importlib.import_module(found.name)
hidden = [n for n in models.__all__ if inspect.ismodule(getattr(models, n))]
assert not hidden, hidden
assert models.iaf_cond_exp_adaptive().name == "iaf_cond_exp_adaptive"
"""
    subprocess.run([sys.executable, "-c", code], check=True)


ABOVE = [
    (lambda m: m.iaf_psc_exp(V_reset=-50.0),
     "iaf_psc_exp: V_reset = -50 mV, V_th = -55 mV: the reset 'V_m = V_reset' does not end below "
     "the threshold 'V_m >= V_th', so each spike would be followed by another without end."),
    (lambda m: m.iaf_cond_exp(V_th=np.array([-55.0, -60.0])), "(neuron 1, 1 of 2)"),
    (lambda m: m.aeif_cond_exp(V_reset=0.0), "V_peak = 0 mV, V_reset = 0 mV"),
    (lambda m: m.aeif_cond_exp(V_reset=-50.0, Delta_T=0.0), "V_th = -50.4 mV"),
    (lambda m: m.iaf_cond_alpha_mc(V_reset=-50.0), "iaf_cond_alpha_mc: V_reset = -50 mV"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), ABOVE)
def test_a_reset_above_the_threshold_is_refused(make, message):
    with pytest.raises(ParameterError) as caught:
        make(ns.models)
    assert message in str(caught.value)


def test_a_drawn_reset_above_the_threshold_is_refused():
    net = ns.Network()
    net.population(50, ns.models.iaf_psc_exp(V_th=ns.Uniform(-75.0, -65.0)), name="cells")
    for options in ({"engine": "reference"}, {"dt": None}):
        with pytest.raises(ParameterError, match="iaf_psc_exp of population 'cells': V_reset = -7"):
            ns.Simulation(net, **options)


def test_resets_that_depend_on_the_past_are_free():
    ns.models.izhikevich(c=29.9)
    ns.models.glif5_psc(V_reset=0.0)
    ns.models.iaf_cond_exp_adaptive(V_reset=-50.0)  # its threshold rises until it is silent
    ns.models.hh_psc_alpha()
