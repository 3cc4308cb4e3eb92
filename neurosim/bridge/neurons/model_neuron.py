"""ModelNeuron: any declared neuron model as a layer that can be trained."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from neurosim.bridge.kernels.interpreter import evaluate
from neurosim.bridge.neurons.base import Neuron
from neurosim.bridge.neurons.lif import SpikeGrad
from neurosim.bridge.neurons.model_propagators import propagators
from neurosim.bridge.neurons.model_step import (
    FULL,
    HALF,
    entry,
    model_step,
    noise_of,
    noise_sources,
)
from neurosim.errors import ModelError, ParameterError, unknown_name
from neurosim.expressions import Expression, differentiate, substitute, symbols
from neurosim.expressions.tree import ZERO, is_zero
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
        ``aeif_cond_exp(method="rk4")``. Parameters are numbers, or arrays of one value a neuron
        (of a layer with several dimensions in the order of C, or of its last dimension only).
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
        Values of states to start from, instead of the model's own; arrays like parameters, or of
        the shape of the layer.
    spike_grad : Surrogate or callable, optional
    spike_scale : float, default 1
        The surrogate sees the distance to the threshold divided by it: with mV, for instance,
        ``V_th - E_L``.
    detach_reset : bool, default True
    generator : torch.Generator, optional
        Where white noise (``xi``) is drawn from; default: torch's own, so that
        ``torch.manual_seed`` fixes it.
    stateful : bool, default False
        See `Neuron`. Beside the model's states a count of ``refractory`` steps is kept.

    Raises
    ------
    ModelError, ParameterError
        If the model adapts its step, has no threshold, or a name is unknown;
        in a forward pass, if a learnt value has left the bounds of its declaration.

    Notes
    -----
    White noise is drawn anew in every call, one standard normal number a step, neuron and source,
    and scaled by the exact covariance of the linear states (for others by sqrt(dt)): gradients
    reach learnt parameters through the scale. Those draws are not those of the engines.

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
        generator: torch.Generator | None = None,
        stateful: bool = False,
    ) -> None:
        layout = _Layout.of(model, initial or {}, shape)
        lowered = _lowered(model, dt, receptors, current, learn, initial or {}, layout)
        if not spike_scale > 0:
            raise ParameterError(f"ModelNeuron: spike_scale = {spike_scale!r} must be > 0.")
        fixed = _fixed(lowered)
        step = model_step(lowered, fixed, scale=float(spike_scale), detach_reset=detach_reset)
        names = [r for r, _ in lowered.receptors] + ([] if current is None else ["current"])
        super().__init__(
            step, shape=shape, spike_grad=spike_grad, stateful=stateful, input_names=names
        )
        self.model, self.dt, self.learn = model, dt, tuple(learn)
        self.generator = generator
        self.drawn_inputs = tuple(noise_of(source) for source in noise_sources(lowered))
        self._lowered, self._layout = lowered, layout
        for name in learn:
            if hasattr(self, name):
                raise ParameterError(
                    f"ModelNeuron: parameter {name!r} of {step.name} has the name of an attribute "
                    "of the layer; rename it to learn it."
                )
            self.hold(name, self._tensor(lowered.values[name]), learn=True)
        self._kept = tuple(
            n for n in step.parameters if n not in self.learn and n not in self._derived()
        )
        for name in self._kept:
            self.register_buffer(f"fixed_{name}", self._tensor(fixed[name]))
        for name, value in lowered.initial.items():
            self.register_buffer(f"initial_{name}", self._tensor(uniform(value)))

    def coefficients(self) -> dict[str, torch.Tensor]:
        """Return the parameters of the step; what depends on a learnt one is recomputed."""
        self._check_learnt()
        found: dict[str, torch.Tensor] = {n: getattr(self, f"fixed_{n}") for n in self._kept}
        found |= {n: getattr(self, n) for n in self.learn if n in self.step.parameters}
        return found | {n: v for n, v in self._derived().items() if n in self.step.parameters}

    def _tensor(self, value: Any) -> torch.Tensor:
        """Return a coefficient of the lowering: one number, or the shape of the model's arrays."""
        tensor = torch.as_tensor(np.asarray(value, dtype=float)).clone()
        return tensor.reshape(self._layout.common) if tensor.dim() else tensor

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
        device = getattr(self, self.learn[0]).device
        values: dict[str, Any] = {"dt": self.dt}
        for name, value in model.values.items():
            held = name in learnt
            values[name] = getattr(self, name) if held else self._tensor(value).to(device)
        found: dict[str, torch.Tensor] = {}
        odes = {s: substitute(model.spec.odes[s], {"xi": ZERO}) for s in model.linear}
        noise = _noise_factors(model)
        equations = (*odes.values(), *(noise[s] for s in odes if s in noise))
        if any(symbols(e) & learnt for e in equations):
            found |= propagators(odes, values, self.dt, model.inject, FULL, model.full, noise)
            if model.half is not None:
                found |= propagators(odes, values, self.dt / 2, model.inject, HALF, model.half, {})
        for s in model.noise:
            if symbols(noise[s]) & learnt:
                found[entry("stepped", "noise", s)] = evaluate(noise[s], values) * self.dt**0.5
        for name, effects in model.receptors:
            statements = model.spec.receptors[name]
            for k, _ in enumerate(effects):
                if symbols(statements[k].value) & learnt:
                    factor = evaluate(statements[k].value, values | {"weight": 1.0})
                    found[entry("receptor", "factor", name, str(k))] = factor
        return found


@dataclass(frozen=True)
class _Layout:
    """How the arrays of a model lie in a layer: the lowering knows one dimension only."""

    shape: tuple[int, ...] | None
    common: tuple[int, ...] = ()

    @classmethod
    def of(cls, model: Any, initial: Mapping[str, Any], shape: Any) -> _Layout:
        """Return the layout whose `common` shape all arrays of a model have together."""
        if not isinstance(model, NeuronModel):
            raise ParameterError(
                f"ModelNeuron: {model!r} is no NeuronModel; give an instance of one."
            )
        layer = None if shape is None else tuple(np.atleast_1d(shape).tolist())
        plain = cls(layer)
        given = {**model.values, **initial}
        found = {n: plain.placed(v).shape for n, v in given.items()
                 if np.ndim(v) and not hasattr(v, "draw")}  # fmt: skip
        try:
            return cls(layer, np.broadcast_shapes(*found.values()))
        except ValueError as error:
            listed = ", ".join(f"{name} {size}" for name, size in found.items())
            raise ParameterError(
                f"ModelNeuron: {model.spec.name} has arrays that do not fit together: {listed}."
            ) from error

    def placed(self, value: Any) -> np.ndarray:
        """Return an array of one value a neuron with the shape of the layer, others as they are."""
        array = np.asarray(value)
        if self.shape is not None and array.shape == (math.prod(self.shape),):
            return array.reshape(self.shape)
        return array

    def flat(self, value: Any) -> Any:
        """Return an array as the lowering takes it."""
        if not np.ndim(value):
            return value
        return np.broadcast_to(self.placed(value), self.common).ravel()


def _noise_factors(model: LoweredModel) -> dict[str, Expression]:
    """Return what multiplies xi, by state."""
    factors = {s: differentiate(e, "xi") for s, e in model.spec.odes.items()}
    return {s: e for s, e in factors.items() if e is not None and not is_zero(e)}


def _lowered(
    model: NeuronModel,
    dt: float,
    receptors: Sequence[str] | None,
    current: str | None,
    learn: Sequence[str],
    initial: Mapping[str, Any],
    layout: _Layout,
) -> LoweredModel:
    """Return the model with numbers, checked for what a layer cannot do."""
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
        values[name] = layout.flat(value) * spec.parameters[name].parsed_unit.scale
    starts = {name: layout.flat(value) for name, value in initial.items()}
    if model.method == "rk45" and spec.odes:
        raise ModelError(
            f"ModelNeuron: {spec.name} adapts its step (method 'rk45'), and all neurons of a layer "
            f"take the same. Write {spec.name}(method='rk4'), 'heun' or 'exponential_euler', with "
            "a dt that resolves its fastest time constant."
        )
    lowered = lower_model(model, values, starts, math.prod(layout.common), dt, current, receptors)
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
        noise={
            (a, b): p.noise.get((a, b), 0.0)
            for i, a in enumerate(p.states) for b in p.states[: i + 1]
        } if p.noise else {},
    )  # fmt: skip


def _fixed(model: LoweredModel) -> dict[str, Any]:
    """Return every coefficient that the step may use, as the lowering computed it."""
    found: dict[str, Any] = dict(model.values)
    for prefix, p in ((FULL, model.full), (HALF, model.half)):
        if p is not None:
            found |= {entry(prefix, "matrix", *key): v for key, v in p.matrix.items()}
            found |= {entry(prefix, "offset", s): v for s, v in p.offset.items()}
            found |= {entry(prefix, "injected", s): v for s, v in p.injected.items()}
            found |= {entry(prefix, "noise", *key): v for key, v in p.noise.items()}
    found |= {entry("stepped", "noise", s): v * model.dt**0.5 for s, v in model.noise.items()}
    for name, effects in model.receptors:
        found |= {
            entry("receptor", "factor", name, str(k)): factor
            for k, (_, factor) in enumerate(effects)
        }
    found[entry("receptor", "refractory_steps")] = model.refractory_steps
    return found
