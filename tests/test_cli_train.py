"""The command line: neurosim train, neurosim evaluate."""

import pytest
import torch

from neurosim.bridge.training import History, TrainingInterrupted, fit, read_checkpoint
from neurosim.bridge.training.recipe import Recipe
from neurosim.cli import main

CONFIG = """
seed = 3

[data]
name = "SpokenDigits"
options = {groups = 14}
train = {split = "test"}     # 300 recordings, to be quick
test = {split = "test"}
validation = 0.2
batch_size = 40
n_steps = 12
augment = [{name = "DropEvents", probability = 0.1}]

[[model]]
layer = "Linear"
in_features = 14
out_features = 24

[[model]]
layer = "Recurrent"
neuron = {layer = "LIF", beta = 0.8, spike_grad = {name = "atan", alpha = 5.0}}
connection = 0.1

[[model]]
layer = "Dropout"
p = 0.1

[[model]]
layer = "Linear"
in_features = 24
out_features = 10

[[model]]
layer = "LI"
beta = 0.9

[training]
epochs = 2
loss = "membrane_sum"
initialise_rates = 0.1
learning_rate = {weights = 0.01, time_constants = 0.1}
schedule = {weights = {name = "onecycle", peak = 0.02}}
optimizer = {name = "AdamW", eps = 1e-7}
regularisers = [{name = "rate", upper = 0.5, strength = 0.1}]
clip_gradient = 1.0
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "digits.toml"
    path.write_text(CONFIG)
    return str(path)


def test_train_and_evaluate(config, tmp_path, capsys):
    assert main(["train", config]) == 0
    out = capsys.readouterr().out
    assert out.count("epoch ") == 2
    assert "validation loss" in out
    folder = tmp_path / "runs" / "digits"
    assert sorted(p.name for p in folder.iterdir()) == [
        "checkpoint.pt", "config.toml", "history.csv", "history.png"
    ]  # fmt: skip
    history = History.from_csv(folder / "history.csv")
    assert len(history) == 2
    assert history["train_loss"][-1] < history["train_loss"][0]
    assert 0.01 < history["rate.1"][0] < 0.5

    tested = next(line for line in out.splitlines() if line.startswith("test: "))
    command = ["evaluate", str(folder / "checkpoint.pt")]
    assert main([*command, "--which", "last"]) == 0
    shown = capsys.readouterr().out
    assert "last model, epoch 2" in shown
    assert tested in shown  # the model of the file is the one that was trained
    rows = shown.split("confusion")[1].splitlines()[2:]
    assert sum(int(n) for row in rows for n in row.split()[1:]) == 300
    assert main([*command, "--data", "validation"]) == 0
    shown = capsys.readouterr().out
    best = history.best()
    assert f"best model, epoch {best + 1}" in shown
    assert f"accuracy {100 * history['validation_accuracy'][best]:.2f} % of 60 samples" in shown


def test_the_seed_decides_everything(config):
    for name in ("a", "b"):
        assert main(["train", config, "--out", name, "--quiet"]) == 0
    assert History.from_csv("a/history.csv") == History.from_csv("b/history.csv")
    first, second = (read_checkpoint(f"{n}/checkpoint.pt")["model"] for n in "ab")
    assert all(torch.equal(first[k], second[k]) for k in first)


def test_an_interrupted_run_is_resumed(config, tmp_path, capsys, monkeypatch):
    from neurosim.bridge import training

    assert main(["train", config, "--out", "whole", "--quiet"]) == 0

    def stopping(*arguments, progress, **options):
        def stop(row):
            raise TrainingInterrupted("training was interrupted.", History())

        return fit(*arguments, progress=stop, **options)

    monkeypatch.setattr(training, "fit", stopping)
    assert main(["train", config, "--out", "cut", "--quiet"]) == 130
    assert "--out cut --resume" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert main(["train", config, "--out", "cut", "--quiet"]) == 1
    assert "cut holds a run already: go on with it by --resume" in capsys.readouterr().err
    assert main(["train", config, "--out", "cut", "--quiet", "--resume"]) == 0
    assert History.from_csv("cut/history.csv") == History.from_csv("whole/history.csv")
    (tmp_path / "digits.toml").write_text(CONFIG.replace("0.9", "0.8"))
    assert main(["train", config, "--out", "cut", "--resume"]) == 1
    assert "differs from the configuration given now" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[data]", "[dat]", "digits.toml has no key 'dat'. Keys: seed, data, model, training. "
         "Did you mean 'data'?"),
        ("batch_size", "batchsize", "[data] has no key 'batchsize'."),
        ("epochs = 2", "epoch = 2", "Did you mean 'epochs'?"),
        ("epochs = 2", "", "[training]: epochs is missing."),
        ('"SpokenDigits"', '"SpokenDigit"', "no data set 'SpokenDigit'."),
        ("groups", "group", "[data] SpokenDigits has no option 'group'."),
        ('"Dropout"', '"Dropot"', "[[model]] 2 has no layer 'Dropot'."),
        ("out_features = 24", "", "[[model]] 0 (Linear): missing a required argument"),
        ("alpha = 5.0", "beta = 5.0", "[[model]] 1.neuron.spike_grad has no option 'beta'."),
        ('"atan"', '"atn"', "no surrogate 'atn'."),
        ('"DropEvents"', '"DropEvent"', "no transform 'DropEvent'."),
        ('"onecycle"', '"onecicle"', "no schedule 'onecicle'."),
        ('"AdamW"', '"AdamV"', "no optimizer 'AdamV'."),
        ('"rate", upper', '"rates", upper', "no regulariser 'rates'."),
        ("validation = 0.2", "validation = 2", "[data] validation = 2: a fraction"),
        ("seed = 3", "seed = 'x'", "seed = 'x': a whole number is needed."),
        ("[[model]]", "[model", "digits.toml: no valid TOML"),
        ('"membrane_sum"', '"membranesum"', "fit has no loss 'membranesum'."),
    ],
)  # fmt: skip
def test_mistakes_are_named(config, tmp_path, capsys, old, new, message):
    (tmp_path / "digits.toml").write_text(CONFIG.replace(old, new, 1))
    assert main(["train", config]) == 1
    error = capsys.readouterr().err
    assert error.startswith("neurosim: ")
    assert message in error
    assert "Traceback" not in error


def test_other_files(tmp_path, capsys):
    assert main(["train", str(tmp_path / "none.toml")]) == 1
    assert "none.toml: cannot be read" in capsys.readouterr().err
    fit(torch.nn.Linear(2, 2), (torch.rand(3, 4, 2), torch.tensor([0, 1, 0, 1])), epochs=1,
        checkpoint=tmp_path / "plain.pt")  # fmt: skip
    assert main(["evaluate", str(tmp_path / "plain.pt")]) == 1
    assert "does not say how its model is built" in capsys.readouterr().err


def test_every_layer_name_is_a_layer():
    from neurosim.bridge.training.recipe import TORCH_LAYERS, _dataset_names, _own_layers

    assert all(issubclass(getattr(torch.nn, name), torch.nn.Module) for name in TORCH_LAYERS)
    assert {"LIF", "Linear", "LI", "Recurrent"} <= set(_own_layers())
    assert {"SHD", "SpokenDigits", "timed_motifs"} <= set(_dataset_names())
    text = CONFIG.replace('"Recurrent"', '"LIF"').replace(
        'neuron = {layer = "LIF", beta = 0.8, spike_grad = {name = "atan", alpha = 5.0}}',
        "beta = [" + ", ".join(["0.5"] * 24) + "]",
    ).replace("connection = 0.1", 'spike_grad = "slayer"')  # fmt: skip
    model = Recipe.parse(text).model()
    assert model[1].beta.shape == (24,)


def test_a_run_that_failed_at_once_can_be_mended(config, tmp_path, capsys):
    """Its folder holds nothing of worth and stands in nobody's way."""
    path = tmp_path / "wrong.toml"
    path.write_text(CONFIG.replace("in_features = 14", "in_features = 15"))
    assert main(["train", str(path), "--out", "mended"]) == 1
    assert "module 0: Linear(15, 24" in capsys.readouterr().err
    assert main(["train", config, "--out", "mended", "--quiet"]) == 0


def test_missing_files_are_said_without_a_traceback(config, tmp_path, capsys):
    assert main(["evaluate", "nothing.pt"]) == 1
    assert "nothing.pt: there is no checkpoint of this name" in capsys.readouterr().err
    path = tmp_path / "shd.toml"
    path.write_text(CONFIG.replace('"SpokenDigits"', '"SHD"').replace("groups = 14", 'root = "x"'))
    assert main(["train", str(path)]) == 1
    assert "SHD: shd_test.h5 not found in x" in capsys.readouterr().err


def test_tensorboard_is_a_folder_of_the_run(config, tmp_path, monkeypatch):
    asked = {}

    def note(*arguments, **options):
        asked.update(options)
        return fit(*arguments, **{**options, "tensorboard": None})

    monkeypatch.setattr("neurosim.bridge.training.fit", note)
    text = CONFIG.replace("epochs = 2", "epochs = 1")
    cases = (("a", "", None), ("b", "tensorboard = true\n", "runs/b/tensorboard"))
    for name, line, expected in cases:
        path = tmp_path / f"{name}.toml"
        path.write_text(text + line)
        assert main(["train", str(path), "--quiet"]) == 0
        assert expected == (asked["tensorboard"] and asked["tensorboard"].as_posix())
