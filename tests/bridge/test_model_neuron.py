"""Declared models as layers: the reference engine's spikes, and gradients by differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import neurosim as ns
from neurosim import bridge, models
from neurosim.engines.reference.neurons import Neurons
from neurosim.errors import ModelError, ParameterError, UnknownNameError
from neurosim.lower.model import lower_model

N = 12


class odd(ns.NeuronModel):
    """Everything that the language allows at once."""

    tau = ns.param(8.0, "ms", gt=0)
    theta = ns.param(0.6, "1")
    t_ref = ns.param(0.7, "ms", ge=0)
    gain = ns.param(0.5, "1")
    v = ns.state("1", init="theta/4")
    equations = """
        drive = gain*(1 + sin(t/3[ms]))
        dv/dt = (-v + tanh(g) + drive - 0.2*old)/tau : 1
        dg/dt = -g/3[ms] : 1
        old := max(min(v, 2), -2) : 1
    """
    receptors = {"in": "g += weight*gain", "shunt": "v += -0.3*weight"}
    threshold = "theta + 0.1*g < v and previous(v) < 3"
    reset = "v = 0.2*v; g *= 0.9"
    refractory = ns.Refractory("t_ref", hold=["v"], ignore=["shunt"])


#: Model, step, size of a jump for each receptor, and the parameter that gets a current [pA].
CASES: dict[str, tuple[Any, float, dict[str, float], str | None]] = {
    "iaf_psc_exp": (
        models.iaf_psc_exp(tau_m=np.linspace(5, 20, N)), 0.1, {"exc": 900, "inh": -300}, "I_e"
    ),
    "iaf_psc_alpha": (models.iaf_psc_alpha(), 0.1, {"exc": 1500, "inh": -300}, None),
    "izhikevich": (models.izhikevich(), 0.5, {"in": 12}, "I_e"),
    "aeif_psc_exp": (models.aeif_psc_exp(method="heun"), 0.1, {"exc": 2e4, "inh": -300}, None),
    "aeif_cond_exp": (
        models.aeif_cond_exp(method="rk4", t_ref=1.0), 0.1, {"exc": 200, "inh": 9}, "I_e"
    ),
    "iaf_cond_exp": (
        models.iaf_cond_exp(method="exponential_euler"), 0.1, {"exc": 150, "inh": 5}, None
    ),
    "mat2_psc_exp": (models.mat2_psc_exp(), 0.1, {"exc": 3000, "inh": -600}, None),
    "odd": (odd(), 0.1, {"in": 3.0, "shunt": 0.5}, None),
}  # fmt: skip


def drive(case: str, steps: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return arrivals [T, receptors, N] and currents [T, N]."""
    model, _, jumps, inject = CASES[case]
    rng = np.random.default_rng(seed)
    size = np.array([jumps[r] for r in model.spec.receptors])[:, None]
    arrivals = (
        size * rng.random((steps, len(jumps), N)) * (rng.random((steps, len(jumps), N)) < 0.05)
    )
    return arrivals, rng.random((steps, N)) * (400 if inject else 0)


def reference(case: str, arrivals: np.ndarray, current: np.ndarray) -> tuple[np.ndarray, Neurons]:
    """Return spikes [T, N] of the reference engine's neurons, and the neurons."""
    model, dt, _, inject = CASES[case]
    values = {k: v * model.parameters[k].parsed_unit.scale for k, v in model.values.items()}
    neurons = Neurons(lower_model(model, values, {}, N, dt, inject), (0, 0))
    spikes = np.zeros(current.shape)
    for t in range(len(spikes)):
        spikes[t, neurons.step(t + 1, arrivals[t], current[t])] = 1
    return spikes, neurons


@pytest.mark.parametrize("case", CASES)
def test_spikes_are_those_of_the_reference_engine(case: str):
    model, dt, _, inject = CASES[case]
    arrivals, current = drive(case, 1000)
    expected, neurons = reference(case, arrivals, current)
    assert expected.sum() > 20, "the case is empty"
    layer = bridge.ModelNeuron(model, dt, N, current=inject)
    x = torch.from_numpy(arrivals)[:, None]
    if x.shape[2] == 1 and not inject:
        x = x[:, :, 0]
    if inject:
        x = torch.cat([x, torch.from_numpy(current)[:, None, None]], 2)
    out, state = layer(x)
    assert np.array_equal(out[:, 0].numpy(), expected)
    for name, value in neurons.states.items():
        scale = max(1.0, np.abs(value).max())
        assert np.allclose(state[name][0].numpy(), value, rtol=0, atol=1e-9 * scale), name


def test_a_layer_gives_the_spikes_of_a_simulation():
    rng = np.random.default_rng(1)
    dt, steps = 0.1, 2000
    sent = rng.random((steps, 1)) < 0.03
    net = ns.Network()
    times = (np.flatnonzero(sent) + 1) * dt
    source = net.population(1, models.spike_source(times=times), name="source")
    target = net.population(1, models.iaf_psc_exp(), name="target")
    net.connect(source, target, ns.AllToAll(), weight=1500.0, delay=dt, receptor="exc")
    results = ns.simulate(net, steps * dt, dt=dt, engine="reference", record=[ns.Spikes(target)])
    # sent at step k, arriving one step of delay later: row k of the input, of which row 0 is step 1
    arrivals = np.zeros((steps, 1, 2, 1))
    arrivals[1:, 0, 0] = 1500.0 * sent[:-1]
    out, _ = bridge.ModelNeuron(models.iaf_psc_exp(), dt)(torch.from_numpy(arrivals))
    found = (np.flatnonzero(out.numpy()) + 1) * dt
    assert len(found) > 10
    assert np.allclose(found, results.spikes["target"].times, atol=1e-9)


def learnt(case: str, **options: Any) -> list[str]:
    names = {
        "iaf_psc_exp": ["tau_m", "C_m", "tau_syn_ex", "E_L", "I_e"],
        "iaf_psc_alpha": ["tau_syn_ex", "tau_m"],
        "izhikevich": ["a", "b", "I_e"],
        "aeif_cond_exp": ["g_L", "Delta_T", "tau_w", "tau_syn_ex", "E_in", "a"],
        "odd": ["tau", "gain"],
    }
    return names[case]


@pytest.mark.parametrize(
    "case", ["iaf_psc_exp", "iaf_psc_alpha", "izhikevich", "aeif_cond_exp", "odd"]
)
def test_gradients_of_parameters_are_finite_differences(case: str):
    model, dt, _, _ = CASES[case]
    model = model.replace(**{k: float(np.mean(v)) for k, v in model.values.items()})
    if case == "aeif_cond_exp":  # compiles fast; two stages are those of test_model_neuron_noise
        model = model.replace(method="euler")
    arrivals, _ = drive(case, 40)
    names = learnt(case)

    def layer(**values: float) -> bridge.ModelNeuron:
        return bridge.ModelNeuron(model.replace(**values), dt, N, learn=names)

    def membrane(neuron: bridge.ModelNeuron) -> torch.Tensor:
        x = torch.from_numpy(0.02 * arrivals)[:, None].squeeze(2)
        out, state = neuron(x)
        assert out.sum() == 0, "differences need a smooth run"
        return state["v" if case == "odd" else "V_m"].mean() * 10

    neuron = layer()
    # the initial value is a number of its own: it must not follow E_L when that is moved
    start = {n: neuron.initial(n) for n in neuron._lowered.initial}
    membrane(neuron).backward()
    for name in names:
        value = float(model.values[name])
        h = 1e-4 * (abs(value) or 1.0)
        sides = []
        for sign in (1, -1):
            moved = layer(**{name: value + sign * h})
            for state, begin in start.items():
                setattr(moved, f"initial_{state}", begin)
            sides.append(membrane(moved).item())
        grad = float(getattr(neuron, name).grad)
        assert grad == pytest.approx((sides[0] - sides[1]) / (2 * h), rel=2e-5, abs=1e-8), name
        assert grad != 0


#: What is learnt in two tests, of which each needs one: they have the same kernels.
SHARED = ("tau_m", "I_e")


def test_learning_finds_a_time_constant():
    torch.manual_seed(0)
    x = torch.rand(150, 4, 2, 3, dtype=torch.float64) * 20  # too little for spikes
    taught = bridge.ModelNeuron(models.iaf_psc_exp(tau_m=14.0), 0.2, learn=SHARED)
    target = taught.traces(x)["V_m"].detach()
    neuron = bridge.ModelNeuron(models.iaf_psc_exp(tau_m=8.0), 0.2, learn=SHARED)
    optimiser = torch.optim.Adam([neuron.tau_m], 0.3)
    for _ in range(80):
        optimiser.zero_grad()
        (neuron.traces(x)["V_m"] - target).square().mean().backward()
        optimiser.step()
    assert neuron.tau_m.item() == pytest.approx(14.0, abs=0.2)


@pytest.mark.parametrize("detach", [True, False])
def test_gradients_pass_spikes_and_stop_in_refractory_time(detach: bool):
    neuron = bridge.ModelNeuron(
        models.iaf_psc_exp(t_ref=1.0), 0.1, spike_scale=15.0, detach_reset=detach,
        learn=["V_th", "V_reset"],
    )  # fmt: skip
    x = torch.full((120, 1, 2, 1), 120.0, dtype=torch.float64, requires_grad=True)
    out, _ = neuron(x)
    first = int(torch.nonzero(out.flatten())[0])
    assert out.sum() > 3
    out[: first + 1].sum().backward()
    assert x.grad is not None
    assert (x.grad[:first, 0, 0, 0] > 0).all()  # earlier input brings the spike nearer
    assert (x.grad[first + 1 :] == 0).all()
    assert neuron.V_th.grad < 0
    # within the refractory time no gradient can come from the spikes
    x.grad = None
    neuron(x)[0][first + 1 : first + 11].sum().backward()
    assert (x.grad == 0).all()
    x.grad = None
    neuron(x)[0].sum().backward()
    assert (neuron.V_reset.grad != 0).all()


def test_zero_now_is_not_left_out_of_what_is_learnt():
    neuron = bridge.ModelNeuron(
        models.iaf_psc_exp(E_L=0.0, V_th=15.0, V_reset=0.0), 0.1, learn=SHARED
    )
    trace = neuron.traces(torch.zeros(100, 1, 2, 1, dtype=torch.float64))["V_m"]
    trace[-1].sum().backward()
    # V = R I (1 - exp(-t/tau)) with R = tau/C
    assert neuron.I_e.grad.item() == pytest.approx(10 / 250 * (1 - np.exp(-1.0)), rel=1e-12)


def test_layers_take_arrays_and_start_where_told():
    tau = np.linspace(5.0, 20.0, 4)
    neuron = bridge.ModelNeuron(models.iaf_psc_exp(tau_m=tau), 0.1, 4, initial={"V_m": -60.0})
    _, state = neuron(torch.zeros(10, 2, 2, 4, dtype=torch.float64))
    assert torch.allclose(state["V_m"][1], torch.from_numpy(-70 + 10 * np.exp(-1.0 / tau)))
    assert bridge.ModelNeuron(models.iaf_psc_exp(), 0.1, receptors=["inh"]).input_names == ("inh",)
    one = bridge.ModelNeuron(models.iaf_psc_exp(), 0.1, receptors=["exc"])
    assert one(torch.zeros(3, 1, 5, dtype=torch.float64))[0].shape == (3, 1, 5)


def test_recurrence_and_sequential_take_model_neurons():
    torch.manual_seed(0)
    neuron = bridge.ModelNeuron(models.iaf_psc_exp(), 0.5, receptors=["exc"])
    net = bridge.Sequential(
        torch.nn.Linear(5, 6),
        bridge.Recurrent(neuron, torch.nn.Linear(6, 6)),
        torch.nn.Linear(6, 2),
    )
    x = 3000 * torch.rand(60, 2, 5)
    out, states = net(x)
    out.sum().backward()
    assert states["1"]["spk"].shape == (2, 6)
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_errors_name_the_model_and_the_remedy():
    iaf = models.iaf_psc_exp
    with pytest.raises(ModelError, match=r"adapts its step .* Write aeif_cond_exp\(method='rk4'\)"):
        bridge.ModelNeuron(models.aeif_cond_exp(), 0.1)
    with pytest.raises(UnknownNameError, match="no parameter 'tau'"):
        bridge.ModelNeuron(iaf(), 0.1, learn=["tau"])
    with pytest.raises(UnknownNameError, match=r"no receptor 'ampa'\. Receptors: exc, inh"):
        bridge.ModelNeuron(iaf(), 0.1, receptors=["ampa"])
    with pytest.raises(ParameterError, match="t_ref of iaf_psc_exp counts steps"):
        bridge.ModelNeuron(iaf(), 0.1, learn=["t_ref"])
    with pytest.raises(ParameterError, match="tau_m is a distribution"):
        bridge.ModelNeuron(iaf(tau_m=ns.Uniform(5, 10)), 0.1)
    with pytest.raises(ParameterError, match="is no NeuronModel"):
        bridge.ModelNeuron(iaf, 0.1)
    with pytest.raises(UnknownNameError, match=r"has no input 'ampa'\. Inputs: exc, inh"):
        bridge.ModelNeuron(iaf(), 0.1)({"ampa": torch.zeros(1, 1, 1)})

    neuron = bridge.ModelNeuron(iaf(), 0.1, learn=["tau_m"])
    neuron.tau_m.data.fill_(-1.0)
    with pytest.raises(ParameterError, match=r"iaf_psc_exp.tau_m was learnt to -1 ms: must be > 0"):
        neuron(torch.zeros(1, 1, 2, 1))

    class either(ns.NeuronModel):
        tau = ns.param(10.0, "ms", gt=0)
        equations = "dv/dt = -v/tau : 1"
        receptors = {"exc": "v += weight"}
        threshold = "v > 1 or v < -1"
        reset = "v = 0"

    with pytest.raises(ModelError, match="the threshold of either must be a comparison"):
        bridge.ModelNeuron(either(), 0.1)
