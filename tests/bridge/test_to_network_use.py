"""Inputs, results, report and errors of converted networks, and a network on real recordings."""

import numpy as np
import pytest
import torch
from torch import nn

import neurosim as ns
from neurosim.bridge import LI, LIF, Linear, ModelNeuron, Recurrent, Sequential
from neurosim.bridge.connections import DelayedLinear
from neurosim.bridge.convert import to_network
from neurosim.datasets import SpokenDigits
from neurosim.datasets.loading.collate import collate_dense, collate_events
from neurosim.errors import ConversionError, ParameterError, UnknownNameError
from neurosim.models import iaf_psc_delta, iaf_psc_exp
from neurosim.results import SpikeTrains


@pytest.fixture
def model():
    torch.manual_seed(0)
    net = Sequential(Linear(4, 6), LIF(beta=0.9), Linear(6, 3), LI(beta=0.9)).double()
    net[0].weight.data *= 3
    return net


@pytest.fixture
def x():
    rng = np.random.default_rng(0)
    return torch.from_numpy(
        rng.integers(0, 3, (30, 2, 4)) * (rng.random((30, 2, 4)) < 0.3)
    ).double()


def test_spoken_digits_from_their_raw_events():
    """Recordings go in as they are; spikes equal those of torch on the collated batch."""
    digits = SpokenDigits("test")
    items = [digits[k] for k in (0, 57, 123)]
    torch.manual_seed(1)
    net = Sequential(
        DelayedLinear(70, 48, 10, bias=True), Recurrent(LIF(beta=0.9), nn.Linear(48, 48)),
        Linear(48, 10), LI(beta=0.95),
    ).double()  # fmt: skip
    net[0].round_()
    batch, *_ = collate_dense(sensor_size=digits.sensor_size, time_step=10_000)(items)
    with torch.no_grad():
        hidden, _ = Sequential(*list(net)[:2])(batch.double())
        expected, _ = net(batch.double())
    converted = to_network(net, dt=10.0)
    run = converted.run(items, ns.CPU(strategy="clock"))
    assert 0.01 < hidden.mean() < 0.5
    np.testing.assert_array_equal(run.of("1"), hidden)
    np.testing.assert_allclose(run.output, expected, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(run.decisions(), expected.sum(0).argmax(-1))
    float32 = converted.run(items, ns.CPU(strategy="clock", precision="float32"))
    np.testing.assert_array_equal(float32.decisions(), expected.sum(0).argmax(-1))


def test_kinds_of_input_give_one_result(model, x):
    converted = to_network(model, 2.0)
    wanted = converted.run(x, "reference").output
    step, sample, neuron = np.nonzero(x.numpy())
    counts = x.numpy()[step, sample, neuron].astype(int)
    step, sample, neuron = (np.repeat(a, counts) for a in (step, sample, neuron))
    trains, recordings = [], []
    for b in range(2):
        mine = sample == b
        trains.append(SpikeTrains((step[mine] + 0.5) * 2.0, neuron[mine], 4, t_stop=60.0))
        events = np.zeros(mine.sum(), [("t", "i8"), ("x", "i2"), ("p", "i1")])
        events["t"], events["x"], events["p"] = step[mine] * 2000 + 7, neuron[mine], 1
        recordings.append(events)
    collate = collate_events(sensor_size=(4, 1, 1), time_step=2000, n_steps=30)
    batch = collate([(r, 0) for r in recordings])
    for given in (x.numpy(), trains, recordings, batch):
        run = converted.run(given, "reference", n_steps=30)
        np.testing.assert_array_equal(run.output, wanted)


def test_results_are_in_the_time_of_each_layer(model, x):
    converted = to_network(model, 0.5)
    run = converted.run(x, "reference", membranes=["1"])
    with torch.no_grad():
        trace = model[1].traces(model[0](x)[0])
    np.testing.assert_allclose(run.membranes["1"], trace["mem"], rtol=0, atol=1e-12)
    out = trace["spk"].numpy()
    np.testing.assert_array_equal(run.counts("1"), out.sum(0))
    t, i = np.nonzero(out[:, 1])
    spikes = run.spikes("1", sample=1)
    assert spikes.n == 6 and spikes.duration == 15.0
    np.testing.assert_allclose(spikes.times, (t + 1) * 0.5)
    np.testing.assert_array_equal(spikes.ids, i)
    assert len(run.spikes("input", 1)) == x[:, 1].sum()
    membrane = run.output
    for by, scores in (("sum", membrane.sum(0)), ("max", membrane.max(0)), ("last", membrane[-1])):
        np.testing.assert_array_equal(run.decisions(by), scores.argmax(-1))
    assert sum(c["synaptic_events"] for c in run.counters) == sum(
        v.sum() for v in run.synaptic_events().values()
    )


def test_membranes_of_neurons_that_are_stepped_are_in_time_too(x):
    torch.manual_seed(2)
    net = Sequential(Linear(4, 5), LIF(beta=0.9, reset="zero_all")).double()
    run = to_network(net, 1.0).run(x, "reference", membranes=["1"])
    with torch.no_grad():
        mem = net[1].traces(net[0](x)[0])["mem"]
    np.testing.assert_allclose(run.membranes["1"], mem, rtol=0, atol=1e-12)


def test_the_network_alone_is_one_sample(model, x):
    """`.network` with spikes put in by hand emits what torch emits, later by the offsets."""
    converted = to_network(model, 1.0)
    step, neuron = np.nonzero(x[:, 0].numpy())
    counts = x[step, 0, neuron].numpy().astype(int)
    converted.input.model = ns.models.spike_source(
        times=np.repeat(step + 1.0, counts), ids=np.repeat(neuron, counts)
    )
    spikes = ns.simulate(
        converted.network, 40.0, dt=1.0, record=[ns.Spikes(converted.layers["1"])],
        engine="reference",
    ).spikes["1"]  # fmt: skip
    with torch.no_grad():
        out, _ = Sequential(*list(model)[:2])(x)
    t, i = np.nonzero(out[:, 0].numpy())
    kept = spikes.times <= 30 + converted.offsets["1"]
    np.testing.assert_allclose(spikes.times[kept], t + 1 + converted.offsets["1"])
    np.testing.assert_array_equal(spikes.ids[kept], i)


def test_the_report_says_what_became_of_every_module():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Dropout(), nn.Flatten(), nn.Linear(8, 3))
    model = Sequential(*net, LIF(beta=0.9, reset="zero_all"))
    converted = to_network(model, 1.0, input_shape=(1, 4, 4))
    assert repr(converted).startswith("Conversion(16 inputs, 3 neurons")
    text = str(converted)
    assert "16 inputs, 3 neurons in 1 layers, 48 synapses, dt = 1 ms, output '4'" in text
    assert "left out: it does nothing in evaluation mode" in text
    assert "population '4' of 3 neurons, offset 1" in text
    assert "stepped in every step, because after a spike mem takes another part" in text
    assert "<td>Conv2d</td>" in converted._repr_html_()
    assert to_network(model, 1.0, sample=torch.zeros(5, 2, 1, 4, 4)).input_shape == (1, 4, 4)


def neurons():
    return LIF(beta=0.9)


@pytest.mark.parametrize(("model", "text"), [
    (Sequential(nn.Linear(4, 4), neurons(), nn.ReLU()), "2 (ReLU): an activation has a graded"),
    (Sequential(nn.Linear(4, 4), neurons(), nn.Sequential(nn.Identity(), nn.Tanh())), "2.1 (Tanh)"),
    (Sequential(nn.Linear(4, 4), LI(beta=0.9), nn.Linear(4, 2)), "membrane of layer '1'"),
    (Sequential(nn.Linear(4, 4), neurons(), nn.MaxPool1d(2)), "AvgPool is"),
    (Sequential(nn.Linear(4, 4), nn.LSTM(4, 4)), "such as Recurrent(LIF)"),
    (Sequential(nn.Linear(4, 4), neurons(), nn.Linear(5, 2)), "input of shape [4] does not fit"),
    (Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, track_running_stats=False), neurons()),
     "track_running_stats=True"),
    (Sequential(nn.Linear(4, 3), DelayedLinear(3, 2, 4), neurons()), "use bias=False"),
    (Sequential(nn.Linear(4, 3), LIF(beta=0.9, threshold=-0.1)), "without any input"),
    (Sequential(nn.Linear(4, 3), ModelNeuron(iaf_psc_delta(), 0.1)), "dt=0.1"),
    (Sequential(nn.Linear(4, 3), ModelNeuron(iaf_psc_exp(), 1.0)), "for each of exc, inh"),
    (Sequential(nn.Linear(4, 3), LIF(2, beta=0.9)), "the layer has shape [2]"),
    (Sequential(nn.Linear(4, 3), LIF(tau=10.0, dt=0.5)), "1 (LIF()): its time constants"),
    (Sequential(nn.Linear(4, 3), LIF(beta=0.9), LI(tau=2.0, dt=0.1)), "to_network(model, dt=0.1)"),
])  # fmt: skip
def test_what_cannot_be_converted_is_named(model, text):
    with pytest.raises(ConversionError) as error:
        to_network(model, 1.0)
    assert text in str(error.value)


def test_time_constants_may_be_in_seconds_or_in_steps():
    seconds, steps = LIF(tau=1e-2, dt=1e-3), LIF(tau=10.0)
    for neuron, dt in ((seconds, 1.0), (steps, 0.25), (LIF(tau=5.0, dt=0.5), 0.5)):
        assert to_network(Sequential(nn.Linear(4, 3), neuron), dt).dt == dt


def test_errors_of_forwards_that_are_traced():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.lif = nn.Linear(3, 3), neurons()

        def forward(self, x):
            out, _ = self.lif(self.fc(x))
            return out * 2.0

    with pytest.raises(
        ConversionError, match=r"Scaled.forward: the operation .*mul.* has no count"
    ):
        to_network(Scaled(), 1.0)


def test_errors_of_inputs(model, x):
    converted = to_network(model, 1.0)
    for given, text in (
        (x[:, :, :3], "a sample has shape [3] in every step, but the model takes [4]"),
        (x[:, 0], "for one sample add x.unsqueeze(1)"),
        (x - 0.5, "which is no number of spikes"),
        ("events", "recordings of events, or SpikeTrains"),
        (SpikeTrains(np.array([1.0]), np.array([7]), 9, t_stop=5.0), "spike trains have the id 7"),
    ):
        with pytest.raises(ParameterError) as error:
            converted.run(given, "reference")
        assert text in str(error.value)
    with pytest.raises(UnknownNameError, match="no layer 'hidden'"):
        converted.run(x, "reference", membranes=["hidden"])
    run = converted.run(x, "reference")
    with pytest.raises(ParameterError, match=r"there are samples 0 \.\.\. 1"):
        run.spikes("1", sample=2)
    with pytest.raises(ParameterError, match="is not one of count, sum"):
        run.decisions("rate")
    for options, text in (({"input": "rates"}, "choose 'spikes' or 'current'"),
                          ({"sample": torch.zeros(4, 4)}, "[T, B, ...] is needed")):  # fmt: skip
        with pytest.raises(ParameterError) as error:
            to_network(model, 1.0, **options)
        assert text in str(error.value)
    with pytest.raises(ParameterError, match="give input_shape="):
        to_network(Sequential(nn.Conv2d(1, 2, 3), neurons()), 1.0)


def test_factors_of_an_imported_graph():
    from neurosim.bridge.nir import Scale

    torch.manual_seed(4)
    net = Sequential(
        Linear(5, 4), LIF(beta=0.8), Scale(torch.rand(4) + 0.5), Linear(4, 3), LI(beta=0.9)
    )
    net = net.double()
    x = (torch.rand(30, 2, 5) < 0.4).double()
    run = to_network(net, dt=1.0).run(x)
    assert np.allclose(run.output, net(x)[0].detach().numpy(), atol=1e-10)
