"""The example of dendrites finds the published numbers and draws them."""

import importlib

import pytest


def test_dendritic_neuron(tmp_path, capsys):
    found = importlib.import_module("dendritic_neuron").main(["--out", str(tmp_path), "--quick"])
    assert (tmp_path / "dendritic_neuron.png").stat().st_size > 20_000
    assert found["factor"] == pytest.approx(1.318, abs=0.01)
    assert found["above"] == pytest.approx([0.0, 11.4, 57.1, 91.3], abs=0.3)
    assert found["spikes"] == [1, 0, 3]
    assert "1.318" in capsys.readouterr().out
