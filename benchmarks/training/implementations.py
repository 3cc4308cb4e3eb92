"""The networks of the cases in each library, with the same weights.

The readout is a leaky integrator in closed form (one product with the powers of its decay), so
that no library pays for its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from shapes import BETA, MAX_DELAY, Case
from torch import nn


class Model(NamedTuple):
    """What is measured.

    Attributes
    ----------
    run : callable
        Input [T, B, ...] to the readout [T, B, classes].
    parameters : list
        What Adam changes.
    rates : callable or None
        Input to the mean activity of the hidden layers.
    bare : callable or None
        ``bare(x, train)``: only the products.
    modules : sequence of modules
        What is moved to another device.
    """

    run: Callable[[torch.Tensor], torch.Tensor]
    parameters: list[nn.Parameter]
    rates: Callable[[torch.Tensor], list[float]] | None = None
    bare: Callable[[torch.Tensor, bool], None] | None = None
    modules: Sequence[nn.Module] = ()


def integrate(x: torch.Tensor) -> torch.Tensor:
    """Return the leaky integral of x [T, ...] over time."""
    t = torch.arange(x.shape[0], device=x.device)
    lag = (t[:, None] - t[None, :]).clamp(min=0)
    decay = torch.where(t[:, None] >= t[None, :], BETA ** lag.float(), 0.0)
    return (decay @ x.flatten(1)).view_as(x)


def _linears(case: Case) -> list[nn.Linear]:
    layers = []
    for w in case.weights():
        layer = nn.Linear(w.shape[1], w.shape[0], bias=False)
        layer.weight.data = torch.from_numpy(w.copy())
        layers.append(layer)
    return layers


def _load(layers: list[Any], weights: list[Any]) -> None:
    for layer, w in zip(layers, weights, strict=True):
        layer.weight.data = torch.from_numpy(w.copy())


# ---- the products alone


def floor(case: Case) -> Model:
    """Only the dense products of the layers, forward and (if training) backward."""
    if case.kind == "conv":
        return _conv_floor(case)
    if case.kind == "delays":
        return _delay_floor(case)
    weights = [torch.from_numpy(w) for w in case.weights()]

    def bare(x: torch.Tensor, train: bool) -> None:
        rows = x.flatten(0, 1)
        activity = [rows, *(rows.new_zeros(len(rows), w.shape[0]) for w in weights[:-1])]
        out = [a @ w.t() for a, w in zip(activity, weights, strict=True)]
        if train:
            for k, (a, w, g) in enumerate(zip(activity, weights, out, strict=True)):
                _ = g.t() @ a
                if k:
                    _ = g @ w

    return Model(lambda x: x, [], None, bare)


def _delay_floor(case: Case) -> Model:
    convs = [nn.Conv1d(w.shape[1], w.shape[0], MAX_DELAY + 1, bias=False) for w in case.weights()]

    def bare(x: torch.Tensor, train: bool) -> None:
        rows = x.permute(1, 2, 0)
        for k, conv in enumerate(convs):
            out = conv(nn.functional.pad(rows, (MAX_DELAY, 0)))
            if train:
                out.backward(torch.ones_like(out))
            rows = torch.zeros_like(out, requires_grad=k < 2)

    return Model(lambda x: x, [], None, bare)


def _conv_floor(case: Case) -> Model:
    one, two, last = (torch.from_numpy(w).requires_grad_() for w in case.kernels())

    def bare(x: torch.Tensor, train: bool) -> None:
        rows = x.flatten(0, 1)
        with torch.set_grad_enabled(train):
            a = nn.functional.conv2d(rows, one)
            b = nn.functional.conv2d(nn.functional.avg_pool2d(a, 2), two)
            out = nn.functional.avg_pool2d(b, 2).flatten(1) @ last.t()
        if train:
            out.backward(torch.ones_like(out))

    return Model(lambda x: x, [], None, bare)


# ---- neurosim


def neurosim(case: Case) -> Model:
    """Layers of this package."""
    from neurosim import bridge

    if case.kind == "conv":
        weights = case.kernels()
        layers = [bridge.Conv2d(2, 12, 5, bias=False), bridge.Conv2d(12, 32, 5, bias=False),
                  bridge.Linear(800, 10, bias=False)]  # fmt: skip
        parts = [layers[0], nn.AvgPool2d(2), bridge.LIF(beta=BETA), layers[1], nn.AvgPool2d(2),
                 bridge.LIF(beta=BETA), nn.Flatten(), layers[2], bridge.LI(beta=BETA)]  # fmt: skip
    else:
        weights = case.weights()
        if case.kind == "delays":
            layers = [bridge.DelayedLinear(w.shape[1], w.shape[0], MAX_DELAY) for w in weights]
            for layer, d in zip(layers, case.delays(), strict=True):
                layer.delay.data = torch.from_numpy(d)
        else:
            layers = [bridge.Linear(w.shape[1], w.shape[0], bias=False) for w in weights]
        parts = [layers[0], bridge.LIF(beta=BETA), layers[1], bridge.LIF(beta=BETA), layers[2],
                 bridge.LI(beta=BETA)]  # fmt: skip
    _load(layers, weights)
    net = bridge.Sequential(*parts)

    def rates(x: torch.Tensor) -> list[float]:
        seen: list[float] = []
        hooks = [
            p.register_forward_hook(lambda m, i, o: seen.append(float(o[0].mean())))
            for p in parts
            if isinstance(p, bridge.LIF)
        ]
        with torch.no_grad():
            net(x)
        for hook in hooks:
            hook.remove()
        return seen

    return Model(lambda x: net(x)[0], list(net.parameters()), rates, modules=[net])


# ---- snnTorch


def snntorch(case: Case) -> Model:
    """The loop of snnTorch's tutorials."""
    import snntorch as snn

    hidden = [snn.Leaky(beta=BETA), snn.Leaky(beta=BETA)]
    if case.kind == "conv":
        layers: list[Any] = [nn.Conv2d(2, 12, 5, bias=False), nn.Conv2d(12, 32, 5, bias=False),
                             nn.Linear(800, 10, bias=False)]  # fmt: skip
        _load(layers, case.kernels())
        pool, flat = nn.AvgPool2d(2), nn.Flatten()
        stages = [lambda z: pool(layers[0](z)), lambda z: pool(layers[1](z)),
                  lambda z: layers[2](flat(z))]  # fmt: skip
    else:
        layers = _linears(case)
        stages = layers
    seen = [0.0, 0.0]

    def run(x: torch.Tensor) -> torch.Tensor:
        memories = [lif.reset_mem() for lif in hidden]
        out = []
        seen[:] = [0.0, 0.0]
        for z in x.unbind(0):
            for k, lif in enumerate(hidden):
                z, memories[k] = lif(stages[k](z), memories[k])
                if not torch.is_grad_enabled():
                    seen[k] += float(z.mean()) / len(x) if recording else 0.0
            out.append(stages[2](z))
        return integrate(torch.stack(out))

    recording = False

    def rates(x: torch.Tensor) -> list[float]:
        nonlocal recording
        recording = True
        with torch.no_grad():
            run(x)
        return list(seen)

    parameters = [p for m in layers for p in m.parameters()]
    return Model(run, parameters, rates, modules=[*layers, *hidden])


# ---- SpikingJelly


def spikingjelly(case: Case) -> Model:
    """Multi-step modules of SpikingJelly."""
    from spikingjelly.activation_based import functional, layer

    if case.kind == "conv":
        layers: list[Any] = [
            layer.Conv2d(2, 12, 5, bias=False), layer.Conv2d(12, 32, 5, bias=False),
            nn.Linear(800, 10, bias=False),
        ]  # fmt: skip
        _load(layers, case.kernels())
        lifs = [_jelly_lif(), _jelly_lif()]
        net = nn.Sequential(layers[0], layer.AvgPool2d(2), lifs[0], layers[1], layer.AvgPool2d(2),
                            lifs[1], layer.Flatten(), layers[2])  # fmt: skip
    else:
        layers = _linears(case)
        lifs = [_jelly_lif(), _jelly_lif()]
        net = nn.Sequential(layers[0], lifs[0], layers[1], lifs[1], layers[2])
    functional.set_step_mode(net, "m")

    def run(x: torch.Tensor) -> torch.Tensor:
        functional.reset_net(net)
        return integrate(net(x))

    return Model(run, list(net.parameters()), _jelly_rates(run, lifs), modules=[net])


def _jelly_lif() -> nn.Module:
    from spikingjelly.activation_based import neuron, surrogate

    return neuron.LIFNode(
        tau=1.0 / (1.0 - BETA), decay_input=False, v_threshold=1.0, v_reset=None,
        surrogate_function=surrogate.ATan(alpha=2.0), detach_reset=True, step_mode="m",
    )  # fmt: skip


def _jelly_rates(
    run: Callable[[torch.Tensor], torch.Tensor], lifs: list[nn.Module]
) -> Callable[[torch.Tensor], list[float]]:
    def rates(x: torch.Tensor) -> list[float]:
        seen: list[float] = []
        hooks = [
            m.register_forward_hook(lambda m, i, o: seen.append(float(o.mean()))) for m in lifs
        ]
        with torch.no_grad():
            run(x)
        for hook in hooks:
            hook.remove()
        return seen

    return rates


def dcls(case: Case) -> Model:
    """Dilated convolutions with learnable spacings and SpikingJelly's neurons."""
    from DCLS.construct.modules import Dcls1d
    from spikingjelly.activation_based import functional

    lifs = [_jelly_lif(), _jelly_lif()]
    convs = []
    for w, d in zip(case.weights(), case.delays(), strict=True):
        conv = Dcls1d(w.shape[1], w.shape[0], kernel_count=1, bias=False, version="gauss",
                      dilated_kernel_size=MAX_DELAY + 1)  # fmt: skip
        conv.weight.data = torch.from_numpy(w.copy())[..., None]
        conv.P.data = (MAX_DELAY / 2 - torch.from_numpy(d)).view_as(conv.P)
        conv.SIG.data.fill_(0.23)
        convs.append(conv)

    def run(x: torch.Tensor) -> torch.Tensor:
        for lif in lifs:
            functional.reset_net(lif)
        for k, conv in enumerate(convs):
            rows = nn.functional.pad(x.permute(1, 2, 0), (MAX_DELAY, 0))
            x = conv(rows).permute(2, 0, 1)
            if k < len(lifs):
                x = lifs[k](x)
        return integrate(x)

    parameters = [p for c in convs for p in (c.weight, c.P)]
    return Model(run, parameters, _jelly_rates(run, lifs), modules=[*convs, *lifs])


BUILDERS: dict[str, Callable[[Case], Model]] = {
    "floor": floor, "neurosim": neurosim, "snntorch": snntorch, "spikingjelly": spikingjelly,
    "dcls": dcls,
}  # fmt: skip
