"""Graphs of modules as networks: sums of branches, nested graphs, parts that cannot be one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import neurosim as ns
from neurosim.bridge import (
    LI,
    LIF,
    Conv2d,
    CubaLIF,
    DelayedLinear,
    Graph,
    Linear,
    Recurrent,
    Sequential,
    round_delays_,
)
from neurosim.bridge.convert import to_network
from neurosim.errors import ConversionError, ParameterError


def spikes(shape, p):
    g = torch.Generator().manual_seed(0)
    return (torch.rand(shape, generator=g) < p).double()


def scaled(model, gain=3.0):
    model = model.double().eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith("weight"):
                value.mul_(gain)
    return model


def check(model, x, layers, **options):
    """Compare spikes of layers, by the modules that emit them, and the output."""
    seen = {}
    hooks = [
        module.register_forward_hook(lambda m, i, o, name=name: seen.__setitem__(name, o[0]))
        for name, module in layers.items()
    ]
    with torch.no_grad():
        expected = model(x)[0]
    for hook in hooks:
        hook.remove()
    converted = to_network(model, 1.0, **options)
    for engine in ("reference", ns.CPU(strategy="clock")):
        run = converted.run(x, engine)
        for name, out in seen.items():
            assert 0.01 < float(out.mean()) < 0.9, f"{name} fires"
            for sample in range(x.shape[1]):
                got = run.of(name)[:, sample].reshape(out[:, sample].shape)
                np.testing.assert_array_equal(got, out[:, sample])
        np.testing.assert_allclose(run.output.reshape(expected.shape), expected, atol=1e-9)
    return converted


def test_residual_branches_emit_the_spikes_of_torch():
    torch.manual_seed(0)
    model = scaled(Graph(
        {"out": LI(beta=0.9), "head": nn.Linear(8, 3), "one": LIF(beta=0.8), "a": nn.Linear(6, 8),
         "b": Linear(8, 8), "two": CubaLIF(alpha=0.5, beta=0.7), "skip": DelayedLinear(6, 8, 5),
         "drop": nn.Dropout(0.5)},
        [("input", "a"), ("a", "one"), ("one", "b"), ("b", "two"), ("input", "skip"),
         ("skip", "two"), ("one", "two"), ("two", "drop"), ("one", "head"), ("drop", "head"),
         ("head", "out"), ("out", "output")],
    ))  # fmt: skip
    round_delays_(model)
    converted = check(
        model, spikes((60, 3, 6), 0.3), {"one": model.nodes["one"], "two": model.nodes["two"]}
    )
    assert dict(converted.offsets) == {"one": 1, "two": 2, "out": 3}
    assert "left out" in {a: c for a, _, c in converted.modules}["drop.0"]


def test_graphs_in_chains_and_in_graphs():
    torch.manual_seed(1)
    inner = Graph(
        {"lif": LIF(beta=0.6), "own": Recurrent(LIF(beta=0.7), nn.Linear(12, 12))},
        [("input", "lif"), ("input", "own"), ("lif", "output"), ("own", "output")],
    )
    outer = Graph({"inner": inner, "fc": Linear(12, 5)},
                  [("input", "inner"), ("inner", "fc"), ("fc", "output")])  # fmt: skip
    model = scaled(Sequential(Linear(7, 12), outer, LIF(beta=0.9)), 2.0)
    layers = {"1.inner.lif": inner.nodes["lif"], "1.inner.own": inner.nodes["own"], "2": model[2]}
    check(model, spikes((50, 2, 7), 0.4), layers)


def test_convolutional_branches():
    torch.manual_seed(2)
    graph = Graph(
        {"conv": Conv2d(2, 4, 3, padding=1), "point": nn.Conv2d(2, 4, 1), "lif": LIF(beta=0.7),
         "pool": nn.AvgPool2d(2)},
        [("input", "conv"), ("input", "point"), ("conv", "lif"), ("point", "lif"), ("lif", "pool"),
         ("pool", "output")],
    )  # fmt: skip
    model = scaled(graph)
    converted = check(
        model, spikes((20, 2, 2, 6, 6), 0.3), {"lif": graph.nodes["lif"]}, input_shape=(2, 6, 6)
    )
    assert converted.outputs == ("readout",), "the sum of spikes that pooling leaves"


def test_a_module_may_stand_in_a_chain_twice():
    torch.manual_seed(3)
    fc, pool = Linear(8, 8), nn.AvgPool1d(3, stride=1, padding=1)
    model = scaled(Sequential(fc, LIF(beta=0.8), pool, fc, pool, LIF(beta=0.7)), 4.0)
    x = spikes((40, 2, 8), 0.3)
    one = model[1](fc(x)[0])[0]
    two = model[5](pool(fc(pool(one))[0]))[0]
    torch.testing.assert_close(model(x)[0], two, rtol=0, atol=0)
    check(model, x, {"1": model[1], "5": model[5]})
    neuron = LIF(8, beta=0.8, stateful=True)
    with pytest.raises(ParameterError, match=r"module 2 \(LIF\) stands there twice and keeps its"):
        Sequential(neuron, fc, neuron)


def test_what_would_be_two_populations_of_one_name_is_refused():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.lif = Linear(4, 4), LIF(4, beta=0.9)

        def forward(self, x):
            return self.lif(self.fc(self.lif(self.fc(x)[0])[0])[0])

    with pytest.raises(ConversionError, match=r"lif .* it is called twice"):
        to_network(Twice(), 1.0)
    inner = Sequential(Linear(4, 4), LIF(beta=0.9), Linear(4, 4))
    with pytest.raises(ConversionError, match="1: there are neurons in the recurrent connection"):
        to_network(Sequential(Linear(4, 4), Recurrent(LIF(beta=0.9), inner)), 1.0)


def test_the_shape_of_the_input_is_that_of_the_first_module_on_its_way():
    graph = Graph({"lif": LIF(5, beta=0.9), "fc": Linear(3, 5)},
                  [("input", "fc"), ("fc", "lif"), ("lif", "output")])  # fmt: skip
    assert to_network(graph, 1.0).input_shape == (3,)


@pytest.mark.parametrize(
    ("modules", "edges", "text"),
    [
        ({"fc": Linear(3, 3), "act": nn.ReLU()}, [("fc", "act"), ("act", "lif")],
         "act.0 (ReLU): an activation has a graded value"),
        ({"fc": Linear(3, 3), "li": LI(beta=0.9), "out": Linear(3, 3)},
         [("fc", "li"), ("li", "out"), ("fc", "out"), ("out", "lif")],
         "out (Graph): it gets the sum of 'li' and 'fc', but 'li' is the membrane of layer 'li'"),
        ({"fc": Linear(3, 3), "wide": Linear(3, 4), "back": nn.Identity()},
         [("fc", "wide"), ("fc", "back"), ("wide", "back"), ("back", "lif")],
         "back (Graph): it gets [3] from 'fc', but [4] from 'wide'"),
    ],
)  # fmt: skip
def test_parts_without_a_spiking_meaning_are_named(modules, edges, text):
    graph = Graph(modules | {"lif": LIF(beta=0.9)}, [("input", "fc"), *edges, ("lif", "output")])
    with pytest.raises(ConversionError) as error:
        to_network(graph, 1.0)
    assert text in str(error.value)
