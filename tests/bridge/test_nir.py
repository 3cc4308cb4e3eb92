"""NIR both ways: equal spikes after files, an independent reader, losses said, bad graphs named."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import neurosim as ns
from neurosim import bridge
from neurosim.errors import FileFormatError, ParameterError

nir = pytest.importorskip("nir")
h5py = pytest.importorskip("h5py")

from neurosim.bridge.nir import NirLossWarning, Scale  # noqa: E402

T, B, N = 40, 3, 6
DT = 1e-3


def vector(low: float, high: float, n: int = N) -> torch.Tensor:
    """Return values that differ between neurons."""
    return torch.linspace(low, high, n)


#: Layers that NIR can say without loss, for N neurons.
EXACT = {
    "LIF": lambda: bridge.LIF(beta=vector(0.5, 0.97), threshold=vector(0.5, 1.5), reset="zero"),
    "LIF at once": lambda: bridge.LIF(beta=0.9, reset="zero", reset_delay=False),
    "LIF by tau": lambda: bridge.LIF(tau=12.0, dt=1.0, reset="zero"),
    "LIF without memory": lambda: bridge.LIF(beta=0.0, reset="zero"),
    "IF": lambda: bridge.LIF(beta=1.0, threshold=2.0, reset="zero"),
    "graded": lambda: bridge.LIF(beta=0.9, reset="zero", graded_spikes_factor=vector(0.5, 2)),
    "graded currents": lambda: bridge.CubaLIF(
        alpha=0.5, beta=0.8, reset="zero", reset_delay=False, graded_spikes_factor=0.3),
    "CubaLIF": lambda: bridge.CubaLIF(
        alpha=vector(0.2, 0.7), beta=vector(0.9, 0.6), threshold=vector(0.5, 1.5), reset="zero",
        reset_delay=False),
    "Recurrent": lambda: bridge.Recurrent(bridge.LIF(beta=0.9, reset="zero"), nn.Linear(N, N)),
    "Recurrent without bias": lambda: bridge.Recurrent(
        bridge.CubaLIF(alpha=0.4, beta=0.8, reset="zero", reset_delay=False),
        nn.Linear(N, N, bias=False)),
    "each to itself": lambda: bridge.Recurrent(
        bridge.LIF(beta=0.9, reset="zero"), vector(-0.5, 0.5)),
    "LI": lambda: bridge.LI(beta=vector(0.5, 0.99)),
    "running mean": lambda: bridge.LI(beta=0.9, normalise=True),
    "sum": lambda: bridge.LI(beta=1.0),
    "filters": lambda: bridge.MembraneOutput(bridge.CubaLIF(alpha=0.4, beta=0.8, reset="none")),
    "filter": lambda: bridge.MembraneOutput(bridge.LIF(beta=0.8, reset="none")),
}  # fmt: skip


def network(kind: str) -> bridge.Sequential:
    """Return a network with a layer of one kind behind spiking neurons."""
    torch.manual_seed(1)
    net = bridge.Sequential(
        bridge.Linear(4, N), bridge.LIF(beta=0.8, reset="zero"), nn.Linear(N, N), EXACT[kind]()
    )
    with torch.no_grad():
        net[0].weight.mul_(3).add_(0.4)
        net[2].weight.mul_(2).add_(0.6)
    return net


def through_file(model: nn.Module, path: Path, **options: Any) -> tuple[Any, bridge.Sequential]:
    """Return a model's graph as nir itself reads it, with types checked, and our model of it."""
    reading = {k: options.pop(k) for k in ("read_dt",) if k in options}
    bridge.save_nir(model, path, dt=options.pop("dt", DT), **options)
    return nir.read(path, type_check=True), bridge.load_nir(path, dt=reading.get("read_dt"))


@pytest.mark.parametrize("discretisation", ["exact", "euler"])
@pytest.mark.parametrize(
    ("kind", "dtype"),
    [*((k, torch.float64) for k in EXACT), ("LIF", torch.float32), ("LIF by tau", torch.float32),
     ("graded currents", torch.float32), ("LI", torch.float32)],
    ids=str,
)  # fmt: skip
def test_the_model_read_back_fires_the_same_spikes(
    tmp_path: Path, kind: str, discretisation: Any, dtype: torch.dtype
):
    net = network(kind).to(dtype)
    graph, again = through_file(net, tmp_path / "net.nir", discretisation=discretisation)
    torch.manual_seed(2)
    x = torch.rand(T, B, 4, dtype=dtype)
    expected, out = net(x)[0], again(x)[0]
    assert out.dtype == dtype
    assert (expected != 0).double().mean() > 0.02
    if kind in ("LI", "running mean", "sum", "filter", "filters"):
        limit = 1e-11 if dtype == torch.float64 else 1e-4
        assert torch.allclose(out, expected, rtol=limit, atol=limit)
    else:
        assert torch.equal(out, expected)
    shapes = {
        np.shape(getattr(node, key))
        for node in graph.nodes.values()
        for key in ("tau", "r", "v_threshold", "tau_syn", "w_in", "scale", "threshold")
        if hasattr(node, key)
    }
    assert shapes == {(N,)}  # never scalars
    if kind == "graded":  # a node of its own, and one layer again
        assert [type(m).__name__ for m in again] == ["Linear", "LIF", "Linear", "LIF"]
    assert float(graph.metadata["dt"]) == DT
    assert graph.metadata["time_unit"] == "s"
    assert graph.metadata["discretisation"] == discretisation


@settings(deadline=None, max_examples=30)
@given(
    beta=st.lists(st.floats(2**-6, 1 - 2**-13, width=32), min_size=3, max_size=3),
    threshold=st.floats(2**-10, 1e3, width=32), discretisation=st.sampled_from(["exact", "euler"]),
    dt=st.sampled_from([1e-4, 1e-3, 0.25]),
)  # fmt: skip
def test_parameters_come_back_to_the_last_bit(
    beta: list[float], threshold: float, discretisation: Any, dt: float
):
    layer = bridge.LIF(3, beta=torch.tensor(beta), threshold=threshold, reset="zero")
    (again,) = bridge.from_nir(bridge.to_nir(layer, dt=dt, discretisation=discretisation))
    assert torch.equal(again.beta.expand(3), layer.beta)
    assert torch.equal(again.threshold, layer.threshold)


# --- an independent reader: NIR's equations, solved exactly for input constant in a step


def reference(graph: Any, x: np.ndarray, dt: float) -> np.ndarray:
    """Return the output [T, N] of a chain of NIR nodes with edges back, by its equations."""
    after = {a: [b for c, b in graph.edges if c == a] for a in graph.nodes}
    order, back = ["input"], dict[str, str]()
    while order[-1] != "output":
        here = order[-1]
        for name in after[here]:
            if after[name] == [here]:
                back[here] = name
            else:
                order.append(name)
    state: dict[str, np.ndarray] = {}
    sent: dict[str, np.ndarray] = {}
    out = []
    for row in x:
        for name in order[1:-1]:
            if name in back and name in sent:
                row = row + applied(graph.nodes[back[name]], sent[name], "", {}, dt)
            elif name in back:
                row = row + applied(graph.nodes[back[name]], np.zeros_like(row), "", {}, dt)
            row = sent[name] = applied(graph.nodes[name], row, name, state, dt)
        out.append(row)
    return np.stack(out)


def relaxed(v: Any, target: Any, tau: Any, dt: float) -> Any:
    """Return the solution of tau dv/dt = target - v after dt."""
    return target + (v - target) * np.exp(-dt / tau)


def applied(node: Any, x: np.ndarray, name: str, state: dict[str, Any], dt: float) -> np.ndarray:
    """Return what a node makes of its input in one step."""
    kind = type(node).__name__
    if kind in ("Linear", "Affine"):
        return node.weight @ x + getattr(node, "bias", 0.0)
    if kind == "Scale":
        return node.scale * x
    if kind == "Threshold":
        return (x > node.threshold).astype(float)
    v = state.get(name, 0.0)
    if kind.startswith("Cuba"):
        current = relaxed(state.get(name + "I", 0.0), node.w_in * x, node.tau_syn, dt)
        state[name + "I"] = x = current
    tau = node.tau_mem if kind.startswith("Cuba") else getattr(node, "tau", None)
    v = v + node.r * x * dt if tau is None else relaxed(v, node.v_leak + node.r * x, tau, dt)
    if kind in ("LI", "I", "CubaLI"):
        state[name] = v
        return v
    spikes = v > node.v_threshold
    state[name] = np.where(spikes, node.v_reset, v)
    return spikes.astype(float)


@pytest.mark.parametrize("kind", EXACT)
def test_the_file_means_by_nirs_equations_what_the_model_does(tmp_path: Path, kind: str):
    net = network(kind).double()
    graph, _ = through_file(net, tmp_path / "net.nir")
    torch.manual_seed(2)
    x = torch.rand(T, 1, 4, dtype=torch.float64)
    expected = net(x)[0][:, 0].detach().numpy()
    assert np.allclose(reference(graph, x[:, 0].numpy(), DT), expected, rtol=1e-9, atol=1e-9)


def test_a_gain_that_is_not_one_goes_into_the_threshold():
    # Norse: tau_mem = 10 ms, r = 1, so that a step of 1 ms adds (1 - exp(-0.1)) x; no bias
    rng = np.random.default_rng(0)
    ones = np.ones(3)
    lif = {"tau": 0.01 * ones, "r": ones, "v_leak": 0.2 * ones, "v_threshold": 0.4 * ones,
           "v_reset": 0.2 * ones}  # fmt: skip
    cuba = {"tau_mem": 0.01 * ones, "tau_syn": 0.005 * ones, "r": ones, "v_leak": 0 * ones,
            "v_threshold": 0.1 * ones, "w_in": 2 * ones}  # fmt: skip
    for node in (nir.LIF(**lif), nir.CubaLIF(**cuba), nir.IF(100 * ones, 0.3 * ones, 0 * ones),
                 nir.LIF(**lif | {"r": -ones})):  # fmt: skip
        graph = nir.NIRGraph.from_list(nir.Linear(rng.uniform(size=(3, 4))), node)
        model = bridge.from_nir(graph, dt=DT)
        x = 0.3 + 6 * rng.normal(size=(300, 1, 4))
        out = model(torch.from_numpy(x))[0][:, 0].detach().numpy()
        # our membranes start at rest, the reference at 0
        ref = reference_at_rest(graph, x[:, 0])
        assert 0.02 < ref.mean() < 0.9
        assert np.array_equal(out, ref)


def reference_at_rest(graph: Any, x: np.ndarray) -> np.ndarray:
    """Return the spikes of Linear and a neuron that starts at rest."""
    linear, node = (n for n in graph.nodes.values() if type(n).__name__ not in ("Input", "Output"))
    state = {"n": np.array(getattr(node, "v_leak", 0.0))}
    return np.stack([applied(node, linear.weight @ row, "n", state, DT) for row in x])


# --- times and units


def test_time_constants_are_those_of_the_layer():
    layer = bridge.LIF(2, tau=20.0, dt=0.5, reset="zero")
    node = bridge.to_nir(layer, dt=0.5e-3).nodes["0_lif"]
    assert np.allclose(node.tau, 0.02, rtol=1e-5)  # beta is stored in float32
    assert np.allclose(node.r * (1 - np.exp(-0.5e-3 / node.tau)), 1)
    graph = bridge.to_nir(layer, dt=0.5, time_unit="ms")
    assert np.allclose(graph.nodes["0_lif"].tau, 20, rtol=1e-5)
    assert graph.metadata["time_unit"] == "ms"
    # at another step, and given in another unit
    for dt, unit in ((1.0, "ms"), (1e-3, "s")):
        (other,) = bridge.from_nir(graph, dt=dt, time_unit=unit)
        assert math.isclose(other.beta, math.exp(-1 / 20), rel_tol=1e-5)
        # the same current drives the membrane (1 - beta) R per step
        gain = (1 - math.exp(-1 / 20)) / (1 - math.exp(-0.5 / 20))
        assert math.isclose(other.threshold, 1 / gain, rel_tol=1e-5)
    # snnTorch's convention: tau = dt/(1 - beta), r = tau/dt
    node = bridge.to_nir(bridge.LIF(2, beta=0.9, reset="zero"), dt=1e-4,
                         discretisation="euler").nodes["0_lif"]  # fmt: skip
    assert np.allclose(node.tau, 1e-3)
    assert np.allclose(node.r, 10)


def test_times_that_cannot_be():
    layer = bridge.LIF(2, beta=0.9, reset="zero")
    graph = bridge.to_nir(layer, dt=1.0)
    graph.metadata = {}
    with pytest.raises(ParameterError, match="does not say for which step"):
        bridge.from_nir(graph)
    with pytest.raises(ParameterError, match="shorter than the step"):
        bridge.from_nir(graph, dt=20.0, discretisation="euler")
    with pytest.raises(ParameterError, match="dt = 0"):
        bridge.to_nir(layer, dt=0)
    with pytest.raises(ParameterError, match="'min' is not one of s, ms, us"):
        bridge.to_nir(layer, dt=1, time_unit="min")
    with pytest.raises(ParameterError, match="'rk4' is not one of exact, euler"):
        bridge.to_nir(layer, dt=1, discretisation="rk4")


# --- convolutions, pools, delays


def test_convolutional_network_with_batch_norm(tmp_path: Path):
    torch.manual_seed(0)
    net = bridge.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, stride=2, groups=2, bias=False),
        bridge.EachStep(nn.BatchNorm2d(4)), nn.Dropout(0.5), bridge.LIF(beta=0.8, reset="zero"),
        bridge.Sequential(nn.AvgPool2d(2), nn.AvgPool2d(2, 1, 1, divisor_override=1)),
        bridge.Recurrent(bridge.LIF(beta=0.6, reset="zero"), nn.Conv2d(4, 4, 3, padding=1)),
        nn.Conv2d(4, 3, 3, padding="same", dilation=2), nn.Flatten(), nn.Linear(75, 5),
        nn.BatchNorm1d(5), bridge.LIF(beta=0.8, threshold=0.3, reset="zero"),
    ).double()  # fmt: skip
    x = 3 * torch.rand(T, B, 2, 16, 16, dtype=torch.float64)
    net(x)  # running statistics
    net.eval()
    graph, again = through_file(net, tmp_path / "net.nir", sample_shape=(2, 16, 16))
    assert tuple(graph.nodes["3_lif"].tau.shape) == (4, 8, 8)
    expected = net(x)[0]
    assert 0.02 < expected.mean() < 0.9
    assert torch.equal(again(x)[0], expected)
    with pytest.raises(ParameterError, match="give sample_shape="):
        bridge.to_nir(net, dt=DT)
    with pytest.raises(ParameterError, match=r"module 7: input of shape|module 8: input of shape"):
        bridge.to_nir(net, dt=DT, sample_shape=(2, 20, 20))


def test_one_dimensional_convolution(tmp_path: Path):
    net = bridge.Sequential(
        nn.Conv1d(2, 3, 3, stride=2, dilation=2), bridge.LIF(beta=0.8, reset="zero"),
        nn.Flatten(1, 2), nn.Linear(18, 2), bridge.LIF(beta=0.8, reset="zero"),
    ).double()  # fmt: skip
    with torch.no_grad():
        net[0].weight.add_(0.2)
        net[3].weight.add_(0.1)
    _, again = through_file(net, tmp_path / "net.nir", sample_shape=(2, 15))
    x = torch.rand(T, B, 2, 15, dtype=torch.float64)
    assert 0.02 < net(x)[0].mean() < 0.98
    assert torch.equal(again(x)[0], net(x)[0])


def test_delays_of_axons(tmp_path: Path):
    torch.manual_seed(0)
    delayed = bridge.DelayedLinear(
        4, 3, max_delay=6, kind="axon", delay_init=torch.tensor([0.0, 2, 3, 6]), bias=True
    )
    net = bridge.Sequential(bridge.LIF(4, beta=0.5, reset="zero"), delayed,
                            bridge.LIF(beta=0.8, threshold=0.3, reset="zero"))  # fmt: skip
    graph, again = through_file(net, tmp_path / "net.nir")
    assert np.allclose(graph.nodes["1_delay"].delay, [0, 0.002, 0.003, 0.006])
    x = 2 * torch.rand(T, B, 4)
    assert 0.02 < net(x)[0].mean() < 0.9
    assert torch.equal(again(x)[0], net(x)[0])
    with torch.no_grad():
        delayed.delay[1] = 2.4
    with pytest.raises(ParameterError, match=r"module 1: its delays act at several steps"):
        bridge.to_nir(net, dt=DT)
    with pytest.warns(NirLossWarning, match="it became delays of whole steps"):
        bridge.to_nir(net, dt=DT, lossy=True)
    graph.nodes["1_delay"].delay = np.array([0, 0.0024, 0.003, 0.006])
    with pytest.raises(ParameterError, match="'1_delay': its delays are not whole steps"):
        bridge.from_nir(graph)
    with pytest.warns(NirLossWarning, match="the nearest ones"):
        again = bridge.from_nir(graph, lossy=True)
    assert again[1].delay.tolist() == [0, 2, 3, 6]
    synapses = bridge.DelayedLinear(4, 3, max_delay=6)
    synapses.round_()
    with pytest.raises(ParameterError, match="module 0: NIR has delays per neuron, not per synap"):
        bridge.to_nir(bridge.Sequential(synapses), dt=DT)


# --- what NIR cannot say


@pytest.mark.parametrize(
    ("layer", "text"),
    [(lambda: bridge.LIF(N, beta=0.9), "NIR has no reset by subtraction"),
     (lambda: bridge.LIF(N, beta=0.9, reset="none"), "NIR has no spiking neuron without reset"),
     (lambda: bridge.LIF(N, beta=0.9, reset="zero_all"), "also drops the input of the step after"),
     (lambda: bridge.CubaLIF(N, alpha=0.5, beta=0.9, reset="zero"), "also drops the input"),
     (lambda: bridge.Lapicque(N, R=5.0, C=1.0), "NIR has no reset by subtraction"),
     (lambda: bridge.ALIF(N, beta=0.9, rho=0.9, reset="zero"), "NIR has no adapting threshold")],
)  # fmt: skip
def test_losses_are_errors_or_warnings(layer: Any, text: str):
    with pytest.raises(ParameterError, match=f"module 0: .*{text}.*lossy=True it becomes"):
        bridge.to_nir(bridge.Sequential(layer()), dt=DT)
    with pytest.warns(NirLossWarning, match=text):
        graph = bridge.to_nir(bridge.Sequential(layer()), dt=DT, lossy=True)
    assert isinstance(graph.nodes["input"], nir.Input)


@pytest.mark.parametrize(
    ("layer", "text"),
    [(lambda: bridge.AlphaLIF(2, alpha=0.9, beta=0.5), "NIR has no neuron like AlphaLIF"),
     (lambda: bridge.AdLIF(2), "NIR has no neuron like AdLIF"),
     (lambda: nn.ReLU(), r"module 0: NIR has no node for ReLU\(\)"),
     (lambda: nn.MaxPool2d(2), "NIR has no node for MaxPool2d"),
     (lambda: nn.Conv2d(2, 2, (1, 3)), "kernels to be square"),
     (lambda: nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"), "NIR pads with zeros"),
     (lambda: nn.AvgPool2d(3, ceil_mode=True), "know no ceil_mode"),
     (lambda: nn.AvgPool2d(2, divisor_override=3), "have no divisor_override"),
     (lambda: nn.BatchNorm2d(2), "module 0: .* has no Linear or Conv before it"),
     (lambda: bridge.LIF(beta=torch.tensor([1.0, 0.5]), reset="zero"), "for 1 of 2 neurons"),
     (lambda: bridge.LIF(beta=torch.tensor([0.0, 0.5]), reset="zero"), "beta is 0 for 1 of 2"),
     (lambda: bridge.LIF(beta=0.9, threshold=-1.0, reset="zero"), "the smallest is -1"),
     (lambda: bridge.CubaLIF(alpha=0.0, beta=0.9, reset="zero", reset_delay=False), "one is 0"),
     (lambda: bridge.MembraneOutput(bridge.LIF(beta=0.9)), "is reset when it spikes"),
     (lambda: bridge.LIF(7, beta=0.9, reset="zero"), r"module 0: LIF.* gets input of shape"),
     (lambda: bridge.Recurrent(bridge.LIF(beta=0.9, reset="zero", graded_spikes_factor=0.5),
                               torch.ones(())), "graded spikes that also come back"),
     (lambda: bridge.Recurrent(bridge.LIF(beta=0.9, reset="zero"),
                               bridge.DelayedLinear(2, 2, 3)), "its delays act at several steps"),
     (lambda: bridge.Recurrent(bridge.LIF(beta=0.9, reset="zero"), bridge.Sequential(
         nn.Linear(2, 2), bridge.LIF(beta=0.9, reset="zero"))), "neurons in a recurrent conn")],
)  # fmt: skip
def test_what_cannot_be_written_is_refused_by_name(layer: Any, text: str):
    module = layer()
    shape: Any = (2, 6, 6) if isinstance(module, nn.Conv2d | nn.AvgPool2d | nn.MaxPool2d) else (2,)
    with pytest.raises(ParameterError, match=text):
        bridge.to_nir(bridge.Sequential(module), dt=DT, sample_shape=shape)


# --- graphs of others


def snntorch_style(shape: tuple[int, ...] = (4,), **lif: Any) -> Any:
    """Return what snnTorch's exporter makes: scalars, dt = 1e-4, Euler, float32, odd names."""
    beta = np.asarray(lif.pop("beta", 0.9), np.float32)
    tau = np.float32(1e-4) / (1 - beta)
    rng = np.random.default_rng(0)
    nodes = {
        "input": nir.Input({"input": np.array(shape)}),
        "0": nir.Affine(rng.normal(size=(3, 4)).astype("f4"), np.zeros(3, "f4")),
        "1": nir.LIF(tau=tau, r=tau / np.float32(1e-4), v_leak=np.zeros_like(beta),
                     v_threshold=np.ones_like(beta), v_reset=np.zeros_like(beta)),
        "output": nir.Output({"output": np.array([3])}),
    }  # fmt: skip
    edges = [("input", "0"), ("0", "1"), ("1", "output")]
    return nir.NIRGraph(nodes, edges, type_check=False)


@pytest.mark.parametrize("beta", [0.9, [0.9], [0.9, 0.8, 0.7]], ids=["scalar", "one", "vector"])
def test_scalar_parameters_of_snntorchs_exporter(tmp_path: Path, beta: Any):
    graph = snntorch_style(beta=beta)
    nir.write(tmp_path / "x.nir", graph, compression=None)
    model = bridge.load_nir(tmp_path / "x.nir", dt=1e-4, discretisation="euler")
    weight = torch.from_numpy(graph.nodes["0"].weight)
    ours = bridge.Sequential(nn.Linear(4, 3, bias=False),
                             bridge.LIF(beta=torch.tensor(beta), reset="zero"))  # fmt: skip
    ours[0].weight.data = weight
    x = torch.rand(T, B, 4)
    assert 0.02 < ours(x)[0].mean() < 0.9
    assert torch.equal(model(x)[0], ours(x)[0])
    assert model[1].threshold == 1


def test_a_batch_dimension_in_the_input_is_left_out_with_a_warning():
    with pytest.warns(UserWarning, match=r"'input': its shape \(1, 4\) has a batch dimension"):
        model = bridge.from_nir(snntorch_style((1, 4)), dt=1e-4)
    assert model(torch.zeros(2, 1, 4))[0].shape == (2, 1, 3)


def test_recurrent_subgraphs_and_repeated_edges():
    # snnTorch's RLeaky is a graph in the graph
    graph = snntorch_style(beta=[0.9, 0.8, 0.7])
    weight = np.random.default_rng(1).normal(size=(3, 3)).astype("f4")
    inner = nir.NIRGraph(
        {"input": nir.Input({"input": np.array([3])}), "lif": graph.nodes["1"],
         "w_rec": nir.Affine(weight, np.zeros(3, "f4")),
         "output": nir.Output({"output": np.array([3])})},
        [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")],
    )  # fmt: skip
    graph.nodes["1"] = inner
    graph.edges.append(("0", "1"))
    with pytest.warns(UserWarning, match="edge from '0' to '1.input' is there twice"):
        model = bridge.from_nir(graph, dt=1e-4, discretisation="euler")
    ours = bridge.Recurrent(
        bridge.LIF(beta=torch.tensor([0.9, 0.8, 0.7]), reset="zero"), nn.Linear(3, 3, bias=True)
    )
    ours.connection.weight.data = torch.from_numpy(weight)
    ours.connection.bias.data.zero_()
    x = torch.rand(T, B, 4)
    expected = ours(model[0](x)[0])[0]
    assert 0.02 < expected.mean() < 0.9
    assert torch.equal(model(x)[0], expected)
    # an edge from a neuron to itself carries its own spikes
    graph = snntorch_style()
    graph.edges.append(("1", "1"))
    loop = bridge.from_nir(graph, dt=1e-4, discretisation="euler")
    ours = bridge.Recurrent(bridge.LIF(beta=0.9, reset="zero"), torch.ones(()))
    assert torch.equal(loop(x)[0], ours(loop[0](x)[0])[0])


def test_nodes_that_we_do_not_write():
    ones = np.ones(3)
    chain = [
        nir.Scale(2 * ones), nir.CubaLI(tau_syn=0.01 * ones, tau_mem=0.02 * ones, r=3 * ones,
                                        v_leak=0 * ones),
        nir.I(r=50 * ones), nir.LI(tau=0.02 * ones, r=4 * ones, v_leak=0 * ones), nir.Scale(ones),
        nir.Threshold(0.5 * ones),
    ]  # fmt: skip
    graph = nir.NIRGraph.from_list(*chain)
    model = bridge.from_nir(graph, dt=DT, dtype=torch.float64)
    assert isinstance(model[0], Scale)
    x = np.random.default_rng(0).normal(size=(200, 3))
    state: dict[str, Any] = {}
    expected = []
    for row in x:
        for k, node in enumerate(chain):
            row = applied(node, row, str(k), state, DT)
        expected.append(row)
    out = model(torch.from_numpy(x[:, None]))[0][:, 0].numpy()
    assert 0.02 < out.mean() < 0.98
    assert np.array_equal(out, np.stack(expected))


# --- bad graphs and files


def changed(graph: Any, *, without: str = "", edges: Any = None, **nodes: Any) -> Any:
    """Return a graph with other nodes or edges, unchecked."""
    kept = {k: n for k, n in (graph.nodes | nodes).items() if k != without}
    links = [e for e in graph.edges if without not in e] if edges is None else edges
    return nir.NIRGraph(kept, links, type_check=False)


def bad_graphs() -> dict[str, tuple[Any, str]]:
    """Return graphs that cannot be read, with what is to be said."""
    good, ones = snntorch_style(beta=[0.9, 0.8, 0.7]), np.ones(3)
    square = nir.Linear(np.eye(3))
    lif = {"tau": ones, "r": ones, "v_leak": 0 * ones, "v_threshold": ones, "v_reset": 0 * ones}
    return {
        "no input": (changed(good, without="input"), "no Input node; without input are '0'"),
        "no output": (changed(good, without="output"), "no Output node; without output are '1'"),
        "two inputs": (changed(good, extra=nir.Input({"input": np.array([4])})),
                       "several Input nodes: 'input', 'extra'"),
        "unknown name": (changed(good, edges=[*good.edges, ("1", "x")]),
                         r"the edge \('1', 'x'\) names 'x', which is no node"),
        "loose": (changed(good, loose=square), "not between Input and Output: 'loose'"),
        "skip": (changed(good, edges=[*good.edges, ("input", "output")]),
                 r"'output' gets shape \(3,\) from '1', but \(4,\) from 'input'"),
        "loop": (changed(good, b=square, edges=[*good.edges, ("0", "b"), ("b", "0")]),
                 "a loop without a neuron, through '0', 'b'"),
        "two neurons": (changed(good, b=square, c=good.nodes["1"], edges=[
            *good.edges, ("1", "b"), ("b", "c"), ("c", "1")]),
                        "a loop through '1', 'b', 'c'; only loops around one neuron .* '1', 'c'"),
        "loop in a loop": (changed(good, b=square, c=square, edges=[
            *good.edges, ("1", "b"), ("b", "1"), ("b", "c"), ("c", "b")]),
                           "a loop without a neuron, through 'b', 'c'"),
        "feedback out": (changed(good, b=square, edges=[
            *good.edges, ("1", "b"), ("b", "1"), ("b", "output")]),
                         "'b' is in the loop of '1', but also connected to 'output'"),
        "shape of feedback": (changed(good, b=nir.Linear(np.ones((2, 3))), edges=[
            *good.edges, ("1", "b"), ("b", "1")]), r"'1' has shape \(3,\), but the shape \(2,\)"),
        "loop of integrator": (changed(good, **{"1": nir.LI(ones, ones, 0 * ones), "b": square},
                                       edges=[*good.edges, ("1", "b"), ("b", "1")]),
                               "'1' is fed back, but does not spike"),
        "pool in loop": (changed(good, b=nir.Threshold(ones),
                                 edges=[*good.edges, ("1", "b"), ("b", "1")]),
                         "'b': Threshold cannot be read in a loop"),
        "weights": (changed(good, **{"0": nir.Linear(np.ones((3, 5)))}),
                    r"'0': its weights \(3, 5\) do not fit its input of shape \(4,\)"),
        "parameters": (changed(good, **{"1": nir.IF(np.ones(4), np.ones(4))}),
                       r"'1': r has shape \(4,\), but shape \(3,\) arrives there"),
        "output shape": (changed(good, output=nir.Output({"output": np.array([7])})),
                         r"'output': the output has shape \(3,\), not \(7,\)"),
        "reset": (changed(good, **{"1": nir.LIF(**lif | {"v_reset": 0.5 * ones})}),
                  "'1': v_reset differs from 0"),
        "threshold": (changed(good, **{"1": nir.LIF(**lif | {"v_threshold": 0 * ones})}),
                      "'1': v_threshold must be above v_reset"),
        "tau": (changed(good, **{"1": nir.LIF(**lif | {"tau": -ones})}),
                "'1': time constants must be positive"),
        "nan": (changed(good, **{"1": nir.LIF(**lif | {"r": np.nan * ones})}),
                "'1': r is not finite"),
        "rest": (changed(good, **{"1": nir.LI(ones, ones, ones)}), "'1': v_leak must be 0"),
        "half a step": (changed(good, **{"1": nir.Delay(0.0015 * ones)}),
                        "'1': its delays are not whole steps"),
        "past": (changed(good, edges=[("input", "d"), ("d", "0"), *good.edges[1:]],
                         d=nir.Delay(-np.ones(4))), "'d': a delay is negative"),
        "convolution": (changed(good, **{"0": nir.Conv2d(None, np.ones((1, 2, 3, 3)), 1, 0, 1, 1,
                                                         np.zeros(1))}),
                        r"'0': its weights \(1, 2, 3, 3\) \(groups=1\) do not fit"),
        "pool": (changed(good, **{"0": nir.AvgPool2d(np.array([9, 9]), np.ones(2), np.zeros(2))},
                         input=nir.Input({"input": np.array([2, 4, 4])})),
                 "NIR node '0': input of shape"),
        "empty sub": (changed(good, **{"1": nir.NIRGraph({}, [], type_check=False)}),
                      "the subgraph '1' must have one Input node, not 0"),
    }  # fmt: skip


@pytest.mark.parametrize("case", bad_graphs())
def test_bad_graphs_are_refused_by_node(case: str):
    graph, text = bad_graphs()[case]
    with pytest.raises(ParameterError, match=text):
        bridge.from_nir(graph, dt=1e-3)


def test_a_shape_that_the_input_does_not_tell_is_that_of_the_next_node():
    graph = changed(snntorch_style(), input=nir.Input({"input": None}))
    assert bridge.from_nir(graph, dt=1e-4)[0].in_features == 4
    graph = changed(graph, edges=[("input", "1"), ("1", "output")], without="0")
    with pytest.raises(ParameterError, match="'input': it must tell the shape"):
        bridge.from_nir(graph, dt=1e-4)


def test_damaged_files(tmp_path: Path):
    path = tmp_path / "net.nir"
    with pytest.raises(FileNotFoundError, match=r"net\.nir: no such file"):
        bridge.load_nir(path)
    path.write_bytes(b"no HDF5")
    with pytest.raises(FileFormatError, match=r"net\.nir: not a NIR \(HDF5\) file, or damaged"):
        bridge.load_nir(path)
    bridge.save_nir(network("LIF"), path, dt=DT)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileFormatError, match="damaged"):
        bridge.load_nir(path)
    for change, text in [
        (lambda f: f.__delitem__("node"), "no graph in it"),
        (lambda f: f["node"].__delitem__("edges"), "a graph needs 'nodes' and 'edges'"),
        (lambda f: f["node/nodes/1_lif"].__delitem__("tau"), "node '1_lif' (LIF) cannot be read"),
        (lambda f: f["node/nodes/1_lif"].__delitem__("type"), "node '1_lif' has the type None"),
        (lambda f: retyped(f, "Foo"), "node '1_lif' has the type 'Foo', which nir"),
        (lambda f: resized(f), "node '1_lif' (LIF) cannot be read: AssertionError: All param"),
    ]:
        path.write_bytes(whole)
        with h5py.File(path, "r+") as file:
            change(file)
        with pytest.raises(FileFormatError, match=re.escape(text)):
            bridge.load_nir(path)


def retyped(file: Any, kind: str) -> None:
    """Give a node another type."""
    del file["node/nodes/1_lif/type"]
    file["node/nodes/1_lif/type"] = kind


def resized(file: Any) -> None:
    """Give a parameter another length than the others."""
    del file["node/nodes/1_lif/tau"]
    file["node/nodes/1_lif/tau"] = np.ones(N + 1)


def test_networks_of_snntorch_are_written_as_what_they_compute():
    snn = pytest.importorskip("snntorch")
    net = nn.Sequential(nn.Linear(4, 3), snn.Leaky(0.9, init_hidden=True, reset_mechanism="zero"))
    graph = bridge.to_nir(net, dt=1e-4, discretisation="euler")
    assert np.allclose(graph.nodes["1_lif"].tau, 1e-3)
    wrapped = nn.Sequential(nn.Linear(4, 3), bridge.SnnTorchNeuron(bridge.LI(beta=0.9)))
    assert type(bridge.to_nir(wrapped, dt=1e-4).nodes["1_li"]) is nir.LI
    with pytest.raises(ParameterError, match="NIR has no reset by subtraction"):
        bridge.to_nir(nn.Sequential(nn.Linear(4, 3), snn.Leaky(0.9, init_hidden=True)), dt=1e-4)


def test_a_file_becomes_a_network_of_the_event_engine(tmp_path: Path):
    net = network("Recurrent").double()
    _, model = through_file(net, tmp_path / "net.nir")
    x = (torch.rand(T, B, 4) < 0.4).double()
    expected = net(x)[0].detach().numpy()
    assert 0.02 < expected.mean() < 0.9
    run = bridge.to_network(model, 1.0).run(x, ns.CPU(strategy="clock"))
    assert np.array_equal(run.output, expected)


def test_masked_weights_are_written_as_zeros(tmp_path):
    torch.manual_seed(3)
    net = bridge.Sequential(
        bridge.Linear(4, N), bridge.LIF(beta=0.8, reset="zero"),
        bridge.Sparse(bridge.Linear(N, N), 0.4), bridge.LIF(beta=0.8, reset="zero"),
    )  # fmt: skip
    with torch.no_grad():
        net[0].weight.mul_(3).add_(0.4)
    x = torch.rand(20, 2, 4)
    graph, again = through_file(net, tmp_path / "net.nir", dt=1e-3)
    assert sum(int((n.weight == 0).sum()) for n in graph.nodes.values() if hasattr(n, "weight")) > 0
    torch.testing.assert_close(again(x)[0], net(x)[0], rtol=0, atol=0)
