"""A population in continuous time: the exact flow of linear equations, threshold and reset.

States are x = x* + z, where x* is the fixed point for the present input current; between events
z(t) = exp(A t) z(0), and the margin y = c.x - theta reaches zero at a spike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import ModelError
from neurosim.expressions import affine, evaluate, symbols
from neurosim.lower.model import LoweredModel, lower_model
from neurosim.lower.sleep import margin_of, reads_held
from neurosim.models.base import NeuronModel
from neurosim.models.spec import ModelSpec

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
#: Threshold of a model that never spikes; finite, so that margins stay numbers.
NEVER = 1e300


@dataclass(frozen=True, eq=False)
class Flow:
    """Neurons of one population, in groups with the same matrices.

    Attributes
    ----------
    states : tuple of str
        The m states.
    group : (n,) int64
        Group of each neuron.
    A : (n_groups, m, m) float64
        Generator of the flow.
    margin : (n_groups, m) float64
        c.
    theta : (n,) float64
    rest, rest_injected : (n, m) float64
        x*, and its derivative with respect to an injected current.
    hold : (m,) bool
        States frozen in the refractory period.
    ignore : (n_receptors,) bool
        Receptors that discard input meanwhile.
    t_ref : (n,) float64
        Refractory period [ms].
    receptors : tuple of tuples of (state index, (n,) factor)
        What a unit of weight adds, for each receptor.
    reset_target : (n_statements,) int64
    reset_factor : (n_groups, n_statements, m) float64
    reset_offset : (n, n_statements) float64
        Statement k of the reset sets state target[k] to factor[k].x + offset[k].
    initial : (n, m) float64
    """

    states: tuple[str, ...]
    group: I64
    A: F64
    margin: F64
    theta: F64
    rest: F64
    rest_injected: F64
    hold: NDArray[np.bool_]
    ignore: NDArray[np.bool_]
    t_ref: F64
    receptors: tuple[tuple[tuple[int, F64], ...], ...]
    reset_target: I64
    reset_factor: F64
    reset_offset: F64
    initial: F64


def lower_flow(
    model: NeuronModel,
    values: Mapping[str, Any],
    initial: Mapping[str, Any],
    n: int,
    inject: str | None,
    receptors: tuple[str, ...],
    population: str,
) -> tuple[LoweredModel, Flow]:
    """Lower a model for continuous time.

    Parameters
    ----------
    model, values, initial, n, inject, receptors
        As in `neurosim.lower.model.lower_model`.
    population : str
        Name, for error messages.

    Raises
    ------
    ModelError
        If the model has no exact flow or no linear threshold and reset.
    """
    lowered = lower_model(model, values, initial, n, 1.0, inject, receptors)
    reason = _obstacle(lowered)
    flow = reason or _flow(lowered, values, n)
    if isinstance(flow, str):
        raise ModelError(
            f"population {population!r}: {model.name} cannot run in continuous time (dt=None), "
            f"because {flow}; use a step, such as dt=0.1."
        )
    return lowered, flow


def _obstacle(model: LoweredModel) -> str | None:
    spec = model.spec
    if model.noise or model.full.noise:
        return "its equations contain white noise (xi)"
    if model.mapped:
        return f"{model.mapped[0]} is a map, which is applied once a step"
    if not model.is_linear or set(model.linear) != set(model.states):
        other = next(s for s in model.states if s not in model.linear)
        return f"the equation of {other} is not linear with constant coefficients"
    used = [*spec.odes.values(), *(s.value for r in spec.receptors.values() for s in r)]
    used += [s.value for s in spec.reset] + ([spec.threshold] if spec.threshold else [])
    for name in ("dt", "t"):
        if any(name in symbols(e) for e in used):
            return f"it uses '{name}'"
    return reads_held(model, model.full.generator)


def _flow(model: LoweredModel, values: Mapping[str, Any], n: int) -> Flow | str:
    spec, states = model.spec, model.linear
    m = len(states)
    c: Mapping[str, Any] = {}
    theta: Any = NEVER
    if spec.threshold is not None:
        parts = margin_of(model, spec.threshold)
        if isinstance(parts, str):
            return parts
        c, theta = parts
    resets = _resets(spec, states, values)
    if isinstance(resets, str):
        return resets
    factors, offsets = resets
    entries = [(states.index(r), states.index(k), v) for (r, k), v in model.full.generator.items()]
    generator = _stack(entries, (m, m), n)
    margin = _stack([(0, states.index(s), v) for s, v in c.items()], (1, m), n)
    factor = _stack(factors, (len(spec.reset), m), n)
    flat = np.concatenate([a.reshape(n, -1) for a in (generator, margin, factor)], axis=1)
    _, first, group = np.unique(flat, axis=0, return_index=True, return_inverse=True)
    A = generator[first]
    if m == 0 or np.linalg.eigvals(A).real.max() >= -1e-12:
        return "its linear equations are not stable"
    inverse = -np.linalg.inv(A)[group.ravel()]
    vectors = [
        np.einsum("nij,nj->ni", inverse, _columns(states, drive, n))
        for drive in (model.full.drive, model.full.drive_injected)
    ]
    refractory = spec.refractory
    t_ref = values[refractory.duration] if refractory else 0.0
    return Flow(
        states=states,
        group=group.ravel().astype(np.int64),
        A=A,
        margin=margin[first, 0],
        theta=_each(theta, n),
        rest=vectors[0],
        rest_injected=vectors[1],
        hold=np.array([s in model.hold for s in states]),
        ignore=np.array([name in model.ignore for name, _ in model.receptors], bool),
        t_ref=_each(t_ref, n),
        receptors=tuple(
            tuple((states.index(s), _each(f, n)) for s, f in effects)
            for _, effects in model.receptors
        ),
        reset_target=np.array([states.index(s.target) for s in spec.reset], np.int64),
        reset_factor=factor[first],
        reset_offset=np.array([_each(o, n) for o in offsets]).reshape(-1, n).T.copy(),
        initial=_columns(states, model.initial, n),
    )


def _resets(
    spec: ModelSpec, states: tuple[str, ...], values: Mapping[str, Any]
) -> tuple[list[tuple[int, int, Any]], list[Any]] | str:
    """Return the entries of the reset's matrix and its offsets, statement by statement."""
    factors: list[tuple[int, int, Any]] = []
    offsets: list[Any] = []
    for k, statement in enumerate(spec.reset):
        parts = affine(statement.result(), states, set(values))
        if parts is None:
            return f"its reset '{statement.text}' is not linear"
        factors += [(k, states.index(s), evaluate(e, values)) for s, e in parts[0].items()]
        offsets.append(evaluate(parts[1], values))
    return factors, offsets


def _each(value: Any, n: int) -> F64:
    return np.broadcast_to(np.asarray(value, dtype=float), (n,)).copy()


def _columns(states: tuple[str, ...], values: Mapping[str, Any], n: int) -> F64:
    return np.stack([_each(values.get(s, 0.0), n) for s in states], axis=1)


def _stack(entries: list[tuple[int, int, Any]], shape: tuple[int, int], n: int) -> F64:
    """Return one matrix for each neuron."""
    matrices = np.zeros((n, *shape))
    for row, column, value in entries:
        matrices[:, row, column] = value
    return matrices
