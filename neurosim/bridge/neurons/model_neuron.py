"""ModelNeuron: any declared neuron model as a layer that can be trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from neurosim.bridge.kernels.interpreter import evaluate
from neurosim.bridge.neurons.base import Neuron
from neurosim.bridge.neurons.lif import SpikeGrad
from neurosim.bridge.neurons.model_step import FULL, HALF, entry, model_step
from neurosim.errors import ModelError, ParameterError, unknown_name
from neurosim.expressions import Expression, affine, differentiate, symbols
from neurosim.lower.model import LoweredModel, lower_model
from neurosim.lower.propagator import Propagator, uniform
from neurosim.models.base import NeuronModel


class ModelNeuron(Neuron):
    """Neurons of any `NeuronModel`, built-in or the user's own, stepped as the engines step them.

    In each step the states are propagated (exactly where they are linear, else by the model's
    method), states of refractory neurons are held, the input of the step is added through the
    receptors, the threshold is tested and the reset applied. In double precision the spikes are
    those of ``engine="reference"`` for the same input: an amount in row t arrives at the end of
    step t + 1, at time (t + 1) dt.

    Parameters
    ----------
    model : NeuronModel
        With a fixed step: for models with ``method="rk45"`` give another one, as in
        ``aeif_cond_exp(method="rk4")``. Parameters are numbers or arrays of one value a neuron.
    dt : float
        Step [ms].
    shape : int or tuple of int, optional
        As in `LIF`.
    receptors : sequence of str, optional
        The receptors that get input, in the order of the input's third dimension (if there is
        one input only, that dimension is left out); default: all.
        Weights are applied before, also the sign or absolute value that a receptor expects.
    current : str, optional
        A parameter, such as ``"I_e"``, that the last input, ``"current"``, is added to during the
        step.
    learn : sequence of str
        Parameters of the model to learn, all at once in its equations, exact propagators,
        receptors, threshold and reset; in coherent units (ms, mV, pA, ...).
    initial : dict, optional
        Values of states to start from, instead of the model's own.
    spike_grad : Surrogate or callable, optional
    spike_scale : float, default 1
        The surrogate sees the distance to the threshold divided by it: with mV, for instance,
        ``V_th - E_L``.
    detach_reset : bool, default True
    stateful : bool, default False
        See `Neuron`. Beside the model's states a count of ``refractory`` steps is kept.

    Raises
    ------
    ModelError, ParameterError
        If the model is stochastic, adaptive in its step, has no threshold, or a name is unknown;
        in a forward pass, if a learnt value has left the bounds of its declaration.

    Examples
    --------
    >>> from neurosim.models import iaf_psc_exp
    >>> neuron = ModelNeuron(iaf_psc_exp(t_ref=0.0), dt=0.1, learn=["tau_m"])
    >>> out, state = neuron(torch.full((100, 1, 2, 1), 200.0))
    >>> int(out.sum()) > 0, sorted(state)
    (True, ['I_syn_ex', 'I_syn_in', 'V_m', 'refractory'])
    """

    def __init__(
        self,
        model: NeuronModel,
        dt: float,
        shape: int | Sequence[int] | None = None,
        *,
        receptors: Sequence[str] | None = None,
        current: str | None = None,
        learn: Sequence[str] = (),
        initial: Mapping[str, Any] | None = None,
        spike_grad: SpikeGrad = None,
        spike_scale: float = 1.0,
        detach_reset: bool = True,
        stateful: bool = False,
    ) -> None:
        lowered = _lowered(model, dt, receptors, current, learn, initial or {})
        if not spike_scale > 0:
            raise ParameterError(f"ModelNeuron: spike_scale = {spike_scale!r} must be > 0.")
        fixed = _fixed(lowered)
        step = model_step(lowered, fixed, scale=float(spike_scale), detach_reset=detach_reset)
        names = [r for r, _ in lowered.receptors] + ([] if current is None else ["current"])
        super().__init__(
            step, shape=shape, spike_grad=spike_grad, stateful=stateful, input_names=names
        )
        self.model, self.dt, self.learn = model, dt, tuple(learn)
        self._lowered = lowered
        for name in learn:
            if hasattr(self, name):
                raise ParameterError(
                    f"ModelNeuron: parameter {name!r} of {step.name} has the name of an attribute "
                    "of the layer; rename it to learn it."
                )
            self.hold(name, _tensor(lowered.values[name]), learn=True)
        self._kept = tuple(
            n for n in step.parameters if n not in self.learn and n not in self._derived()
        )
        for name in self._kept:
            self.register_buffer(f"fixed_{name}", _tensor(fixed[name]))
        for name, value in lowered.initial.items():
            self.register_buffer(f"initial_{name}", _tensor(uniform(value)))

    def coefficients(self) -> dict[str, torch.Tensor]:
        """Return the parameters of the step; what depends on a learnt one is recomputed."""
        self._check_learnt()
        found: dict[str, torch.Tensor] = {n: getattr(self, f"fixed_{n}") for n in self._kept}
        found |= {n: getattr(self, n) for n in self.learn if n in self.step.parameters}
        return found | {n: v for n, v in self._derived().items() if n in self.step.parameters}

    def extra_repr(self) -> str:
        """Return what the representation shows between the parentheses."""
        return ", ".join(filter(None, (self.step.name, super().extra_repr())))

    def _check_learnt(self) -> None:
        """Raise a ParameterError if a learnt value has left the bounds of its declaration."""
        for name in self.learn:
            declared = self.model.parameters[name]
            value = getattr(self, name).detach() / declared.parsed_unit.scale
            for edge in (float(value.min()), float(value.max())):
                problem = declared.violation(edge)
                if problem:
                    raise ParameterError(
                        f"{self.step.name}.{name} was learnt to {edge:g} {declared.unit}: "
                        f"{problem}. Use a smaller learning rate, or clamp it after each update."
                    )

    def _derived(self) -> dict[str, torch.Tensor]:
        """Return the coefficients that depend on learnt parameters, differentiably."""
        if not self.learn:
            return {}
        model, learnt = self._lowered, set(self.learn)
        values: dict[str, Any] = {"dt": self.dt}
        for name, value in model.values.items():
            values[name] = getattr(self, name) if name in learnt else _tensor(value)
        found: dict[str, torch.Tensor] = {}
        odes = {s: model.spec.odes[s] for s in model.linear}
        if any(symbols(e) & learnt for e in odes.values()):
            found |= _propagators(odes, values, self.dt, model.inject, FULL, model.full)
            if model.half is not None:
                found |= _propagators(odes, values, self.dt / 2, model.inject, HALF, model.half)
        for name, effects in model.receptors:
            statements = model.spec.receptors[name]
            for k, _ in enumerate(effects):
                if symbols(statements[k].value) & learnt:
                    factor = evaluate(statements[k].value, values | {"weight": 1.0})
                    found[entry("receptor", "factor", name, str(k))] = factor
        return found


def _tensor(value: Any) -> torch.Tensor:
    return torch.as_tensor(np.asarray(value, dtype=float)).clone()


def _lowered(
    model: NeuronModel,
    dt: float,
    receptors: Sequence[str] | None,
    current: str | None,
    learn: Sequence[str],
    initial: Mapping[str, Any],
) -> LoweredModel:
    """Return the model with numbers, checked for what a layer cannot do."""
    if not isinstance(model, NeuronModel):
        raise ParameterError(f"ModelNeuron: {model!r} is no NeuronModel; give an instance of one.")
    if not dt > 0:
        raise ParameterError(f"ModelNeuron: dt = {dt!r} ms must be > 0.")
    spec = model.spec
    for kind, names, known in (
        ("receptor", receptors or (), spec.receptors), ("parameter", learn, spec.parameters),
        ("parameter", () if current is None else (current,), spec.parameters),
        ("state", initial, spec.states),
    ):  # fmt: skip
        for name in names:
            if name not in known:
                raise unknown_name(kind, name, known, spec.name)
    if spec.refractory is not None and spec.refractory.duration in learn:
        raise ParameterError(
            f"ModelNeuron: {spec.refractory.duration} of {spec.name} counts steps, which has no "
            "derivative; it cannot be learnt."
        )
    values = {}
    for name, value in model.values.items():
        if hasattr(value, "draw"):
            raise ParameterError(
                f"ModelNeuron: {spec.name}.{name} is a distribution; give an array of one value a "
                "neuron."
            )
        values[name] = value * spec.parameters[name].parsed_unit.scale
    sizes = {np.size(v) for v in (*values.values(), *initial.values()) if np.ndim(v)}
    if len(sizes) > 1:
        raise ParameterError(f"ModelNeuron: {spec.name} has arrays of sizes {sorted(sizes)}.")
    lowered = lower_model(
        model, values, initial, sizes.pop() if sizes else 1, dt, current, receptors
    )
    if lowered.method == "rk45" and lowered.stepped:
        raise ModelError(
            f"ModelNeuron: {spec.name} adapts its step (method 'rk45'); a layer has a fixed one. "
            f"Write {spec.name}(method='rk4')."
        )
    if lowered.noise or lowered.full.noise:
        raise ModelError(
            f"ModelNeuron: {spec.name} has white noise (xi); a layer is deterministic."
        )
    if receptors is not None:
        order = dict(lowered.receptors)
        lowered = replace(lowered, receptors=tuple((r, order[r]) for r in receptors))
    if learn:  # what is zero now may be learnt to differ from it
        half = None if lowered.half is None else _filled(lowered.half)
        lowered = replace(lowered, full=_filled(lowered.full), half=half)
    return lowered


def _filled(p: Propagator) -> Propagator:
    """Return a propagator with all entries that its equations allow, zero or not."""
    reach = {(s, s) for s in p.states} | set(p.generator)
    while True:
        further = {(a, d) for a, b in reach for c, d in reach if b == c}
        if further <= reach:
            break
        reach |= further
    order = {s: k for k, s in enumerate(p.states)}
    keys = sorted(reach, key=lambda key: (order[key[0]], order[key[1]]))
    return replace(
        p, matrix={key: p.matrix.get(key, 0.0) for key in keys},
        offset={s: p.offset.get(s, 0.0) for s in p.states},
        injected={s: p.injected.get(s, 0.0) for s in p.states} if p.drive_injected else {},
    )  # fmt: skip


def _fixed(model: LoweredModel) -> dict[str, Any]:
    """Return every coefficient that the step may use, as the lowering computed it."""
    found: dict[str, Any] = dict(model.values)
    for prefix, p in ((FULL, model.full), (HALF, model.half)):
        if p is not None:
            found |= {entry(prefix, "matrix", *key): v for key, v in p.matrix.items()}
            found |= {entry(prefix, "offset", s): v for s, v in p.offset.items()}
            found |= {entry(prefix, "injected", s): v for s, v in p.injected.items()}
    for name, effects in model.receptors:
        found |= {
            entry("receptor", "factor", name, str(k)): factor
            for k, (_, factor) in enumerate(effects)
        }
    found[entry("receptor", "refractory_steps")] = model.refractory_steps
    return found


def _propagators(
    rhs: Mapping[str, Expression],
    values: Mapping[str, Any],
    h: float,
    inject: str | None,
    prefix: str,
    pattern: Propagator,
) -> dict[str, torch.Tensor]:
    """Return exp(A h) and its integral applied to the drive, as `linear_propagator` does."""
    states, m = tuple(rhs), len(rhs)
    zero = torch.zeros((), dtype=torch.float64)
    matrix: list[list[Any]] = [[zero] * m for _ in states]
    drive, injected = [zero] * m, [zero] * m
    for i, expression in enumerate(rhs.values()):
        parts = affine(expression, states, set(values))
        if parts is None:
            raise TypeError(f"{states[i]} is not affine")
        for column, slope in parts[0].items():
            matrix[i][states.index(column)] = _real(evaluate(slope, values))
        drive[i] = _real(evaluate(parts[1], values))
        by_current = None if inject is None else differentiate(parts[1], inject)
        if by_current is not None:
            injected[i] = _real(evaluate(by_current, values))
    entries = torch.broadcast_tensors(  # type: ignore[no-untyped-call]
        *(e for row in matrix for e in row), *drive, *injected
    )
    shape = entries[0].shape
    A = torch.stack(entries[: m * m], -1).reshape(*shape, m, m)
    b, k = (torch.stack(entries[j : j + m], -1) for j in (m * m, m * m + m))
    block = torch.zeros(*shape, 2 * m, 2 * m, dtype=A.dtype)
    block[..., :m, :m] = A * h
    block[..., :m, m:] = torch.eye(m, dtype=A.dtype) * h
    e = torch.linalg.matrix_exp(block)
    P, integral = e[..., :m, :m], e[..., :m, m:]
    offset, kick = ((integral @ v.unsqueeze(-1)).squeeze(-1) for v in (b, k))
    index = states.index
    return {
        **{entry(prefix, "matrix", r, c): P[..., index(r), index(c)] for r, c in pattern.matrix},
        **{entry(prefix, "offset", s): offset[..., index(s)] for s in pattern.offset},
        **{entry(prefix, "injected", s): kick[..., index(s)] for s in pattern.injected},
    }


def _real(value: Any) -> torch.Tensor:
    return torch.as_tensor(value, dtype=torch.float64)
