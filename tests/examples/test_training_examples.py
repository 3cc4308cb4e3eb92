"""The examples that train: they run at small size, on every data set, and keep what they found."""

import functools
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
matplotlib = pytest.importorskip("matplotlib")

import nmnist  # noqa: E402
import spoken_digits  # noqa: E402
import spoken_digits_engine  # noqa: E402

from neurosim import bridge, datasets  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def read_once():
    """Unpacking the recordings takes 2 s; no test changes them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "SpokenDigits", functools.cache(datasets.SpokenDigits))
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Spoken digits, quickly: a folder with a network with learned delays, and its result."""
    folder = tmp_path_factory.mktemp("spoken_digits")
    (run,) = spoken_digits.main(["--quick", "--variant", "learned", "--out", str(folder)])
    return folder, run


def test_spoken_digits_writes_what_it_found(trained):
    folder, run = trained
    names = {path.name for path in folder.iterdir()}
    assert names == {"learned_0.csv", "learned_0.json", "learned_0.pt", "spoken_digits.png",
                     "spoken_digits_delays.png"}  # fmt: skip
    history = bridge.History.from_csv(folder / "learned_0.csv")
    assert len(history) == 2
    assert run["validation"] == pytest.approx(
        100.0 * history["validation_accuracy"][run["best_epoch"] - 1]
    )
    assert run["best_epoch"] - 1 == history.best("validation_loss")


def test_weights_are_those_of_the_chosen_epoch(trained):
    """What the checkpoint reaches on the test set, rounded, is what was reported."""
    folder, run = trained
    net = spoken_digits.network("learned", 70, 10, 32)
    bridge.load_checkpoint(folder / "learned_0.pt", net)
    task = spoken_digits.load("spoken_digits", most=200)
    found = bridge.evaluate(net, task.test, loss="membrane_sum")
    assert 100.0 * found.accuracy == pytest.approx(run["test"])


def test_finished_runs_are_kept_and_others_added(trained, capsys):
    folder, run = trained
    before = (folder / "learned_0.pt").stat().st_mtime_ns
    runs = spoken_digits.main(
        ["--quick", "--variant", "learned", "none", "--out", str(folder)]
    )  # fmt: skip
    assert (folder / "learned_0.pt").stat().st_mtime_ns == before
    assert run in runs
    assert {r["variant"] for r in runs} == {"learned", "none"}
    assert "learned delays                   1" in capsys.readouterr().out
    for path in folder.glob("none_0.*"):
        path.unlink()


@pytest.mark.parametrize("variant", spoken_digits.VARIANTS)
def test_networks_differ_in_what_their_name_says(variant):
    net = spoken_digits.network(variant, 70, 10, hidden=16)
    weights = 70 * 16 + 16 * 16 + 16 * 10
    norms = 4 * 16
    more = {"learned": weights, "recurrent": 2 * 16 * 16, "adlif": 2 * 4 * 16}.get(variant, 0)
    assert sum(p.numel() for p in net.parameters()) == weights + norms + more
    delayed = [layer for layer in net if isinstance(layer, bridge.DelayedLinear)]
    assert len(delayed) == (3 if variant in ("fixed", "learned") else 0)
    for layer in delayed:
        whole = bool((layer.delay == layer.delay.round()).all())
        assert whole == (variant == "fixed")
        assert layer.delay.requires_grad == (variant == "learned")


def test_no_recording_is_in_two_parts():
    train, validation, test = spoken_digits.recordings("spoken_digits", None)
    assert train.data is validation.data
    both = np.concatenate([train.indices, validation.indices])
    np.testing.assert_array_equal(np.sort(both), np.arange(2700))
    np.testing.assert_array_equal(np.bincount(validation.targets), np.full(10, 30))
    assert test.describe()["options"]["split"] == "test"


def test_spikes_are_counted_in_steps():
    """Every spike of a short recording is in its channel and step of 10 ms."""
    digits = datasets.SpokenDigits("test")
    x, target = spoken_digits.counts(datasets.Subset(digits, [7]), 80)
    events, digit = digits[7]
    assert digits.durations[7] < 800_000
    assert (x.sum(), target.tolist()) == (len(events), [digit])
    for t, channel in zip(events["t"][::50], events["x"][::50], strict=True):
        assert x[t // 10_000, 0, channel] > 0


def test_unheard_speaker_is_not_trained_on():
    parts = spoken_digits.recordings("spoken_digits", None, unheard=2)
    speakers = parts[2].data.speakers
    assert [len(part) for part in parts] == [2000, 250, 450]
    for part, heard in zip(parts, (True, True, False), strict=True):
        own = part.data.indices[part.indices] if heard else part.indices
        assert set(speakers[own]) == ({0, 1, 3, 4, 5} if heard else {2})


def made_up_spikes(rng, n, classes):
    """Recordings of 700 channels in which a class fires in its own channels."""
    recordings = []
    for k in range(n):
        events = np.zeros(60, datasets.AUDIO)
        events["t"] = np.sort(rng.integers(0, 300_000, 60))
        events["x"] = rng.integers(0, 700 // classes, 60) + (k % classes) * (700 // classes)
        events["p"] = 1
        recordings.append(events)
    return recordings, np.arange(n) % classes


@pytest.mark.parametrize(("name", "parts", "classes"), [
    ("shd", ("train", "test"), 20), ("ssc", ("train", "valid", "test"), 35),
])  # fmt: skip
def test_spoken_digits_reads_heidelberg_files(tmp_path, capsys, name, parts, classes):
    rng = np.random.default_rng(0)
    for part in parts:
        datasets.write_shd(tmp_path / f"{name}_{part}.h5", *made_up_spikes(rng, 70, classes))
    (run,) = spoken_digits.main(["--quick", "--variant", "none", "--data", name, str(tmp_path),
                                 "--out", str(tmp_path / "out")])  # fmt: skip
    assert f"{name}: " in (text := capsys.readouterr().out)
    assert "140 channels" in text
    assert 0.0 <= run["test"] <= 100.0
    assert run["parameters"] == 140 * 32 + 32 * 32 + 32 * classes + 4 * 32


def test_spoken_digits_reads_speech_commands(tmp_path, capsys):
    wavfile = pytest.importorskip("scipy.io.wavfile")
    from neurosim.datasets.sets.speech_commands import WORDS

    rng = np.random.default_rng(0)
    lists = {"validation_list.txt": "b", "testing_list.txt": "c"}
    for word in WORDS:
        (tmp_path / word).mkdir()
        for who in "abc":
            sound = rng.integers(-3000, 3000, 16000).astype(np.int16)
            wavfile.write(tmp_path / word / f"{who}_nohash_0.wav", 16000, sound)
    for name, who in lists.items():
        (tmp_path / name).write_text("".join(f"{word}/{who}_nohash_0.wav\n" for word in WORDS))
    spoken_digits.main(["--quick", "--variant", "none", "--data", "gsc", str(tmp_path),
                        "--out", str(tmp_path / "out")])  # fmt: skip
    assert "gsc: 35, 35, 35 recordings" in capsys.readouterr().out


def test_spoken_digits_says_which_data_it_takes(tmp_path, capsys):
    for given in (["shd"], ["timit", "DIR"], ["spoken_digits", "DIR"]):
        with pytest.raises(SystemExit):
            spoken_digits.main(["--data", *given, "--out", str(tmp_path)])
        assert "--data is one of: spoken_digits, shd DIR" in capsys.readouterr().err


def test_engine_sends_the_spikes_of_the_trained_network(trained, tmp_path, capsys):
    folder, _ = trained
    found = spoken_digits_engine.main(
        ["--quick", "--checkpoint", str(folder / "learned_0.pt"), "--out", str(tmp_path)]
    )
    assert found["spikes"] > 1000
    assert found["differing"] == 0
    assert found["same"] == {"float64": 1.0, "float32": 1.0}
    assert 0 < found["operations"].synaptic_operations < found["operations"].dense
    assert (tmp_path / "spoken_digits_engine.png").stat().st_size > 10_000
    assert "0 of them different in the event engine" in capsys.readouterr().out


@pytest.fixture
def made_up_events(tmp_path):
    """A file in the layout of the small N-MNIST: digit k is a bar in row 3 k."""
    rng = np.random.default_rng(0)
    labels = np.tile(np.arange(10), 22)
    n = 200
    arrays = {
        "x": rng.integers(0, 34, n * len(labels)).astype(np.int16),
        "y": np.repeat(3 * labels, n).astype(np.int16) + rng.integers(0, 3, n * len(labels)),
        "t": np.sort(rng.integers(0, 300_000, (len(labels), n))).ravel(),
        "p": rng.integers(0, 2, n * len(labels)).astype(bool),
        "offsets": np.arange(len(labels) + 1) * n,
        "labels": labels,
        "split": (np.arange(len(labels)) >= 200).astype(np.int64),
    }
    np.savez(tmp_path / "events.npz", **arrays)
    return tmp_path / "events.npz"


def test_nmnist_trains_the_three_hybrids(made_up_events, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["--quick", "--data", str(made_up_events), "--out", str(out)]
    with pytest.raises(SystemExit):
        nmnist.main([*arguments, "--data", str(tmp_path / "none")])
    assert "say with --data where N-MNIST is" in capsys.readouterr().err
    runs = nmnist.main(arguments)
    assert [run["hybrid"] for run in runs] == ["none", "front", "head"]
    assert (out / "nmnist.png").stat().st_size > 10_000
    assert json.loads((out / "head_0.json").read_text()) == runs[2]


@pytest.mark.parametrize("hybrid", nmnist.HYBRIDS)
def test_gradients_pass_the_borders(hybrid):
    torch.manual_seed(0)
    net = nmnist.network(hybrid)
    spiking = [layer for layer in net.modules() if isinstance(layer, bridge.LIF)]
    assert len(spiking) == (1 if hybrid == "front" else 2)
    out = net((torch.rand(5, 3, 2, 34, 34) < 0.1).float())
    out = out if hybrid == "head" else out[0]
    assert out.shape == ((1 if hybrid == "head" else 5), 3, 10)
    out.square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad.abs().max() > 0.0, name
