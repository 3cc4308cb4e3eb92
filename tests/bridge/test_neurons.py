"""Neuron layers: their equations, states, and life inside PyTorch."""

from __future__ import annotations

import copy
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from neurosim import bridge
from neurosim.bridge import surrogate
from neurosim.bridge.layer import Layer
from neurosim.errors import ParameterError, UnknownNameError

T, B, N = 20, 4, 6


def current(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# --- equations -----------------------------------------------------------------------------------


def test_a_constant_current_fires_at_the_closed_form_time():
    # without reset mem[t] = I (1 - beta^(t+1))/(1 - beta): first above 1 at the first t with
    # beta^(t+1) < 1 - (1 - beta)/I
    beta, I = 0.9, 0.15
    out, _ = bridge.LIF(beta=beta)(torch.full((60, 1, 1), I))
    first = int(torch.nonzero(out.flatten())[0])
    assert first + 1 == int(np.ceil(np.log(1 - (1 - beta) / I) / np.log(beta)))


@pytest.mark.parametrize("symplectic", [True, False])
def test_adlif_is_the_published_recursion(symplectic: bool):
    neuron = bridge.AdLIF(
        N, tau_u=8.0, tau_w=40.0, a=0.6, b=1.1, q=3.0, threshold=0.2, symplectic=symplectic
    )
    x = current(200, B, N).double()
    with torch.no_grad():
        trace = neuron.traces(x)
    alpha, beta = np.exp(-1 / 8), np.exp(-1 / 40)
    u = w = np.zeros((B, N))
    for t, row in enumerate(x.numpy()):
        before = u
        v = alpha * u + (1 - alpha) * (row - w)
        z = (v > 0.2).astype(float)
        u = v * (1 - z)
        w = beta * w + (1 - beta) * 3 * (0.6 * (u if symplectic else before) + 1.1 * z)
        assert np.array_equal(trace["spk"][t].numpy(), z)
        assert np.allclose(trace["w"][t].numpy(), w, atol=1e-5)
    assert trace["spk"].mean() > 0.01


def test_adlif_ranges_hold_what_is_learnt():
    neuron = bridge.AdLIF(500, tau_u=(5.0, 25.0), learn=True)
    tau = neuron.value("tau_u")
    assert 5 <= tau.min() < 8 < 22 < tau.max() <= 25
    neuron.place_tau_u.data += 10
    assert (neuron.value("tau_u") == 25).all()
    assert {n for n, _ in neuron.named_parameters()} == {
        "place_tau_u", "place_tau_w", "place_a", "place_b",
    }  # fmt: skip


def test_alif_spaces_its_spikes_further_and_further():
    out, _ = bridge.ALIF(beta=0.9, rho=0.98, kappa=0.5)(torch.full((300, 1, 1), 0.4))
    intervals = np.diff(np.flatnonzero(out.numpy()))
    assert len(intervals) > 5
    assert intervals[0] < intervals[3] <= intervals[-1]


def test_dendritic_branches_filter_their_own_input():
    alpha = torch.tensor([0.5, 0.9])
    neuron = bridge.DendriticLIF(2, 3, alpha=alpha, beta=0.8, reset="none")
    x = torch.zeros(T, 1, 2, 3)
    x[0, 0, 0, 0] = x[0, 0, 1, 1] = 1.0
    mem = neuron.traces(x)["mem"][:, 0]
    t = torch.arange(1.0, T + 1)
    for k, a in enumerate(alpha.tolist()):
        # d = (1 - a) a^t filtered by the membrane: (1-a)(1-b) (b^(t+1) - a^(t+1))/(b - a)
        expected = (1 - a) * 0.2 * (0.8**t - a**t) / (0.8 - a)
        assert torch.allclose(mem[:, k], expected, atol=1e-6)
    assert (mem[:, 2] == 0).all()


def test_dendritic_input_by_name_equals_the_stacked_one():
    neuron = bridge.DendriticLIF(3, alpha=0.5, beta=0.8, learn_alpha=True)
    x = current(T, B, 3, N)
    out, _ = neuron(x)
    assert torch.equal(neuron({f"x{k}": x[:, :, k] for k in range(3)})[0], out)
    zeroed = x.clone()
    zeroed[:, :, 1:] = 0
    assert torch.equal(neuron({"x0": x[:, :, 0]})[0], neuron(zeroed)[0])
    out.sum().backward()
    assert neuron.alpha.grad.shape == (3,)
    assert (neuron.alpha.grad != 0).all()


def test_time_constants_are_exact_decays():
    assert bridge.LIF(tau=20.0, dt=1.0).beta.item() == pytest.approx(np.exp(-1 / 20))
    assert bridge.LI(tau=[5.0, 10.0], dt=0.5).beta.tolist() == pytest.approx(
        [np.exp(-0.1), np.exp(-0.05)]
    )


# --- shapes and errors ---------------------------------------------------------------------------


def test_convolutional_layers_and_their_parameters():
    x = current(T, B, 3, 5, 4)
    beta = torch.tensor([0.5, 0.7, 0.9]).reshape(3, 1, 1)
    out, state = bridge.LIF((3, 5, 4), beta=beta, learn_beta=True)(x)
    assert out.shape == x.shape
    assert state["mem"].shape == (B, 3, 5, 4)
    for c in range(3):
        assert torch.equal(out[:, :, c], bridge.LIF(beta=beta[c].item())(x[:, :, c])[0])


@pytest.mark.parametrize("shape", [(0, B, N), (1, B, N), (T, 0, N), (T, B), (T, B, 0)])
def test_the_smallest_sequences(shape: tuple[int, ...]):
    x = torch.ones(shape, requires_grad=True)
    out, state = bridge.LIF(beta=0.9)(x)
    assert out.shape == x.shape
    assert state["mem"].shape == shape[1:]
    (out.sum() + state["mem"].sum()).backward()
    assert x.grad is not None
    assert x.grad.shape == x.shape


def test_non_contiguous_input_is_the_same_input():
    x = current(B, N, T).permute(2, 0, 1)
    assert not x.is_contiguous()
    assert torch.equal(bridge.LIF(beta=0.9)(x)[0], bridge.LIF(beta=0.9)(x.contiguous())[0])


def test_errors_name_the_layer_and_the_remedy():
    layer = bridge.LIF(N, beta=0.9)
    with pytest.raises(
        ParameterError,
        match=r"LIF\(shape=\(6,\)\): the input has shape \(4, 6, 20\); \[T, B, 6\] is needed, .*"
        r"transpose\(0, 1\)",
    ):
        layer(torch.zeros(B, N, T))
    with pytest.raises(ParameterError, match="add the missing dimension"):
        layer(torch.zeros(B, N))
    with pytest.raises(ParameterError, match=r"the input is torch.int64; a float tensor"):
        layer(torch.zeros(T, B, N, dtype=torch.int64))
    with pytest.raises(UnknownNameError, match=r"has no state 'V'. States: mem"):
        layer(torch.zeros(T, B, N), {"V": torch.zeros(B, N)})
    with pytest.raises(ParameterError, match=r"state 'mem' has shape \(3, 6\), .*reset\(model\)"):
        layer(torch.zeros(T, B, N), {"mem": torch.zeros(3, N)})
    with pytest.raises(ParameterError, match=r"beta has shape \(5,\), which does not fit .*\(6,\)"):
        bridge.LIF(N, beta=torch.ones(5))
    with pytest.raises(ParameterError, match="beta = nan is not finite"):
        bridge.LIF(beta=float("nan"))
    with pytest.raises(ParameterError, match="LIF: give either beta"):
        bridge.LIF()
    with pytest.raises(ParameterError, match="reset = 'hard' is not one of subtract, zero"):
        bridge.LIF(beta=0.9, reset="hard")
    with pytest.raises(ParameterError, match=r"tau = -1.0 and dt = 1.0 must be > 0"):
        bridge.LIF(tau=-1.0)
    with pytest.raises(ParameterError, match="0 < beta < alpha < 1 is needed"):
        bridge.AlphaLIF(alpha=0.5, beta=0.6)
    with pytest.raises(ParameterError, match=r"\[T, B, 2, ...\] is needed, with one slice for"):
        bridge.DendriticLIF(2, alpha=0.5, beta=0.5)(torch.zeros(T, B, 3, N))
    with pytest.raises(ParameterError, match=r"Recurrent: .* not be stateful itself"):
        bridge.Recurrent(bridge.LIF(beta=0.9, stateful=True), nn.Linear(N, N))
    with pytest.raises(ParameterError, match="a square connection of n are needed"):
        bridge.Recurrent(bridge.LIF(beta=0.9), nn.Linear(N, N))(torch.zeros(T, B, 5))
    net = bridge.Sequential(nn.Linear(3, 4), bridge.LIF(5, beta=0.9))
    with pytest.raises(ParameterError, match=r"module 1: LIF\(shape=\(5,\)\): the input has shape"):
        net(torch.zeros(T, B, 3))


def test_nan_is_passed_on():
    x = torch.ones(T, 1, 2)
    x[3, 0, 0] = torch.nan
    mem = bridge.LI(beta=0.9)(x)[0]
    assert mem[3:, 0, 0].isnan().all()
    assert mem[:, 0, 1].isfinite().all()


# --- state ---------------------------------------------------------------------------------------

LAYERS = {
    "LIF": lambda **o: bridge.LIF(beta=0.9, **o),
    "Recurrent": lambda **o: bridge.Recurrent(bridge.LIF(beta=0.9), fixed_linear(), **o),
    "Recurrent each": lambda **o: bridge.Recurrent(bridge.LIF(beta=0.9), torch.tensor(-0.5), **o),
    "Recurrent any": lambda **o: bridge.Recurrent(
        bridge.LIF(beta=0.9), nn.Sequential(fixed_linear(), nn.Tanh()), **o
    ),
}


def fixed_linear() -> nn.Linear:
    linear = nn.Linear(N, N)
    with torch.no_grad():
        linear.weight.copy_(current(N, N, seed=5))
    nn.init.zeros_(linear.bias)
    return linear


@pytest.mark.parametrize("kind", LAYERS)
def test_a_stateful_layer_goes_on_where_it_was(kind: str):
    x = current(T, B, N)
    whole, _ = LAYERS[kind]()(x)
    assert 0.02 < whole.mean() < 0.9
    layer = LAYERS[kind](stateful=True)
    parts = [layer(piece)[0] for piece in x.split(7)]
    assert torch.equal(torch.cat(parts), whole)
    bridge.reset(nn.Sequential(nn.Sequential(layer)))
    assert torch.equal(layer(x)[0], whole)
    assert torch.equal(layer(x, {})[0], whole), "an explicit state comes before the running one"
    # the running state travels in state_dict, pickles and copies, whatever its batch size
    fresh = LAYERS[kind](stateful=True)
    fresh.load_state_dict(layer.state_dict())
    again = pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer), fresh
    expected = layer(x)[0]
    assert not torch.equal(expected, whole)
    for other in again:
        assert torch.equal(other(x)[0], expected)
    with pytest.raises(ParameterError, match=r"call neurosim\.bridge\.reset"):
        layer(current(T, B + 1, N))


def test_a_running_state_is_cut_from_the_graph():
    layer = bridge.LIF(beta=0.9, learn_beta=True, stateful=True)
    for _ in range(2):  # would ask for retain_graph otherwise
        layer(current(T, B, N))[0].sum().backward()


def test_stateless_layers_carry_no_state_in_state_dict():
    assert set(bridge.LIF(beta=0.9).state_dict()) == {"beta", "threshold", "graded_spikes_factor"}


def test_traces_are_what_the_steps_return_and_differentiate():
    layer = bridge.CubaLIF(alpha=0.6, beta=0.8)
    x = current(T, B, N).requires_grad_()
    traces = layer.traces(x)
    out, state = layer(x)
    assert torch.equal(traces["spk"], out)
    for name in ("syn", "mem"):
        assert torch.equal(traces[name][-1], state[name])
        assert torch.equal(traces[name][9], layer(x[:10])[1][name])
    (by_trace,) = torch.autograd.grad(traces["mem"][-1].sum(), x, retain_graph=True)
    (by_state,) = torch.autograd.grad(state["mem"].sum(), x)
    assert torch.equal(by_trace, by_state)


def test_recurrence_with_delays_carries_what_is_on_its_way():
    torch.manual_seed(0)
    delayed = bridge.DelayedLinear(N, N, max_delay=5)
    layer = bridge.Recurrent(bridge.LIF(beta=0.9), delayed)
    x = current(T, B, N).requires_grad_()
    out, _ = layer(x)
    first, between = layer(x[:7])
    rest, _ = layer(x[7:], between)
    assert torch.equal(torch.cat([first, rest]), out)
    # the total current is the input and what the connection makes of the spikes a step before
    shifted = torch.cat([torch.zeros(1, B, N), out[:-1]]).detach()
    expected, _ = bridge.LIF(beta=0.9)(x + delayed(shifted)[0])
    assert torch.equal(out, expected)
    out.sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in layer.parameters())


def test_a_state_that_is_no_tensor_cannot_be_kept():
    class Echo(Layer):
        """A connection that counts its calls."""

        def forward(self, x, state=None):
            return x, {"calls": (state or {"calls": 0})["calls"] + 1}

    x = current(T, B, N)
    assert bridge.Recurrent(bridge.LIF(beta=0.9), Echo())(x)[1]["connection"] == {"calls": T}
    with pytest.raises(ParameterError, match="state 'connection/calls' is a int, which cannot be"):
        bridge.Recurrent(bridge.LIF(beta=0.9), Echo(), stateful=True)(x)


def test_event_batches_enter_a_sequential():
    class Batch:
        ptr = np.array([0, 1, 1, 3])
        index = np.array([2, 0, 3], np.int32)
        shape = (3, 1, 4)

    dense = torch.zeros(3, 1, 4)
    dense[0, 0, 2] = dense[2, 0, 0] = dense[2, 0, 3] = 1
    for linear in (nn.Linear(4, 2), bridge.Linear(4, 2)):
        net = bridge.Sequential(linear, bridge.LI(beta=0.9))
        assert torch.allclose(net(Batch())[0], net(dense)[0])


# --- PyTorch -------------------------------------------------------------------------------------


def model() -> bridge.Sequential:
    torch.manual_seed(4)
    return bridge.Sequential(
        nn.Linear(8, 12), bridge.LIF(beta=0.9, learn_beta=True),
        nn.Linear(12, N), bridge.Recurrent(bridge.LIF(beta=0.8), nn.Linear(N, N)),
        nn.Linear(N, 3), bridge.LI(beta=0.9),
    )  # fmt: skip


def test_autocast_computes_neurons_in_single_precision():
    net, x = model(), current(T, B, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out, states = net(x)
        spikes, _ = net[1](net[0](x.flatten(0, 1)).unflatten(0, (T, B)))
    assert spikes.dtype == torch.bfloat16  # exact: 0 or 1
    assert out.dtype == states["1"]["mem"].dtype == torch.float32
    exact, _ = net(x)
    assert (out - exact).abs().mean() < 0.2 * exact.abs().mean()
    out.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_a_compiled_model_gives_the_same():
    net, x = model(), current(T, B, 8)
    compiled = torch.compile(net, backend="eager")
    out, _ = compiled(x)
    assert torch.equal(out, net(x)[0])
    out.sum().backward()
    assert net[1].beta.grad is not None


def train_distributed(folder: Path) -> None:
    """Write the gradients of `model` in a process group of one."""
    torch.set_num_threads(1)
    net, x = model(), current(T, B, 8)
    distributed = torch.distributed
    distributed.init_process_group("gloo", f"file://{folder}/store", world_size=1, rank=0)
    twin = nn.parallel.DistributedDataParallel(net)
    twin(x)[0].square().sum().backward()
    torch.save([p.grad for p in net.parameters()], folder / "gradients.pt")
    del twin
    distributed.destroy_process_group()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_distributed_training_gives_the_same_gradients(tmp_path: Path, processes):
    if not torch.distributed.is_available():
        pytest.skip("this PyTorch has no distributed package")
    net, x = model(), current(T, B, 8)
    net(x)[0].square().sum().backward()
    # a process of its own: ending a group that other Python threads surround can hang
    child = processes.Process(target=train_distributed, args=(tmp_path,))
    child.start()
    child.join(120)
    assert child.exitcode == 0
    gradients = torch.load(tmp_path / "gradients.pt")
    for a, b in zip(net.parameters(), gradients, strict=True):
        assert torch.allclose(a.grad, b)


def test_a_network_learns():
    torch.manual_seed(0)
    net = bridge.Sequential(
        nn.Linear(8, 32), bridge.LIF(beta=0.9), nn.Linear(32, 2), bridge.LI(beta=0.9)
    )
    x = (torch.rand(T, 32, 8) < 0.3).float()
    target = (x[: T // 2].sum((0, 2)) > x[T // 2 :].sum((0, 2))).long()
    optimiser = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(80):
        optimiser.zero_grad()
        out, _ = net(x)
        loss = nn.functional.cross_entropy(out.mean(0), target)
        loss.backward()
        optimiser.step()
    assert (out.mean(0).argmax(1) == target).float().mean() > 0.9


def test_inference_and_double_precision():
    layer = bridge.LIF(beta=0.9)
    x = current(T, B, N)
    with torch.inference_mode():
        out, _ = layer(x)
    assert torch.equal(out, layer(x)[0])
    assert layer(x.double())[0].dtype == torch.float64


def test_a_surrogate_that_is_no_formula_still_trains():
    class Own(torch.autograd.Function):
        @staticmethod
        def forward(ctx, u):
            ctx.save_for_backward(u)
            return (u > 0).to(u.dtype)

        @staticmethod
        def backward(ctx, g):
            return g / (1 + (torch.pi * ctx.saved_tensors[0]) ** 2)

    x = current(T, B, N).double().requires_grad_()
    for make in (
        lambda **o: bridge.LIF(beta=0.9, **o),
        lambda **o: bridge.Recurrent(bridge.LIF(beta=0.9, **o), fixed_linear().double()),
    ):
        with pytest.warns(UserWarning, match="steps through time in plain PyTorch"):
            slow = make(spike_grad=Own.apply)
        ours = [torch.autograd.grad(layer(x)[0].square().sum(), x)[0]
                for layer in (slow, make(spike_grad=surrogate.atan()))]  # fmt: skip
        assert torch.allclose(*ours, rtol=1e-10)


def test_many_compiled_layers_are_called_as_they_are():
    # more layers than the compiler keeps versions of a function; shapes and gradients change
    net = bridge.Sequential(*(
        part for k in range(10) for part in (nn.Linear(N, N), bridge.LIF(beta=0.5 + 0.04 * k))
    ))  # fmt: skip
    before = net(current(T, B, N))[0]
    compiled = torch.compile(net, backend="eager")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The .grad attribute of a Tensor that is not a leaf")
        for n in (T, T, T + 3):
            x = current(n, B, N)
            out = compiled(x)[0]
            assert torch.equal(out, net(x)[0])
            out.sum().backward()
    assert torch.equal(compiled(current(T, B, N))[0], before)
