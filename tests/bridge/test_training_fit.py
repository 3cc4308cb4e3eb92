"""fit: what it learns, that a resumed run equals one never stopped, and what it says."""

import os
import signal
import warnings

import numpy as np
import pytest
import torch
from snntorch import functional as SF
from torch import nn
from torch.utils.data import DataLoader, Dataset

from neurosim import bridge
from neurosim.bridge import LI, LIF, DelayedLinear, Linear, Sequential, SigmaSchedule
from neurosim.bridge.training import (
    ArrayBatches,
    Callback,
    Cosine,
    EarlyStopping,
    History,
    OneCycle,
    RateRegulariser,
    TrainingInterrupted,
    TrainingWarning,
    evaluate,
    fit,
    load_checkpoint,
    read_checkpoint,
)
from neurosim.errors import (
    MissingPackageError,
    ParameterError,
    SimulationError,
    UnknownNameError,
)

T, CHANNELS, CLASSES = 12, 8, 2


def samples(n=48, seed=0):
    """Half of the channels are busy: the first ones in class 0, the others in class 1."""
    generator = np.random.default_rng(seed)
    target = np.arange(n) % CLASSES
    busy = (np.arange(CHANNELS) >= CHANNELS // 2) == target[:, None]
    x = generator.random((T, n, CHANNELS)) < np.where(busy, 0.4, 0.1)
    return torch.from_numpy(x.astype(np.float32)), torch.from_numpy(target)


def network(seed=0, dropout=0.2):
    torch.manual_seed(seed)
    return Sequential(
        Linear(CHANNELS, 16), nn.BatchNorm1d(16), LIF(beta=0.8, learn_beta=True),
        nn.Dropout(dropout), Linear(16, CLASSES), LI(beta=0.9),
    )  # fmt: skip


class Jittered(Dataset):
    """Samples with random transforms from every generator that a user may have."""

    def __init__(self, generator):
        self.x, self.target = samples()
        self.generator = generator

    def __len__(self):
        return len(self.target)

    def __getitem__(self, k):
        noise = torch.rand(T, CHANNELS) + torch.from_numpy(self.generator.random((T, CHANNELS)))
        gain = np.random.rand()  # noqa: NPY002
        return self.x[:, k] + 0.1 * gain * noise.float(), self.target[k]


def time_first(batch):
    return torch.stack([x for x, _ in batch], 1), torch.stack([y for _, y in batch])


def same_state(a, b):
    a, b = a.state_dict(), b.state_dict()
    return list(a) == list(b) and all(torch.equal(a[k], b[k]) for k in a)


OPTIONS = {
    "loss": "membrane_sum", "learning_rate": {"weights": 0.01, "time_constants": 0.05},
    "seed": 5,
}  # fmt: skip


class TestLearning:
    def test_it_learns_and_reports(self):
        model = network()
        lines = []
        history = fit(
            model, samples(96), validation=samples(40, seed=1), epochs=6, batch_size=16,
            progress=lines.append, **OPTIONS,
        )  # fmt: skip
        assert history["validation_accuracy"][-1] > 0.9
        assert history["train_loss"][-1] < 0.7 * history["train_loss"][0]
        assert history.columns == [
            "epoch", "seconds", "train_loss", "train_accuracy", "validation_loss",
            "validation_accuracy", "gradient_norm", "learning_rate.weights",
            "learning_rate.time_constants", "learning_rate.norms", "rate.2", "dead.2",
        ]  # fmt: skip
        assert len(lines) == 6 and lines[-1]["epoch"] == 6
        assert model[2].beta.item() != pytest.approx(0.8)
        result = evaluate(model, samples(40, seed=1), loss="membrane_sum")
        assert result.accuracy == history["validation_accuracy"][-1]
        assert result.loss == pytest.approx(history["validation_loss"][-1], rel=1e-6)
        assert result.confusion.sum() == result.n_samples == 40
        assert np.trace(result.confusion) / 40 == result.accuracy
        assert result.plot(classes=["left", "right"]).axes[0].get_ylabel() == "class"

    def test_it_equals_a_plain_loop(self):
        x, y = samples()
        model, reference = network(dropout=0.0), network(dropout=0.0)
        fit(model, [(x, y)], epochs=3, loss=SF.ce_rate_loss(), learning_rate=0.01,
            weight_decay=0.1, clip_gradient=0.05)  # fmt: skip
        decayed = [p for n, p in reference.named_parameters() if n[0] in "04"]
        others = [p for n, p in reference.named_parameters() if n[0] not in "04"]
        optimizer = torch.optim.Adam([{"params": decayed, "weight_decay": 0.1}, {"params": others}],
                                     lr=0.01)  # fmt: skip
        for _ in range(3):
            optimizer.zero_grad()
            SF.ce_rate_loss()(reference(x)[0], y).backward()
            nn.utils.clip_grad_norm_(reference.parameters(), 0.05)
            optimizer.step()
        for name, value in reference.state_dict().items():
            torch.testing.assert_close(model.state_dict()[name], value, rtol=1e-5, atol=1e-6)

    def test_validation_does_not_change_training(self):
        first, second = network(), network()
        fit(first, samples(), epochs=2, **OPTIONS)
        # a loader of torch draws from the global generator
        held_out = DataLoader(
            Jittered(np.random.default_rng(1)), batch_size=16, collate_fn=time_first
        )
        fit(second, samples(), epochs=2, validation=held_out, **OPTIONS)
        assert same_state(first, second)

    def test_the_seed_decides_and_the_users_streams_stay(self):
        runs = []
        for seed in (1, 1, 2):
            model = network()
            before = torch.get_rng_state()
            fit(model, samples(), epochs=1, seed=seed)
            assert torch.equal(torch.get_rng_state(), before)
            runs.append(model)
        assert same_state(runs[0], runs[1])
        assert not same_state(runs[0], runs[2])

    def test_schedules_by_kind(self):
        history = fit(
            network(), samples(), epochs=4, batch_size=24, learning_rate=0.01,
            schedule={"weights": OneCycle(peak=0.05), "time_constants": Cosine()},
        )  # fmt: skip
        expected = [OneCycle(peak=0.05).rate(0.01, k, 4) for k in range(4)]
        np.testing.assert_allclose(history["learning_rate.weights"], expected)
        np.testing.assert_allclose(
            history["learning_rate.time_constants"], [Cosine().rate(0.01, k, 4) for k in range(4)]
        )
        np.testing.assert_array_equal(history["learning_rate.norms"], 0.01)

    def test_a_scheduler_of_torch(self):
        history = fit(
            network(), samples(), epochs=3, learning_rate=0.1,
            schedule=lambda o: torch.optim.lr_scheduler.StepLR(o, 1, gamma=0.1),
        )  # fmt: skip
        np.testing.assert_allclose(history["learning_rate.weights"], [0.1, 0.01, 0.001])

    def test_regularisers_move_the_rate(self):
        rates = []
        for upper in (None, 0.02):
            penalties = [] if upper is None else [RateRegulariser(upper=upper, strength=50.0)]
            history = fit(network(), samples(), epochs=8, regularisers=penalties, **OPTIONS)
            rates.append(history["rate.2"][-1])
        assert rates[1] < 0.7 * rates[0]

    def test_early_stopping_and_the_best_model(self, tmp_path):
        class Worse(Callback):
            """Ruin the weights from the fourth epoch on."""

            def before_epoch(self, trainer):
                if trainer.epoch >= 3:
                    with torch.no_grad():
                        trainer.model[4].weight.mul_(-1.0).add_(1.0)

        model = network()
        path = tmp_path / "run.pt"
        history = fit(
            model, samples(), validation=samples(30, seed=1), epochs=20, callbacks=[Worse()],
            early_stopping=EarlyStopping(patience=2), checkpoint=path, **OPTIONS,
        )  # fmt: skip
        best = history.best("validation_loss")
        assert len(history) == best + 3 < 20
        assert f"best in epoch {best + 1}" in history.stopped
        result = evaluate(model, samples(30, seed=1), loss="membrane_sum")
        assert result.loss == pytest.approx(history["validation_loss"][best], rel=1e-6)
        other = network(seed=3)
        load_checkpoint(path, other, which="best")
        assert same_state(other, model)

    def test_a_fraction_is_held_back_class_by_class(self):
        batches = ArrayBatches(*samples(50), seed=3)
        rest, held = batches.parted(0.2)
        assert (len(rest.target), len(held.target)) == (40, 10)
        assert held.target.bincount().tolist() == [5, 5]
        whole = torch.cat([rest.x, held.x], 1)
        assert torch.equal(whole.sum((0, 1)), batches.x.sum((0, 1)))
        assert len(fit(network(), samples(50), epochs=1, validation=0.2)["validation_loss"]) == 1

    def test_autocast_to_bfloat16(self):
        history = fit(network(), samples(), epochs=2, autocast=torch.bfloat16, **OPTIONS)
        assert np.isfinite(history["train_loss"]).all()


class TestResume:
    def run(self, path, epochs, *, stop_after=None, logs=None):
        """Train on randomly transformed data; optionally stop by Ctrl-C in the given epoch."""
        generator = np.random.default_rng(11)
        loader = DataLoader(Jittered(generator), batch_size=16, shuffle=True, collate_fn=time_first)

        class Stop(Callback):
            def after_step(self, trainer):
                if stop_after is not None and (trainer.epoch, trainer.step) == (stop_after, 2):
                    os.kill(os.getpid(), signal.SIGINT)

        model = network()
        history = fit(
            model, loader, validation=samples(20, seed=1), epochs=epochs, checkpoint=path,
            resume=True, generators=[generator], schedule="onecycle", logs=logs,
            callbacks=[Stop()], regularisers=[RateRegulariser(upper=0.1)], **OPTIONS,
        )  # fmt: skip
        return model, history

    def test_an_interrupted_run_equals_one_never_stopped(self, tmp_path):
        model, history = self.run(tmp_path / "whole.pt", 5)
        path, logs = tmp_path / "cut.pt", tmp_path / "cut.csv"
        with pytest.raises(TrainingInterrupted, match="in epoch 3 after 2 batches") as caught:
            self.run(path, 5, stop_after=2, logs=logs)
        assert "hold the end of epoch 2" in str(caught.value)
        assert len(caught.value.history) == read_checkpoint(path)["epoch"] == 2
        assert len(History.from_csv(logs)) == 2
        torch.rand(3)  # whatever happens in between
        np.random.rand(3)  # noqa: NPY002
        resumed, again = self.run(path, 5, logs=logs)
        assert again == history
        assert same_state(resumed, model)
        assert History.from_csv(logs) == history
        first, second = (read_checkpoint(tmp_path / f"{n}.pt") for n in ("whole", "cut"))
        for a, b in zip(
            first["optimizer"]["state"].values(), second["optimizer"]["state"].values(), strict=True
        ):
            assert all(torch.equal(a[k], b[k]) for k in a)
        assert torch.equal(first["rng"]["torch"], second["rng"]["torch"])
        assert first["rng"]["generators"] == second["rng"]["generators"]
        assert all(torch.equal(v, second["best"]["model"][k])
                   for k, v in first["best"]["model"].items())  # fmt: skip

    def test_ctrl_c_puts_the_model_back_to_its_checkpoint(self, tmp_path):
        class Stop(Callback):
            def after_step(self, trainer):
                if trainer.epoch == 1:
                    os.kill(os.getpid(), signal.SIGINT)

        model, path = network(), tmp_path / "a.pt"
        handler = signal.getsignal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            fit(model, samples(), epochs=3, batch_size=16, checkpoint=path, callbacks=[Stop()])
        assert signal.getsignal(signal.SIGINT) is handler
        saved = read_checkpoint(path)["model"]
        assert all(torch.equal(v, saved[k]) for k, v in model.state_dict().items())
        with pytest.raises(TrainingInterrupted, match="With checkpoint=path a run can be resumed"):
            fit(model, samples(), epochs=3, batch_size=16, callbacks=[Stop()])

    def test_the_torch_scheduler_and_early_stopping_continue(self, tmp_path):
        options = {
            "schedule": lambda o: torch.optim.lr_scheduler.StepLR(o, 2, gamma=0.5),
            "early_stopping": 3, "validation": samples(20, seed=1), "learning_rate": 0.05,
        }  # fmt: skip
        whole = fit(network(), samples(), epochs=8, checkpoint=tmp_path / "w.pt", **options)
        for epochs in (2, 5, 8):
            parts = fit(network(seed=epochs), samples(), epochs=epochs, resume=True,
                        checkpoint=tmp_path / "p.pt", **options)  # fmt: skip
        # without a seed the runs differ in nothing: the data are not shuffled by a global stream
        assert parts["learning_rate.weights"].tolist() == whole["learning_rate.weights"].tolist()

    def test_other_settings_are_refused(self, tmp_path):
        path = tmp_path / "a.pt"
        fit(network(), samples(), epochs=1, checkpoint=path, learning_rate=0.01)
        with pytest.raises(ParameterError, match=r"learning_rate was 0.01 in .* and is 0.02 now"):
            fit(network(), samples(), epochs=2, checkpoint=path, resume=True, learning_rate=0.02)
        with pytest.raises(ParameterError, match=r"resume=True needs checkpoint=path"):
            fit(network(), samples(), epochs=2, resume=True)
        with pytest.raises(FileNotFoundError, match="no checkpoint of this name"):
            fit(network(), samples(), epochs=2, resume=tmp_path / "none.pt")


class Bad(nn.Module):
    """Multiply by NaN forward or backward."""

    def __init__(self, *, forward=1.0, backward=1.0):
        super().__init__()
        self.factors = forward, backward

    def forward(self, x):
        forward, backward = self.factors
        out = x * forward
        if out.requires_grad:
            out = out + 0.0
            out.register_hook(lambda g: g * backward)
        return out


class TestDiagnosis:
    def model(self, bad):
        return Sequential(Linear(CHANNELS, 6), LIF(beta=0.8), bad, Linear(6, CLASSES), LI(beta=0.9))

    def test_the_first_module_with_nan_is_named(self):
        with pytest.raises(SimulationError, match=r"module '2' \(Bad\) is the first whose output"):
            fit(self.model(Bad(forward=torch.nan)), samples(), epochs=1)

    def test_the_module_that_spoils_the_gradient_is_named(self):
        class Root(nn.Module):
            def forward(self, x):
                return (x * 0.0).sqrt() + x  # the derivative at 0 is infinite

        with pytest.raises(SimulationError, match=r"module '2' \(Root\) turns a finite gradient"):
            fit(self.model(Root()), samples(), epochs=1)

    def test_nan_in_data_parameters_and_loss(self):
        x, y = samples()
        with pytest.raises(SimulationError, match="the input of the model holds NaN"):
            fit(network(), (x * torch.nan, y), epochs=1)
        model = network()
        with torch.no_grad():
            model[4].weight[0, 0] = torch.inf
        with pytest.raises(SimulationError, match=r"parameter '4.weight' is NaN or infinite"):
            fit(model, (x, y), epochs=1)
        with pytest.raises(SimulationError, match="look at the loss and the regularisers"):
            fit(network(), (x, y), epochs=1, loss=lambda out, target: out.mean() * torch.nan)

    def test_a_silent_layer_is_named_once(self):
        model = Sequential(
            Linear(CHANNELS, 6), LIF(beta=0.8), Linear(6, 6, bias=False),
            LIF(beta=0.8, threshold=1e3), Linear(6, 4, bias=False), LIF(beta=0.5),
        )  # fmt: skip
        with torch.no_grad():
            model[0].weight.fill_(0.2)
        with pytest.warns(TrainingWarning) as caught:
            fit(model, samples(), epochs=3, learning_rate=0.0)
        messages = [str(w.message) for w in caught]
        assert len(messages) == 1
        assert messages[0].startswith("layer '3' is silent")
        assert "The 1 spiking layers behind it" in messages[0]
        assert "initialise_rates_" in messages[0]

    def test_saturated_and_dead_layers(self):
        model = Sequential(Linear(CHANNELS, 10), LIF(beta=0.8), Linear(10, 2), LIF(beta=0.8))
        with torch.no_grad():
            model[0].weight.fill_(-1.0)
            model[0].weight[0] = 1.0  # one neuron of ten is alive
            model[0].bias.zero_()
            model[2].bias.fill_(5.0)
        with pytest.warns(TrainingWarning) as caught:
            fit(model, samples(), epochs=1, learning_rate=0.0)
        messages = " ".join(str(w.message) for w in caught)
        assert "90% of the neurons of layer '1' were silent" in messages
        assert "layer '3' is saturated: 1.00 spikes per neuron and step" in messages

    def test_a_healthy_network_warns_of_nothing(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fit(network(), samples(), epochs=2)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda x, y: (x, y + 1), "target 2 does not exist: the model has 2 outputs"),
            (lambda x, y: (x, y - 1), "target -1 does not exist"),
            (lambda x, y: (x, y.float()), r"targets have type torch.float32: .*target.long\(\)"),
            (lambda x, y: (x, torch.eye(2)[y].long()), r"shape \[48, 2\].*argmax"),
            (lambda x, y: (x.transpose(0, 1), y), r"The batch seems to be in front"),
        ],
    )
    def test_targets_that_do_not_fit(self, change, message):
        model = network()
        with pytest.raises(ParameterError, match=message):
            fit(model, [change(*samples())], epochs=1)

    def test_outputs_that_do_not_fit(self):
        class Last(nn.Module):
            def forward(self, x):
                return x[-1]

        with pytest.raises(ParameterError, match=r"output has shape \[48, 8\].*needs \[T, B, C\]"):
            model = nn.Sequential(nn.Linear(CHANNELS, CHANNELS), Last())
            fit(model, [samples()], epochs=1)

    def test_targets_of_any_kind_with_a_loss_for_them(self):
        x, y = samples()
        history = fit(
            network(),
            (x, y.float()),
            epochs=1,
            loss=lambda out, target: (out.mean((0, 2)) - target).square().mean(),
        )
        assert "train_accuracy" not in history.columns


class TestOptions:
    def test_tensorboard(self, tmp_path):
        class Writer:
            def __init__(self):
                self.scalars = {}

            def add_scalar(self, tag, value, step):
                self.scalars[tag, step] = value

        writer = Writer()
        history = fit(network(), samples(), epochs=2, tensorboard=writer)
        assert writer.scalars["loss/train", 2] == history["train_loss"][1]
        assert writer.scalars["rate/2", 1] == history["rate.2"][0]
        with pytest.raises(ParameterError, match="expected a folder or an object with add_scalar"):
            fit(network(), samples(), epochs=1, tensorboard=3)
        try:
            import tensorboard  # noqa: F401
        except ImportError:
            with pytest.raises(MissingPackageError, match="pip install tensorboard"):
                fit(network(), samples(), epochs=1, tensorboard=tmp_path)

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"epochs": 0}, ParameterError, "epochs = 0"),
            ({"loss": "rat"}, UnknownNameError, "Did you mean 'rate'"),
            ({"schedule": "onecicle"}, UnknownNameError, "Did you mean 'onecycle'"),
            ({"schedule": {"delay": "cosine"}}, UnknownNameError, "Did you mean 'delays'"),
            ({"schedule_per": "batch"}, ParameterError, "expected 'epoch' or 'step'"),
            ({"early_stopping": 3}, ParameterError, "pass validation=0.1"),
            ({"monitor": "validation_loss"}, ParameterError, "need validation"),
            ({"validation": 1.5}, ParameterError, "a fraction is between 0 and 1"),
            ({"optimizer": lambda groups: 3}, ParameterError, "optimizer returned a int"),
            ({"batch_size": 0}, ParameterError, "batch_size = 0"),
        ],
    )
    def test_mistakes(self, options, error, message):
        with pytest.raises(error, match=message):
            fit(network(), samples(), **{"epochs": 1, **options})

    def test_data_that_are_none(self):
        with pytest.raises(ParameterError, match="An iterator can be run through only once"):
            fit(network(), iter([samples()]), epochs=1)
        with pytest.raises(ParameterError, match="makes its own batches: leave out batch_size"):
            fit(network(), DataLoader([1]), epochs=1, batch_size=3)
        with pytest.raises(ParameterError, match="DataLoader cannot be split here"):
            fit(network(), DataLoader([1]), epochs=1, validation=0.1)
        with pytest.raises(ParameterError, match=r"x has shape \[48, 12, 8\]"):
            x, y = samples()
            fit(network(), (x.transpose(0, 1), y), epochs=1)
        with pytest.raises(ParameterError, match="a batch is a Tensor"):
            fit(network(), [torch.zeros(3, 2, 1)], epochs=1)


class TestDelays:
    def pairs(self, n=64):
        """Return two spikes 3 or 7 steps apart: only their distance tells the classes apart."""
        generator, target = np.random.default_rng(0), np.arange(n) % 2
        x = torch.zeros(24, n, 2)
        first = generator.integers(0, 8, n)
        x[first, np.arange(n), 0] = 1.0
        x[first + np.where(target, 7, 3), np.arange(n), 1] = 1.0
        return x, torch.from_numpy(target)

    def network(self, init=4.0):
        torch.manual_seed(1)
        model = Sequential(
            DelayedLinear(2, 12, max_delay=8, window="gaussian", delay_init=init), LIF(beta=0.3),
            Linear(12, 2), LI(beta=0.95),
        )  # fmt: skip
        with torch.no_grad():
            model[0].weight.abs_().mul_(30.0)  # a window of 4 steps spreads a spike thin
        return model

    def run(self, epochs, path=None, model=None):
        model = model or self.network("uniform")
        history = fit(
            model, self.pairs(), epochs=epochs, batch_size=32, loss="membrane_sum", seed=2,
            learning_rate={"weights": 0.02, "delays": 0.3}, sigma=SigmaSchedule(4.0, epochs=5),
            schedule={"delays": "constant"}, validation=0.25, checkpoint=path, resume=bool(path),
            callbacks=[self.record],
        )  # fmt: skip
        return model, history

    class Record(Callback):
        def __init__(self):
            self.sigmas, self.extremes = [], []

        def after_step(self, trainer):
            delay = trainer.model[0].delay.detach()
            self.sigmas.append(float(trainer.model[0].sigma))
            self.extremes += [float(delay.min()), float(delay.max())]

    def test_delays_move_within_their_range_and_sigma_falls(self):
        self.record = self.Record()
        model, history = self.run(6)
        assert self.record.sigmas[0] == 4.0 and self.record.sigmas[-1] == pytest.approx(0.23)
        assert min(self.record.extremes) >= 0.0 and max(self.record.extremes) <= 8.0
        start = self.network("uniform")[0].delay
        assert (model[0].delay - start).abs().mean() > 0.3
        assert (model[0].delay != model[0].delay.round()).any()  # validation rounded none for good
        assert history["learning_rate.delays"][0] == 0.3

    def test_validation_is_that_of_the_rounded_network(self):
        self.record = self.Record()
        model, _ = self.run(2)
        data = self.pairs()
        rounded = evaluate(model, data, loss="membrane_sum")
        bridge.round_delays_(model)
        model[0].sigma.fill_(0.0)
        assert evaluate(model, data, loss="membrane_sum").loss == pytest.approx(rounded.loss)

    def test_resumed_runs_are_equal(self, tmp_path):
        self.record = self.Record()
        whole, history = self.run(4, tmp_path / "w.pt")

        class Stop(self.Record):
            def after_step(self, trainer):
                if trainer.epoch == 2:
                    os.kill(os.getpid(), signal.SIGINT)

        self.record = Stop()
        with pytest.raises(TrainingInterrupted):
            self.run(4, tmp_path / "p.pt")
        self.record = self.Record()
        resumed, again = self.run(4, tmp_path / "p.pt")
        assert again == history
        assert same_state(resumed, whole)


class TestDataSets:
    @pytest.mark.parametrize("kind", ["frames", "dense", "events"])
    def test_data_sets_become_batches(self, kind):
        from neurosim.datasets import SpokenDigits, collate_dense, collate_events
        from neurosim.datasets.transforms import ToFrames

        grid = {"sensor_size": (14, 1, 1), "n_steps": 10}
        frames = ToFrames(n_bins=10, sensor_size=(14, 1, 1)) if kind == "frames" else None
        collate = {"dense": collate_dense, "events": collate_events, "frames": None}[kind]
        model = Sequential(Linear(14, 20), LIF(beta=0.8), Linear(20, 10), LI(beta=0.9))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TrainingWarning)
            history = fit(
                model, SpokenDigits("test", groups=14, transform=frames), validation=0.2,
                collate=collate and collate(**grid), epochs=1, batch_size=100, seed=3,
                loss="membrane_sum",
            )  # fmt: skip
        assert np.isfinite(history["validation_loss"]).all()
