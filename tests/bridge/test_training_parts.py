"""The parts of training: losses, rates, penalties, groups, schedules, initialisers, history."""

import math

import numpy as np
import pytest
import snntorch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from snntorch import functional as SF
from torch import nn

from neurosim.bridge import LI, LIF, Recurrent, Sequential
from neurosim.bridge.training import (
    Cosine,
    DelayRegulariser,
    History,
    OneCycle,
    RateRegulariser,
    SpikeMonitor,
    capture_rng,
    count_loss,
    fluctuation_driven_,
    fluctuation_driven_std,
    initialise_rates_,
    load_checkpoint,
    membrane_kernel,
    membrane_max_loss,
    membrane_sum_loss,
    parameter_groups,
    parameter_kinds,
    rate_loss,
    read_checkpoint,
    restore_rng,
    save_checkpoint,
    seeded,
    spiking_layers,
)
from neurosim.bridge.training.losses import resolve_loss
from neurosim.errors import FileFormatError, ParameterError, SimulationError, UnknownNameError


def spikes(*shape, rate=0.3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(*shape, generator=generator, dtype=torch.float64) < rate).double()


class TestLosses:
    out, target = spikes(7, 5, 4), torch.tensor([0, 3, 1, 1, 2])

    @pytest.mark.parametrize(
        ("ours", "theirs"),
        [
            (rate_loss, SF.ce_rate_loss()),
            (count_loss, SF.ce_count_loss()),
            (membrane_max_loss, SF.ce_max_membrane_loss()),
        ],
    )
    def test_equal_snntorchs(self, ours, theirs):
        expected = theirs(self.out, self.target).double().reshape(())
        torch.testing.assert_close(ours(self.out, self.target), expected, rtol=1e-6, atol=0)

    def test_membrane_sum_has_two_softmaxes(self):
        out = torch.zeros(2, 1, 2, dtype=torch.float64)
        out[:, 0, 0] = math.log(3.0)  # probabilities 3/4 and 1/4 in both steps: m = (1.5, 0.5)
        expected = math.log(1.0 + math.exp(-1.0))
        assert membrane_sum_loss(out, torch.tensor([0])).item() == pytest.approx(expected)

    def test_predictions_of_snntorchs_losses_are_theirs(self):
        out = self.out
        loss = resolve_loss(SF.ce_temporal_loss())
        accuracy = (loss.scores(out).argmax(-1) == self.target).double().mean()
        assert accuracy == pytest.approx(SF.accuracy_temporal(out, self.target))
        population = resolve_loss(SF.ce_count_loss(population_code=True, num_classes=2))
        expected = torch.stack([out[:, :, :2].sum((0, 2)), out[:, :, 2:].sum((0, 2))], -1)
        torch.testing.assert_close(population.scores(out), expected)
        assert resolve_loss(SF.ce_rate_loss())(out, self.target).shape == ()

    def test_unknown_names_and_shapes(self):
        with pytest.raises(UnknownNameError, match="Did you mean 'membrane_sum'"):
            resolve_loss("membran_sum")
        with pytest.raises(ParameterError, match=r"returned shape \(5,\) where one number"):
            resolve_loss(SF.ce_count_loss(reduction="none"))(self.out, self.target)
        with pytest.raises(ParameterError, match="expected a name"):
            resolve_loss(3)

    def test_callables_of_unknown_meaning_do_not_classify(self):
        assert not resolve_loss(lambda out, target: out.mean()).classifies
        assert resolve_loss(lambda out, target: out.mean(), scores=lambda o: o[-1]).classifies


class Thresholded(nn.Module):
    emits_spikes = True

    def forward(self, x):
        return (x > 0.5).to(x.dtype)


class TestSpikes:
    def test_layers_that_spike(self):
        snn = snntorch.Leaky(beta=0.9)
        model = Sequential(
            nn.Linear(3, 4), LIF(beta=0.9), Recurrent(LIF(beta=0.9), nn.Linear(4, 4)),
            snn, Thresholded(), LI(beta=0.9),
        )  # fmt: skip
        assert list(spiking_layers(model)) == ["1", "2", "3", "4"]

    def test_rates_equal_those_of_the_tensors(self):
        model = Sequential(Thresholded(), nn.Linear(6, 5).double(), snntorch.Leaky(beta=0.5))
        with torch.no_grad():
            model[1].weight *= 5.0
        x = spikes(8, 3, 6)
        with SpikeMonitor(model, keep=True) as monitor, torch.no_grad():
            for _ in range(2):
                monitor.begin()
                out, _ = model(x)
        assert monitor.rates()["0"] == pytest.approx(x.mean().item())
        assert 0 < monitor.rates()["2"] == pytest.approx(out.mean().item())
        assert monitor.counts()["2"].tolist() == (2 * out.sum((0, 1))).tolist()
        torch.testing.assert_close(monitor.spikes()["2"], out)  # stepped, yet [T, B, N]
        assert monitor.dead()["2"] == (out.sum((0, 1)) == 0).double().mean()
        model(x)
        assert monitor.counts()["2"].tolist() == (2 * out.sum((0, 1))).tolist()  # hooks are gone

    @pytest.mark.parametrize("factor", [1.0, 0.5, 3.0])
    def test_graded_spikes_count_once(self, factor):
        layers = [LIF(beta=0.5, graded_spikes_factor=factor),
                  snntorch.Leaky(beta=0.5, graded_spikes_factor=factor)]  # fmt: skip
        x = 3.0 * spikes(20, 4, 6).float()
        with SpikeMonitor(Sequential(*layers)) as monitor:
            out = x
            for layer, name in zip(layers, monitor.layers, strict=True):
                out, _ = Sequential(layer)(x)
                assert monitor.counts()[name].tolist() == (out != 0).sum((0, 1)).tolist()
        assert monitor.rates()["0"] > 0.1

    def test_unknown_layers(self):
        with pytest.raises(UnknownNameError, match="has no spiking layer '1'"):
            SpikeMonitor(Sequential(Thresholded(), nn.Linear(2, 2)), ["1"])


class TestRegularisers:
    def test_the_rate_penalty_is_its_formula(self):
        x = torch.zeros(4, 5, 3)
        x[:, :, 0], x[0, :, 1] = 1.0, 1.0  # rates 1, 1/4, 0
        expected = 2.0 * ((1.0 - 0.3) ** 2 + 0.0 + 0.1**2) / 3
        penalty = RateRegulariser(lower=0.1, upper=0.3, strength=2.0)
        assert penalty(x).item() == pytest.approx(expected)
        assert RateRegulariser(upper=0.3, over="layer")(x).item() == pytest.approx(
            (1.25 / 3 - 0.3) ** 2
        )

    @given(low=st.floats(0.0, 0.4), high=st.floats(0.5, 1.0), rate=st.floats(0.0, 1.0))
    @settings(max_examples=30, deadline=None)
    def test_nothing_is_paid_between_the_bounds(self, low, high, rate):
        x = torch.full((2, 2, 1), rate, dtype=torch.float64)
        assert (RateRegulariser(lower=low, upper=high)(x) == 0) == (low <= rate <= high) or (
            min(abs(rate - low), abs(rate - high)) < 1e-7
        )

    def test_its_gradient_is_the_finite_difference(self):
        x = torch.rand(3, 2, 4, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(RateRegulariser(lower=0.4, upper=0.6), x)

    def test_layers_are_chosen_by_name(self):
        both = {"a": torch.ones(1, 1, 1), "b": torch.zeros(1, 1, 1)}
        assert RateRegulariser(upper=0.5, layers=["b"])(both) == 0
        with pytest.raises(UnknownNameError, match="has no spiking layer 'c'"):
            RateRegulariser(upper=0.5, layers=["c"])(both)

    def test_bounds_are_checked(self):
        with pytest.raises(ParameterError, match="give lower=, upper= or both"):
            RateRegulariser()
        with pytest.raises(ParameterError, match="0 <= lower < upper <= 1"):
            RateRegulariser(lower=20.0)

    def test_delays(self):
        model = nn.Module()
        model.delay = nn.Parameter(torch.tensor([1.0, 4.0]))
        assert DelayRegulariser(strength=0.1)(model).item() == pytest.approx(0.25)
        assert DelayRegulariser(strength=1.0, target=2.0, power=2)(model).item() == 2.5
        with pytest.raises(ParameterError, match="has no learned delays"):
            DelayRegulariser()(nn.Linear(1, 1))


class TestGroups:
    def test_kinds(self):
        model = nn.Sequential(
            nn.Linear(2, 2), nn.BatchNorm1d(2), LIF(beta=0.9, learn_beta=True, learn_threshold=True)
        )
        model.register_parameter("log_delay", nn.Parameter(torch.zeros(1)))
        assert parameter_kinds(model) == {
            "log_delay": "delays", "0.weight": "weights", "0.bias": "weights",
            "1.weight": "norms", "1.bias": "norms",
            "2.beta": "time_constants", "2.threshold": "thresholds",
        }  # fmt: skip
        groups = parameter_groups(model, {"weights": 1e-3, "delays": 0.1}, weight_decay=0.5)
        assert {g["kind"]: (g["lr"], g["weight_decay"]) for g in groups} == {
            "weights": (1e-3, 0.5), "delays": (0.1, 0.0), "norms": (1e-3, 0.0),
            "time_constants": (1e-3, 0.0), "thresholds": (1e-3, 0.0),
        }  # fmt: skip
        assert sum(len(g["params"]) for g in groups) == 7
        torch.optim.Adam(groups)  # torch takes them

    def test_shared_parameters_appear_once(self):
        first, second = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
        second.weight = first.weight
        assert len(parameter_groups(nn.Sequential(first, second))[0]["params"]) == 1

    def test_mistakes(self):
        with pytest.raises(UnknownNameError, match="Did you mean 'delays'"):
            parameter_groups(nn.Linear(1, 1), {"delay": 0.1})
        with pytest.raises(ParameterError, match="learning_rate of weights = -1"):
            parameter_groups(nn.Linear(1, 1), -1)
        with pytest.raises(ParameterError, match="nothing to train"):
            parameter_groups(nn.Linear(1, 1).requires_grad_(False))


class TestSchedules:
    @pytest.mark.parametrize("total", [3, 10, 57])
    def test_onecycle_is_torchs(self, total):
        optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=1e-3)
        theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=total)
        ours = OneCycle(peak=5e-3)
        for step in range(total):
            group = optimizer.param_groups[0]
            assert ours.rate(1e-3, step, total) == pytest.approx(group["lr"], rel=1e-9)
            assert ours.momentum(step, total) == pytest.approx(group["betas"][0], rel=1e-9)
            optimizer.step()
            if step + 1 < total:
                theirs.step()

    def test_cosine_is_torchs(self):
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
        theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20, eta_min=0.01)
        for step in range(20):
            expected = optimizer.param_groups[0]["lr"]
            assert Cosine(minimum=0.01).rate(0.1, step, 20) == pytest.approx(expected, rel=1e-9)
            optimizer.step()
            theirs.step()


class TestInitialisers:
    def test_every_layer_comes_into_the_band(self):
        torch.manual_seed(0)
        model = Sequential(
            nn.Linear(30, 40), LIF(beta=0.9), nn.Dropout(0.3),
            nn.Linear(40, 40, bias=False), nn.BatchNorm1d(40), LIF(beta=0.8),
            nn.Linear(40, 40), Recurrent(LIF(beta=0.9), nn.Linear(40, 40)), nn.Linear(40, 5),
        )  # fmt: skip
        with torch.no_grad():
            for layer in (model[0], model[4], model[6]):
                layer.weight *= 0.03
        last = model[-1].weight.detach().clone()
        statistics = model[4].running_mean.clone()
        x = spikes(60, 8, 30, rate=0.02).float()
        with SpikeMonitor(model) as before, torch.no_grad():
            model(x)
        model[4].running_mean.copy_(statistics)
        assert min(before.rates().values()) < 0.001  # there was something to mend
        rates = initialise_rates_(model, x, target_rate=0.08, tolerance=0.1)
        assert list(rates) == ["1", "5", "7"]
        assert all(abs(rate - 0.08) <= 0.1 * 0.08 for rate in rates.values())
        assert torch.equal(model[-1].weight, last)  # nothing behind it spikes
        assert torch.equal(model[4].running_mean, statistics)

    def test_stepped_neurons_of_snntorch(self):
        torch.manual_seed(0)
        model = Sequential(nn.Linear(20, 30), snntorch.Leaky(beta=0.9))
        rates = initialise_rates_(model, spikes(50, 8, 20, rate=0.05).float(), tolerance=0.05)
        assert rates["1"] == pytest.approx(0.05, rel=0.05)

    def test_a_silent_input_is_an_error_and_changes_nothing(self):
        model = Sequential(nn.Linear(3, 3, bias=False), LIF(beta=0.9))
        weight = model[0].weight.detach().clone()
        with pytest.raises(SimulationError, match=r"layer '1' does not come to 0.05 .* module '0'"):
            initialise_rates_(model, torch.zeros(10, 2, 3))
        assert torch.equal(model[0].weight, weight)
        with pytest.raises(ParameterError, match="no module with weights runs before layer '0'"):
            initialise_rates_(Sequential(LIF(beta=0.9)), torch.zeros(10, 2, 3))

    def test_fluctuations_are_as_wide_as_promised(self):
        # free membrane (no reset, high threshold) under the weights for xi = 2, threshold 1:
        # standard deviation 1/2 by Campbell's theorem; 4000 neurons, 300 inputs
        torch.manual_seed(0)
        neuron = LIF(beta=0.9)
        layer = nn.Linear(300, 4000).double()
        std = fluctuation_driven_(layer, neuron, rate=0.02, xi=2.0)
        assert layer.weight.std().item() == pytest.approx(std, rel=0.01)
        free = LIF(beta=0.9, threshold=100.0, reset="none")
        with torch.no_grad():
            mem = free.traces(layer(spikes(200, 4, 300, rate=0.02)))["mem"][100:]
        # over time, that is: each neuron's mean differs from 0. Bernoulli input has the variance
        # of Poisson's times 1 - rate; 100 correlated steps of 4 samples bring it down by 10 %
        variance = mem.flatten(0, 1).var(0).mean().item()
        assert variance == pytest.approx(0.25 * 0.98, rel=0.12)

    def test_the_share_and_the_mean(self):
        kernel = 0.8 ** np.arange(300)
        e1, e2 = 1 / (1 - 0.8), 1 / (1 - 0.64)
        both = {"n_inputs": 50, "rate": 0.04, "xi": 1.5, "mean": 0.05}
        std = fluctuation_driven_std(kernel, share=0.5, **both)
        mu = 50 * 0.04 * 0.05 * e1
        assert std**2 + 0.05**2 == pytest.approx(0.5 * ((1 - mu) / 1.5) ** 2 / (50 * 0.04 * e2))
        with pytest.raises(ParameterError, match=r"mean = 0.2 puts the mean membrane at 2"):
            fluctuation_driven_std(kernel, **both | {"mean": 0.2})

    def test_the_kernel_of_a_neuron_without_traces(self):
        with pytest.raises(ParameterError, match="Linear shows no membrane"):
            membrane_kernel(nn.Linear(1, 1))


class TestHistory:
    rows = [
        {"epoch": k + 1, "seconds": 0.1, "validation_loss": 1 / 3 + abs(k - 2), "rate.1": 0.1 * k}
        for k in range(5)
    ]

    def test_csv_round_trip_is_exact(self, tmp_path):
        history = History([*self.rows, self.rows[0] | {"validation_loss": math.nan}])
        history.to_csv(tmp_path / "deep" / "h.csv")
        assert History.from_csv(tmp_path / "deep" / "h.csv") == history
        assert History.from_state(history.state()) == history
        assert (history.best(), history.best("rate.1"), history.layers) == (2, 4, ["1"])

    @given(
        st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=5),
    )
    @settings(max_examples=30, deadline=None)
    def test_any_number_survives(self, values):
        import tempfile

        history = History([{"epoch": k, "train_loss": v} for k, v in enumerate(values)])
        with tempfile.TemporaryDirectory() as folder:
            history.to_csv(f"{folder}/h.csv")
            assert History.from_csv(f"{folder}/h.csv") == history

    def test_damaged_files(self, tmp_path):
        path = tmp_path / "h.csv"
        path.write_text("epoch,train_loss\n1,0.5\n2\n")
        with pytest.raises(FileFormatError, match=r"h.csv:3: 1 fields, but there are 2 columns"):
            History.from_csv(path)
        path.write_text("epoch,train_loss\n1,half\n")
        with pytest.raises(FileFormatError, match=r"h.csv:2: could not convert"):
            History.from_csv(path)
        path.write_text("")
        with pytest.raises(FileFormatError, match="empty"):
            History.from_csv(path)

    def test_columns_are_checked(self):
        with pytest.raises(ParameterError, match="a row has columns epoch"):
            History(self.rows).append({"epoch": 6})
        with pytest.raises(UnknownNameError, match="Did you mean 'validation_loss'"):
            History(self.rows)["valid_loss"]
        with pytest.raises(ParameterError, match="no epoch to plot"):
            History().plot()

    def test_shown_as_table_figure_and_text(self):
        history = History(self.rows)
        assert "<td>2.333</td>" in history._repr_html_()
        assert repr(history) == "History(5 epochs: validation_loss 2.333)"
        assert list(history.to_pandas()["epoch"]) == [1, 2, 3, 4, 5]
        figure = history.plot()
        assert [ax.get_ylabel() for ax in figure.axes] == ["loss", "spikes per neuron\nand step"]
        np.testing.assert_array_equal(
            figure.axes[0].lines[0].get_ydata(), history["validation_loss"]
        )


class TestCheckpoints:
    def test_a_failed_write_keeps_the_old_file(self, tmp_path, monkeypatch):
        path, model = tmp_path / "a.pt", nn.Linear(2, 2)
        save_checkpoint(path, model, epoch=1)
        before = path.read_bytes()

        def fail(content, file):
            file.write(b"half")
            raise OSError("disk full")

        monkeypatch.setattr(torch, "save", fail)
        with pytest.raises(OSError, match="disk full"):
            save_checkpoint(path, model, epoch=2)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("cut", [0, 10, 400, -1])
    def test_damaged_files(self, tmp_path, cut):
        path = tmp_path / "a.pt"
        save_checkpoint(path, nn.Linear(2, 2))
        path.write_bytes(path.read_bytes()[:cut])
        with pytest.raises(FileFormatError, match="cannot be read as a checkpoint"):
            read_checkpoint(path)

    def test_code_in_a_file_is_not_run(self, tmp_path):
        torch.save({"format": print}, tmp_path / "evil.pt")
        with pytest.raises(FileFormatError, match="cannot be read as a checkpoint"):
            read_checkpoint(tmp_path / "evil.pt")

    def test_other_files_and_models(self, tmp_path):
        torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "bare.pt")
        with pytest.raises(FileFormatError, match=r"model.load_state_dict\(torch.load"):
            read_checkpoint(tmp_path / "bare.pt")
        save_checkpoint(tmp_path / "a.pt", nn.Linear(2, 2))
        with pytest.raises(FileFormatError, match=r"another model than this Linear.*weight"):
            load_checkpoint(tmp_path / "a.pt", nn.Linear(3, 2))
        with pytest.raises(ParameterError, match="holds no best model"):
            load_checkpoint(tmp_path / "a.pt", nn.Linear(2, 2), which="best")
        with pytest.raises(ParameterError, match=r"entry extra\['a'\] is a ndarray"):
            save_checkpoint(tmp_path / "b.pt", nn.Linear(2, 2), extra={"a": np.zeros(2)})
        with pytest.raises(FileNotFoundError, match="no checkpoint of this name"):
            read_checkpoint(tmp_path / "none.pt")

    @pytest.mark.parametrize("bits", [np.random.PCG64, np.random.Philox, np.random.MT19937])
    def test_all_generators_continue(self, tmp_path, bits):
        import random

        def draw():
            uniform = np.random.rand()  # noqa: NPY002
            return [torch.rand(2).tolist(), uniform, random.random(), random.gauss(),
                    own.random(), own.integers(9), theirs.initial_seed(),
                    torch.rand(1, generator=theirs).item()]  # fmt: skip

        own, theirs = np.random.Generator(bits(3)), torch.Generator().manual_seed(5)
        with seeded(7):
            draw()
            save_checkpoint(tmp_path / "a.pt", nn.Linear(1, 1), rng=capture_rng([own, theirs]))
            expected = draw()
            restore_rng(read_checkpoint(tmp_path / "a.pt")["rng"], [own, theirs])
            assert draw() == expected
            with pytest.raises(FileFormatError, match="states of 2 generators, but 0"):
                restore_rng(read_checkpoint(tmp_path / "a.pt")["rng"])

    def test_seeding_leaves_the_users_streams_alone(self):
        before = torch.get_rng_state()
        with seeded(1):
            torch.rand(5)
        assert torch.equal(torch.get_rng_state(), before)
