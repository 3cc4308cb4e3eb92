"""Graphs of NIR that are no chains: branches that join, loops, delays, subgraphs, pools."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from neurosim import bridge
from neurosim.bridge.nir.delay import Delay
from neurosim.errors import ParameterError, UnknownNameError

nir = pytest.importorskip("nir")

T, B, N, DT = 40, 3, 5, 1e-3


def lif(n: Any = None, **options: Any) -> bridge.LIF:
    return bridge.LIF(n, beta=0.8, reset="zero", **options)


def linear(n_in: int = N, n_out: int = N) -> nn.Linear:
    layer = nn.Linear(n_in, n_out)
    with torch.no_grad():
        layer.weight.mul_(2).add_(0.3)
    return layer


def delayed() -> bridge.DelayedLinear:
    steps = torch.tensor([0.0, 3.0, 1.0, 7.0, 2.0])
    options: Any = {"delay_init": steps, "learn_delays": False, "bias": True}
    return bridge.DelayedLinear(N, N, 7, kind="axon", **options)


def residual() -> bridge.Graph:
    return bridge.Graph(
        {"a": linear(), "b": bridge.Sequential(linear(), lif(), linear()), "lif": lif()},
        [("input", "a"), ("input", "b"), ("a", "lif"), ("b", "lif"), ("input", "lif"),
         ("lif", "output"), ("b", "output")],
    )  # fmt: skip


#: Layers that get N spike trains.
LAYERS: dict[str, Callable[[], Any]] = {
    "branches": residual,
    "a branch that does nothing": lambda: bridge.Graph(
        {"same": nn.Dropout(), "lif": lif()},
        [("input", "same"), ("input", "lif"), ("same", "lif"), ("lif", "output")],
    ),
    "graph in a graph": lambda: bridge.Graph(
        {"inner": residual(), "lif": lif()},
        [("input", "inner"), ("input", "lif"), ("inner", "lif"), ("lif", "output")],
    ),
    "delays in the loop": lambda: bridge.Recurrent(lif(), delayed()),
    "chain in the loop": lambda: bridge.Recurrent(
        lif(), bridge.Sequential(linear(N, 2), linear(2, N))
    ),
    "branches in the loop": lambda: bridge.Recurrent(lif(), bridge.Graph(
        {"a": linear(), "b": delayed()},
        [("input", "a"), ("input", "b"), ("a", "output"), ("b", "output"), ("input", "output")])),
    "elementwise delays": lambda: Delay(torch.tensor([0, 2, 5, 1, 0])),
    "one delay": lambda: bridge.Sequential(Delay(torch.tensor(3)), lif()),
}  # fmt: skip


@pytest.mark.parametrize("kind", LAYERS)
def test_the_model_read_back_computes_the_same(tmp_path: Path, kind: str):
    torch.manual_seed(0)
    net = bridge.Sequential(linear(4, N), lif(), LAYERS[kind](), linear(N, 2), lif()).double()
    net.eval()
    bridge.save_nir(net, tmp_path / "net.nir", dt=DT)
    nir.read(tmp_path / "net.nir", type_check=True)
    again = bridge.load_nir(tmp_path / "net.nir")
    x = torch.rand(T, B, 4, dtype=torch.float64)
    expected = net(x)[0]
    assert 0.02 < float(expected.detach().mean()) < 0.98
    assert torch.equal(again(x)[0], expected)
    # parts one after the other, and a second round
    first, between = again(x[:6])
    assert torch.equal(torch.cat((first, again(x[6:], between)[0])), expected)
    twice = bridge.from_nir(bridge.to_nir(again, dt=DT, sample_shape=4))
    assert torch.equal(twice(x)[0], expected)
    assert sum(p.numel() for p in again.parameters()) == sum(p.numel() for p in net.parameters())


def test_what_the_branches_mean_by_hand():
    ones = np.ones(3)
    graph = nir.NIRGraph(
        {"input": nir.Input({"input": np.array([3])}), "a": nir.Scale(2 * ones),
         "b": nir.Linear(np.eye(3)[::-1].copy()), "late": nir.Delay(2 * DT * ones),
         "output": nir.Output({"output": np.array([3])})},
        [("input", "a"), ("input", "b"), ("input", "late"), ("a", "output"), ("b", "output"),
         ("late", "output")],
    )  # fmt: skip
    x = torch.rand(T, B, 3, dtype=torch.float64)
    late = torch.cat((torch.zeros(2, B, 3), x[:-2]))
    out = bridge.from_nir(graph, dt=DT, dtype=torch.float64)(x)[0]
    assert torch.allclose(out, 2 * x + x.flip(-1) + late, rtol=1e-14)


def test_two_ways_back_to_a_neuron_and_spikes_of_its_own():
    random, ones = np.random.default_rng(0), np.ones(N)
    W, U = random.normal(size=(2, N, N))
    graph = nir.NIRGraph(
        {"input": nir.Input({"input": np.array([N])}),
         "lif": nir.LIF(0.005 * ones, 1 / (1 - np.exp(-0.2)) * ones, 0 * ones, ones),
         "w": nir.Linear(W), "u": nir.Linear(U), "d": nir.Delay(3 * DT * ones),
         "output": nir.Output({"output": np.array([N])})},
        [("input", "lif"), ("lif", "output"), ("lif", "w"), ("w", "lif"), ("lif", "lif"),
         ("lif", "d"), ("d", "u"), ("u", "lif")],
    )  # fmt: skip
    x = random.uniform(0, 1, (T, N))
    v, sent, expected = np.zeros(N), np.zeros((T + 4, N)), []
    for t in range(T):  # sent[k] are the spikes of step k - 4
        total = x[t] + W @ sent[t + 3] + sent[t + 3] + U @ sent[t]
        v = np.exp(-0.2) * v + total
        sent[t + 4] = v > 1
        expected.append(sent[t + 4])
        v = np.where(v > 1, 0, v)
    out = bridge.from_nir(graph, dt=DT)(torch.from_numpy(x[:, None]))[0][:, 0].detach().numpy()
    assert 0.1 < out.mean() < 0.9
    assert np.array_equal(out, np.stack(expected))


def test_nested_subgraphs_with_branches_are_resolved():
    inner = bridge.to_nir(residual(), dt=DT, sample_shape=N)
    middle = nir.NIRGraph(
        {"input": nir.Input({"input": np.array([N])}), "block": inner,
         "output": nir.Output({"output": np.array([N])})},
        [("input", "block"), ("block", "output"), ("input", "output")],
    )  # fmt: skip
    torch.manual_seed(0)
    model = bridge.from_nir(middle, dt=DT)
    alone = bridge.from_nir(inner, dt=DT)
    x = (torch.rand(T, B, N) < 0.3).float()
    assert torch.allclose(model(x)[0], alone(x)[0] + x)


@pytest.mark.parametrize("pool", [nn.AvgPool2d(2), nn.AvgPool2d(2, divisor_override=1)])
def test_convolutions_pools_and_flatten_in_branches_and_loops(tmp_path: Path, pool: nn.Module):
    torch.manual_seed(0)
    net = bridge.Sequential(
        bridge.Graph(
            {"a": bridge.Conv2d(2, 3, 3, padding=1), "b": nn.Conv2d(2, 3, 1),
             "lif": bridge.Recurrent(lif(), bridge.Conv2d(3, 3, 3, padding=1))},
            [("input", "a"), ("input", "b"), ("a", "lif"), ("b", "lif"), ("lif", "output"),
             ("b", "output")]),
        pool, nn.Flatten(), linear(12, 4), lif(4),
    ).double()  # fmt: skip
    bridge.save_nir(net, tmp_path / "net.nir", dt=DT, sample_shape=(2, 4, 4))
    graph = nir.read(tmp_path / "net.nir", type_check=True)
    kind = "SumPool2d" if pool.divisor_override else "AvgPool2d"
    assert {kind, "Conv2d", "Flatten"} <= {type(n).__name__ for n in graph.nodes.values()}
    again = bridge.load_nir(tmp_path / "net.nir")
    x = (torch.rand(T, B, 2, 4, 4) < 0.5).double()
    expected = net(x)[0]
    assert 0.02 < float(expected.detach().mean()) < 0.98
    assert torch.equal(again(x)[0], expected)


def test_one_dimensional_convolutions_join(tmp_path: Path):
    torch.manual_seed(0)
    net = bridge.Sequential(bridge.Graph(
        {"a": bridge.Conv1d(2, 3, 3, padding=1), "b": nn.Conv1d(2, 3, 1), "lif": lif()},
        [("input", "a"), ("input", "b"), ("a", "lif"), ("b", "lif"), ("lif", "output")],
    )).double()  # fmt: skip
    bridge.save_nir(net, tmp_path / "net.nir", dt=DT, sample_shape=(2, 6))
    x = 3 * torch.rand(T, B, 2, 6, dtype=torch.float64)
    expected = net(x)[0]
    assert 0.02 < float(expected.detach().mean()) < 0.98
    assert torch.equal(bridge.load_nir(tmp_path / "net.nir")(x)[0], expected)


# --- the containers themselves


def test_gradients_reach_every_branch():
    torch.manual_seed(0)
    net = residual()
    net(torch.rand(T, B, N))[0].sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


@pytest.mark.parametrize(
    ("edges", "error", "text"),
    [([("input", "a"), ("a", "c"), ("b", "output")], UnknownNameError, "no module 'c'"),
     ([("input", "a"), ("a", "b"), ("b", "a"), ("b", "output")], ParameterError,
      "a loop through 'a', 'b'|a loop through 'b', 'a'"),
     ([("input", "a"), ("a", "output")], ParameterError, "'b' has no input"),
     ([("input", "a"), ("input", "b"), ("a", "output")], ParameterError, "'b' leads nowhere"),
     ([("input", "a"), ("input", "a")], ParameterError, "is there twice")],
)  # fmt: skip
def test_bad_edges_are_refused(edges: Any, error: type[Exception], text: str):
    with pytest.raises(error, match=text):
        bridge.Graph({"a": linear(), "b": linear()}, edges)


def test_what_cannot_be_added_is_refused():
    net = bridge.Graph({"a": linear(N, 1)}, [("input", "a"), ("a", "output"), ("input", "output")])
    with pytest.raises(ParameterError, match=r"'output' gets \[40, 3, 1\] from 'a', but \[40, 3, "):
        net(torch.rand(T, B, N))
    with pytest.raises(ParameterError, match=r"'output' gets shape \(1,\) and, from 'input', \(5,"):
        bridge.to_nir(net, dt=DT)
    with pytest.raises(ParameterError, match="a delay is negative: -1 steps"):
        Delay(torch.tensor([1, -1]))
