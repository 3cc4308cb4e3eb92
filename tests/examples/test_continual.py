"""The examples of continual learning, at small size."""

import importlib
import json
from pathlib import Path

import pytest
import torch

MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist"
needs_mnist = pytest.mark.skipif(not MNIST.is_dir(), reason="MNIST is not beside the project")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@needs_mnist
@pytest.mark.parametrize("method", ["bptt", "ottt", "dsr"])
def test_projection(tmp_path, method, capsys):
    options = ["--quick", "--mnist", str(MNIST), "--out", str(tmp_path), "--method", method]
    found = importlib.import_module("continual_hlop").main(options)
    assert {p.name for p in tmp_path.iterdir()} == {f"{method}_hlop_0.json", "continual_hlop.png"}
    assert json.loads((tmp_path / f"{method}_hlop_0.json").read_text()) == found
    assert max(found["max_HHT_minus_1"].values()) < 0.3
    assert 0 < found["overhead_fraction"] < 1
    assert f"ACC {found['ACC']} %" in capsys.readouterr().out
    if method == "dsr":  # the only one that learns from 500 digits
        assert found["ACC"] > 50


@needs_mnist
@pytest.mark.parametrize("method", ["bptt", "ottt", "dsr"])
def test_a_head_for_each_pair_of_digits(tmp_path, method):
    options = ["--split", "--quick", "--mnist", str(MNIST), "--out", str(tmp_path)]
    found = importlib.import_module("continual_hlop").main([*options, "--method", method])
    assert found["protocol"] == "split" and set(found["max_HHT_minus_1"]) == {"0", "2"}
    assert 70 < found["train"][0] < 130 and len(found["train"]) == 2
    if method == "dsr":  # zeros from ones, after two epochs of about 100 digits
        assert found["accuracy"][0][0] > 90
    with pytest.raises(SystemExit):
        importlib.import_module("continual_hlop").main([*options[:1], "--tasks", "6"])


def test_the_heads_of_other_pairs_learn_nothing():
    hlop = importlib.import_module("continual_hlop")
    learner = hlop.Learner("bptt", 200, heads=True)
    images, digits = torch.randn(8, 784), torch.tensor([4, 5] * 4)
    learner.gradients(images, digits)
    moved = learner.model[4].weight.grad.abs().sum(1) > 0
    assert moved.tolist() == [digit in (4, 5) for digit in range(10)]
    assert set(learner.choice(torch.randn(8, 10), digits).argmax(1).tolist()) <= {4, 5}


@needs_mnist
def test_dendrites(tmp_path):
    options = ["--quick", "--mnist", str(MNIST), "--out", str(tmp_path)]
    models = ["full", "dendrites", "winners", "mlp", "spiking"]
    found = importlib.import_module("continual_dendrites").main([*options, "--model", *models])
    assert [f["model"] for f in found] == models
    assert min(f["ACC"] for f in found) > 25
    assert len(list(tmp_path.glob("*.json"))) == 5
    assert (tmp_path / "continual_dendrites.png").stat().st_size > 5000


@pytest.mark.parametrize("name", ["continual_hlop", "continual_dendrites"])
def test_missing_digits_are_explained(tmp_path, name):
    options = ["--quick", "--mnist", str(tmp_path / "none"), "--out", str(tmp_path)]
    with pytest.raises(SystemExit, match=r"needs MNIST: give the folder .* There is nothing in"):
        importlib.import_module(name).main(options)
