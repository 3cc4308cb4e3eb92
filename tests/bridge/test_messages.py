"""What a newcomer gets wrong first is answered by a message that says what to do."""

import numpy as np
import pytest
import torch
from torch import nn

from neurosim import bridge, datasets
from neurosim.bridge import surrogate
from neurosim.errors import ParameterError, UnknownNameError

X = torch.rand(10, 40, 4)
Y = torch.arange(40) % 2


def net():
    return bridge.Sequential(nn.Linear(4, 8), bridge.LIF(8, beta=0.9), nn.Linear(8, 2))


MISTAKES = {
    "snnTorch's order of arguments": (
        lambda: bridge.LIF(0.9),
        "LIF: shape = 0.9; the number of neurons or their shape is the first argument",
    ),
    "a surrogate that was not called": (
        lambda: bridge.LIF(4, beta=0.9, spike_grad=surrogate.atan),
        r"write surrogate\.atan\(\)",
    ),
    "a tensor for a state": (
        lambda: bridge.LIF(4, beta=0.9)(X, torch.zeros(40, 4)),
        "the state is a Tensor; a dict of tensors .* with mem",
    ),
    "a list of states": (lambda: net()(X, [{}]), "the state is a list; a dict"),
    "layers that do not fit": (
        lambda: bridge.Sequential(nn.Linear(3, 8), bridge.LIF(8, beta=0.9))(X),
        r"module 0: Linear\(in_features=3, .* as \[400, 4\]: mat1 and mat2",
    ),
    "a torch module with a state": (
        lambda: bridge.Sequential(nn.LSTM(4, 8))(X),
        "module 0: LSTM returned a tuple, not a tensor",
    ),
    "flattening time, too": (
        lambda: bridge.Sequential(nn.Flatten(0), nn.Linear(4, 8))(X),
        r"module 0: Flatten.* returned \[1600\] for \[400, 4\].* keep the first dimension",
    ),
    "a connection before its neurons": (
        lambda: bridge.Recurrent(nn.Linear(4, 4), bridge.LIF(4, beta=0.9)),
        r"Recurrent: Linear\(.* is no layer of neurons",
    ),
    "a recurrent connection that changes the shape": (
        lambda: bridge.Recurrent(bridge.LIF(beta=0.9), nn.Conv2d(2, 2, 3))(X.view(10, 4, 2, 4, 5)),
        r"Conv2d.* returns \(4, 2, 2, 3\) for spikes of \(4, 2, 4, 5\).* keep the shape",
    ),
    "a state that was not taken off": (
        lambda: bridge.Linear(4, 3)(bridge.LIF(beta=0.9)(X)),
        r"Linear\(4, 3, .* not tuple\. Layers return two values: out, state = layer\(x\)",
    ),
    "layers in torch's container": (
        lambda: nn.Sequential(bridge.Linear(4, 3), bridge.LIF(beta=0.9))(X),
        r"LIF\(\): .* bridge\.Sequential passes the first one on; torch's nn\.Sequential cannot",
    ),
    "an array for a tensor": (
        lambda: bridge.DelayedLinear(4, 3, 5)(X.numpy()),
        r"DelayedLinear.* not ndarray\. Use torch\.from_numpy\(x\)",
    ),
    "an array for a convolution": (
        lambda: bridge.Conv1d(4, 3, 5)(X.numpy()),
        r"Conv1d.* not ndarray\. Use torch\.from_numpy\(x\)",
    ),
    "numbers of neurons that are none": (
        lambda: bridge.Linear(4.0, 3),
        "Linear: in_features = 4.0 must be a whole number of at least 1",
    ),
    "a list of modules": (
        lambda: bridge.Sequential([nn.Linear(4, 3)]),
        r"module 0 is .* no module\. Give modules one by one: Sequential\(\*modules\)",
    ),
    "a graph without names": (
        lambda: bridge.Graph([nn.Linear(4, 3)], []),
        "Graph: the modules are a list; a dict of modules by name is needed",
    ),
    "edges that are no pairs": (
        lambda: bridge.Graph({"fc": nn.Linear(4, 3)}, ["input", "fc"]),
        "Graph: the edge 'input' is no pair of names",
    ),
    "a class for a model": (
        lambda: bridge.fit(bridge.LIF, (X, Y), epochs=1),
        r"fit: the model is <class .*LIF'>; a module is needed \(an object, not its class\)",
    ),
    "one regulariser without a list": (
        lambda: bridge.fit(net(), (X, Y), epochs=1, regularisers=0.1),
        r"regularisers = 0\.1: a list of them is needed, such as \[RateRegulariser",
    ),
    "a loss that knows no time": (
        lambda: bridge.fit(net(), (X, Y), epochs=1, loss=nn.CrossEntropyLoss()),
        r"CrossEntropyLoss failed for the output .* = \[10, 40, 2\] .*\(out\.mean\(0\), target",
    ),
    "weights for a model": (
        lambda: bridge.to_network(net().state_dict(), 1.0),
        "to_network: the model is OrderedDict.* not a state_dict",
    ),
    "a shape that is none": (
        lambda: bridge.to_network(net(), 1.0, input_shape="4"),
        r"input_shape = '4'; the shape of one sample in one step is needed",
    ),
    "no sample": (
        lambda: bridge.to_network(net(), 1.0, sample=X.numpy()),
        r"to_network: sample has the type ndarray; a tensor \[T, B, \.\.\.\] is needed",
    ),
    "an optimiser by name": (
        lambda: bridge.fit(net(), (X, Y), epochs=1, optimizer="adam"),
        r"optimizer = 'adam': expected .* such as torch\.optim\.SGD",
    ),
    "events without steps of time": (
        lambda: bridge.fit(net(), datasets.SpokenDigits("test"), epochs=1),
        r"data: the recordings of SpokenDigits.* are events.* collate=.*sensor_size=\(70, 1, 1\)",
    ),
    "one size for a split": (
        lambda: datasets.split(datasets.SpokenDigits("test"), 0.9),
        r"such as \[0\.9, 0\.1\]",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_get_an_answer(mistake):
    make, message = MISTAKES[mistake]
    with pytest.raises(ParameterError, match=message):
        make()


def test_plurals_are_words():
    with pytest.raises(UnknownNameError, match=r"Losses: rate, count"):
        bridge.fit(net(), (X, Y), epochs=1, loss="crossentropy")
    with pytest.raises(UnknownNameError, match=r"Kinds of parameters: weights, delays"):
        bridge.fit(net(), (X, Y), epochs=1, learning_rate={"delay": 0.1})


def test_torchs_advice_to_load_without_checks_is_not_repeated(tmp_path):
    path = tmp_path / "objects.pt"
    torch.save({"an object": np.random.default_rng(0)}, path)
    with pytest.raises(ValueError, match="cannot be read as a checkpoint") as caught:
        bridge.load_checkpoint(path, net())
    assert "trusted source" not in str(caught.value)


def test_misspelt_names_carry_what_python_needs_to_suggest_others():
    for package, name in ((bridge, "LIFF"), (datasets, "NMnist")):
        with pytest.raises(AttributeError) as caught:
            getattr(package, name)
        assert caught.value.name == name
        assert caught.value.obj is package
