"""Operations: counted by hand, in torch and in the event engine."""

import numpy as np
import pytest
import torch
from torch import nn

from neurosim.analysis.operations import EnergyTable, LayerOperations, Operations, operations
from neurosim.bridge import LI, LIF, Linear, Recurrent, Sequential
from neurosim.bridge.convert import to_network
from neurosim.errors import ParameterError


def spikes(shape, density=0.2):
    return torch.from_numpy((np.random.default_rng(0).random(shape) < density).astype(float))


@pytest.fixture
def model():
    torch.manual_seed(0)
    net = Sequential(Linear(6, 8), LIF(beta=0.9), Linear(8, 3), LI(beta=0.9)).double()
    net[0].weight.data *= 3
    net[0].weight.data[:, 1] = 0.0  # a source without effect
    net[0].weight.data[0, 0] = 0.0
    return net


def test_effective_operations_by_hand(model):
    x = spikes((40, 5, 6))
    with torch.no_grad():
        hidden, _ = Sequential(*list(model)[:2])(x)
    found = operations(model, x)
    fan_out = np.array([7, 0, 8, 8, 8, 8])
    acs = (x.sum((0, 1)).numpy() * fan_out).sum() + float(hidden.sum()) * 3
    assert found.effective_acs == pytest.approx(acs / 5, abs=1e-9)
    assert found.effective_macs == 0
    assert found.dense == 40 * (6 * 8 + 8 * 3)
    assert found.spikes == float(hidden.sum()) / 5 > 0
    assert found.neuron_updates == 40 * 11
    assert found.activation_sparsity == pytest.approx(1 - float(hidden.mean()), abs=1e-12)
    assert found.connection_sparsity == 9 / 72
    assert found.footprint == 8 * (48 + 8 + 24 + 3) + sum(
        b.numel() * b.element_size() for b in model.buffers()
    )


def test_engine_and_torch_count_the_same(model):
    x = spikes((40, 5, 6))
    torch_side = operations(model, x)
    engine_side = operations(to_network(model, 1.0).run(x, "reference"))
    for name in ("dense", "effective_acs", "effective_macs", "spikes", "activation_sparsity",
                 "connection_sparsity", "synaptic_operations"):  # fmt: skip
        assert getattr(engine_side, name) == pytest.approx(getattr(torch_side, name), abs=1e-9)


def test_recurrent_and_convolutional_layers_too():
    torch.manual_seed(1)
    net = Sequential(
        nn.Conv2d(2, 3, 3, padding=1), LIF(beta=0.9, threshold=0.3), nn.Flatten(),
        nn.Linear(48, 6), Recurrent(LIF(beta=0.8, threshold=0.2), nn.Linear(6, 6)),
        Recurrent(LIF(beta=0.5, threshold=0.1), torch.tensor([0.5, 0, 1, 1, 1, 0.5])),
    ).double()  # fmt: skip
    x = spikes((20, 3, 2, 4, 4))
    torch_side = operations(net, x)
    run = to_network(net, 1.0, input_shape=(2, 4, 4)).run(x, "reference")
    engine_side = operations(run)
    last = {layer.name: layer for layer in torch_side.layers}["5"]
    assert last.connections == 6 and last.zero_connections == 1
    # The engine also counts what spikes of the last step send back, after the sample, and the
    # synapses one to one that carry the spikes of layer 4 to layer 5, where torch has no module.
    late = run.of("4")[-1].sum() * 6 + (run.of("5")[-1].sum(0) * [1, 0, 1, 1, 1, 1]).sum()
    assert engine_side.effective_acs * 3 - late == pytest.approx(
        torch_side.effective_acs * 3 + run.of("4").sum(), abs=1e-6
    )


def test_graded_input_needs_multiplications(model):
    x = spikes((40, 5, 6)) * 0.5
    found = operations(model, x)
    by_layer = {layer.name: layer for layer in found.layers}
    assert by_layer["0"].acs == 0 and by_layer["0"].macs > 0
    assert by_layer["2"].macs == 0


def test_sleeping_neurons_cost_no_updates():
    import neurosim as ns

    torch.manual_seed(2)
    net = Sequential(Linear(20, 50, bias=False), LIF(beta=0.7), Linear(50, 2, bias=False),
                     LI(beta=0.7)).double()  # fmt: skip
    net[0].weight.data *= torch.rand(50, 20) < 0.1
    x = spikes((200, 2, 20), 0.005)
    run = to_network(net, 1.0).run(x, ns.CPU(strategy="event"))
    assert operations(run).neuron_updates < 0.1 * operations(net, x).neuron_updates


def test_energy_follows_the_table():
    layer = LayerOperations(name="fc", dense=1000, macs=10, acs=100, connections=100)
    found = Operations(layers=(layer,), n_steps=10, n_samples=2, updates=40, footprint=1)
    energy = found.energy(EnergyTable(ac=1.0, mac=5.0, update=2.0))
    assert energy == {"synapses": 75.0, "neurons": 40.0, "total": 115.0, "ann_once": 250.0,
                      "ann_every_step": 2500.0}  # fmt: skip
    assert found.energy()["synapses"] == pytest.approx(50 * 0.9 + 5 * 4.6)
    assert "effective ACs" in str(found) and "<td>50</td>" in found._repr_html_()


def test_errors(model):
    with pytest.raises(ParameterError, match=r"operations\(model, batch\)"):
        operations(model)
    with pytest.raises(ParameterError, match="int given"):
        operations(3)
