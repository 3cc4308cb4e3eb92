"""When may a neuron sleep? A proved bound on its free trajectory, for stable linear models.

With z = x - x* (relative to the fixed point), the margin y = c.x - theta of the threshold obeys
y(t) = y_inf + sum_j g_j(t) z_j with g(t) = c exp(A t), hence

    y(t) <= y_inf + sum_j max(gsup_j z_j, ginf_j z_j)   for all t >= 0.

If the right side is negative the neuron cannot spike before its next input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurosim.expressions import Expression, affine, evaluate, symbols
from neurosim.expressions.tree import Operation, subtract, uses
from neurosim.lower.expm import expm
from neurosim.lower.model import INJECTED, LoweredModel
from neurosim.lower.propagator import Coefficient, uniform

#: Powers of the propagator are tabulated for the digits of the number of steps in this base.
BASE, LEVELS = 256, 4
_POINTS = 1 << 16
#: Change within the spacing of a coarse grid beyond which the bound says nothing.
_LARGEST_EXPONENT = 30.0
#: Most entries of the propagator's powers: kernels name every one, and compile for ever above it.
_MOST_ENTRIES = 48


@dataclass(frozen=True)
class Sleep:
    """What the event strategy needs to skip time.

    Attributes
    ----------
    states : tuple of str
    entries : tuple of (row, column)
        The non-zero entries of powers of the propagator.
    tables : (LEVELS, BASE, len(entries)) float64
        Entry of P ** (digit * BASE ** level).
    fixed_point, fixed_point_injected : mapping of state to Coefficient
        x*, and its derivative with respect to an injected current; only where not zero.
    margin : mapping of state to float
        c.
    theta : Coefficient
    sup, inf : mapping of state to float
        Bounds of g_j over t >= 0.
    """

    states: tuple[str, ...]
    entries: tuple[tuple[str, str], ...]
    tables: np.ndarray
    fixed_point: Mapping[str, Coefficient]
    fixed_point_injected: Mapping[str, Coefficient]
    margin: Mapping[str, float]
    theta: Coefficient
    sup: Mapping[str, float]
    inf: Mapping[str, float]


def sleep_of(model: LoweredModel) -> Sleep | str:
    """Return the bound and tables for a model, or the reason why its neurons cannot sleep."""
    spec = model.spec
    maps = _linear_maps(model)
    if model.stepped or model.noise or model.full.noise or maps is None:
        return "its equations are not all linear without noise"
    if {*model.linear, *model.mapped} != set(model.states):
        return "a state has no equation"
    if any(np.ndim(v) for v in (*model.full.generator.values(), *maps.slopes.values())):
        return "its time constants differ from neuron to neuron"
    A = _generator(model)
    own = _dense(maps.slopes, model.mapped)
    if (A.size and np.linalg.eigvals(A).real.max() >= -1e-12) or _radius(own) >= 1.0 - 1e-12:
        return "its linear part is not stable"
    if reason := reads_held(model, dict(model.full.generator) | maps.slopes):
        return reason
    margin: dict[str, float] = {}
    theta: Coefficient = np.inf
    if spec.threshold is not None:
        parts = margin_of(model, spec.threshold)
        if isinstance(parts, str):
            return parts
        if any(np.ndim(v) for v in parts[0].values()):
            return "the states weigh differently in the threshold from neuron to neuron"
        margin = {s: float(v) for s, v in parts[0].items()}
        theta = parts[1]
    states = (*model.linear, *model.mapped)
    matrix = _matrix(model, maps.slopes)
    if len(matrix) > _MOST_ENTRIES:
        return f"too many of its {len(states)} states are coupled ({len(matrix)} entries)"
    c = np.array([margin.get(s, 0.0) for s in states])
    k = len(model.linear)
    if c[k:].any():
        bounds = _bounds_of_maps(_dense(matrix, states), c)
    else:
        bounds = _bounds(A, c[:k], model.dt) if k else (c, c)
    if bounds is None:
        return "its time constants differ by too many orders of magnitude"
    unused = dict.fromkeys(states, 0.0)
    sup, inf = (unused | dict(zip(states, b, strict=False)) for b in bounds)
    rest = _solve(A, model.linear, model.full.drive) if k else {}
    moved = _solve(A, model.linear, model.full.drive_injected) if k else {}
    return Sleep(
        states, tuple(matrix), _tables(states, matrix),
        _mapped(model, maps.slopes, maps.constants, rest),
        _mapped(model, maps.slopes, maps.injected, moved), margin, theta, sup, inf,
    )  # fmt: skip


def reads_held(model: LoweredModel, slopes: Mapping[tuple[str, str], Coefficient]) -> str | None:
    """Return which state of `slopes` goes on and depends on one that is held, or None."""
    for (row, column), value in slopes.items():
        if column in model.hold and row not in model.hold and np.any(value != 0):
            return f"{row} depends on {column}, which is held in the refractory period"
    return None


@dataclass(frozen=True)
class _Maps:
    """Maps such as ``V_old := V_m`` as linear functions of the states of the step before.

    Attributes
    ----------
    slopes : mapping of (map, state) to Coefficient
    constants, injected : mapping of map to Coefficient
        Their values at zero, and their slopes in an injected current.
    """

    slopes: dict[tuple[str, str], Coefficient]
    constants: dict[str, Coefficient]
    injected: dict[str, Coefficient]


def _linear_maps(model: LoweredModel) -> _Maps | None:
    """Return the maps of a model; None if one is not linear."""
    found = _Maps({}, {}, {})
    values = dict(model.values) | {"dt": model.dt}
    for name, expression in model.maps.items():
        parts = affine(expression, (*model.linear, *model.mapped, INJECTED), set(values))
        if parts is None:
            return None
        slopes = {s: evaluate(e, values) for s, e in parts[0].items()}
        if INJECTED in slopes:
            found.injected[name] = slopes.pop(INJECTED)
        found.slopes.update({(name, s): v for s, v in slopes.items() if np.any(v != 0)})
        found.constants[name] = evaluate(parts[1], values)
    return found


def _matrix(
    model: LoweredModel, slopes: Mapping[tuple[str, str], Coefficient]
) -> dict[tuple[str, str], Coefficient]:
    """Return the propagator of a step, whose rows for mapped states are their slopes.

    It names every entry that differs from zero in any power, the zeroth included.
    """
    states = (*model.linear, *model.mapped)
    step = dict(model.full.matrix) | dict(slopes)
    reached = {(s, s) for s in states} | set(step)
    while True:
        further = {(a, d) for a, b in reached for c, d in reached if b == c}
        if further == reached:
            break
        reached = further
    return {(r, c): step.get((r, c), 0.0) for r in states for c in states if (r, c) in reached}


def _dense(entries: Mapping[tuple[str, str], Any], states: tuple[str, ...]) -> np.ndarray:
    """Return the entries between some states as a matrix."""
    matrix = np.zeros((len(states), len(states)))
    for (row, column), value in entries.items():
        if row in states and column in states:
            matrix[states.index(row), states.index(column)] = value
    return matrix


def _radius(matrix: np.ndarray) -> float:
    """Return the largest absolute eigenvalue."""
    return float(np.abs(np.linalg.eigvals(matrix)).max()) if matrix.size else 0.0


def _mapped(
    model: LoweredModel,
    slopes: Mapping[tuple[str, str], Coefficient],
    constants: Mapping[str, Coefficient],
    point: dict[str, Coefficient],
) -> dict[str, Coefficient]:
    """Return the fixed point of the linear states with that of the mapped states added."""
    if not model.mapped:
        return point
    right: list[Any] = [np.asarray(constants.get(s, 0.0), float) for s in model.mapped]
    for (name, state), slope in slopes.items():
        if state in point:
            at = model.mapped.index(name)
            right[at] = right[at] + slope * np.asarray(point[state])
    inverse = np.linalg.inv(np.eye(len(right)) - _dense(slopes, model.mapped))
    found = {
        s: uniform(sum(inverse[i, j] * v for j, v in enumerate(right)))
        for i, s in enumerate(model.mapped)
    }
    return point | {s: v for s, v in found.items() if np.any(v != 0)}


def _generator(model: LoweredModel) -> np.ndarray:
    m = len(model.linear)
    A = np.zeros((m, m))
    for (row, column), value in model.full.generator.items():
        A[model.linear.index(row), model.linear.index(column)] = value
    return A


def margin_of(
    model: LoweredModel, threshold: Expression
) -> tuple[dict[str, Coefficient], Coefficient] | str:
    """Return c and theta of the margin y = c.x - theta, which is >= 0 at a spike.

    A threshold that is not linear gives the reason as a text instead.
    """
    reason = "its threshold is not a comparison of linear expressions"
    if not isinstance(threshold, Operation) or uses(threshold, "previous"):
        return reason
    if threshold.op in (">", ">="):
        difference = subtract(*threshold.args)
    elif threshold.op in ("<", "<="):
        difference = subtract(threshold.args[1], threshold.args[0])
    else:
        return reason
    constants = set(model.values) | {"dt"}
    parts = affine(difference, (*model.linear, *model.mapped), constants)
    if parts is None or "t" in symbols(difference):
        return reason
    values = dict(model.values) | {"dt": model.dt}
    margin = {s: evaluate(e, values) for s, e in parts[0].items()}
    return margin, uniform(-np.asarray(evaluate(parts[1], values)))


def _bounds(A: np.ndarray, c: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Return sup and inf over t >= 0 of c exp(A t), or None if the grid would be too coarse.

    The threshold is tested at multiples of dt, so a grid of dt is exact; where the slowest decay
    needs too many points, a coarser grid is widened by the largest change within its spacing.
    """
    slowest = 1.0 / -np.linalg.eigvals(A).real.max()
    stride = max(1, int(np.ceil(40.0 * slowest / dt / _POINTS)))
    P = expm(A * dt * stride)
    g = c[None, :]
    while g.shape[0] < _POINTS:
        g = np.concatenate([g, g @ P])
        P = P @ P
    slack = 1e-9 * np.abs(g).max(axis=0) + 10.0 * np.abs(g[-1])
    if stride > 1:
        exponent = np.linalg.norm(A, 2) * dt * stride
        if exponent > _LARGEST_EXPONENT:
            return None
        growth = np.exp(exponent)
        slack = slack + np.abs(g @ A).max() * dt * stride * growth
    return g.max(axis=0) + slack, g.min(axis=0) - slack


def _bounds_of_maps(P: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return sup and inf over k >= 0 of c P**k, or None if it decays too slowly to be tabulated."""
    if 40.0 / -np.log(max(_radius(P), 1e-300)) > _POINTS:
        return None
    g = c[None, :]
    while g.shape[0] < _POINTS:
        g = np.concatenate([g, g @ P])
        P = P @ P
    slack = 1e-9 * np.abs(g).max(axis=0) + 10.0 * np.abs(g[-1])
    return g.max(axis=0) + slack, g.min(axis=0) - slack


def _tables(states: tuple[str, ...], matrix: Mapping[tuple[str, str], Coefficient]) -> np.ndarray:
    P = _dense(matrix, states)
    rows = [states.index(r) for r, _ in matrix]
    columns = [states.index(c) for _, c in matrix]
    tables = np.empty((LEVELS, BASE, len(matrix)))
    for level in range(LEVELS):
        power = np.eye(len(states))
        for digit in range(BASE):
            tables[level, digit] = power[rows, columns]
            power = power @ P
        P = power
    tables[np.abs(tables) < 1e-150] = 0.0  # products of tiny numbers would become denormal
    return tables


def _solve(
    A: np.ndarray, states: tuple[str, ...], drive: Mapping[str, Coefficient]
) -> dict[str, Coefficient]:
    inverse = -np.linalg.inv(A)
    point: dict[str, Coefficient] = {}
    for i, row in enumerate(states):
        value = uniform(
            sum(np.asarray(drive.get(s, 0.0)) * inverse[i, j] for j, s in enumerate(states))
        )
        if np.any(value != 0):
            point[row] = value
    return point


def never_sleeps(model: LoweredModel, sleep: Sleep) -> bool:
    """Whether every neuron's fixed point lies at or above its threshold.

    The bound is then never below zero: its other terms cannot be negative, as g(t) ends at 0.
    """
    if model.inject is not None or not sleep.margin:
        return False
    level = sum(c * np.asarray(sleep.fixed_point.get(s, 0.0)) for s, c in sleep.margin.items())
    return bool(np.all(level >= np.asarray(sleep.theta)))


def advanced(
    model: LoweredModel, sleep: Sleep, saved: Mapping[str, Any], step: int
) -> dict[str, np.ndarray]:
    """Return the states of sleeping neurons at a later step, where they have not been touched.

    Parameters
    ----------
    model, sleep
        Of the population.
    saved : mapping
        ``states``, ``last`` (step of each neuron's last update), ``until`` (last step of its
        refractory time) and ``injected``, arrays of shape (n,).
    step : int
        The step to advance to.
    """
    current = np.asarray(saved["injected"], float)
    rest = {
        s: sleep.fixed_point.get(s, 0.0) + sleep.fixed_point_injected.get(s, 0.0) * current
        for s in sleep.states
    }
    z = {s: np.asarray(saved["states"][s], float) - rest[s] for s in sleep.states}
    last, until = (np.asarray(saved[k], np.int64) for k in ("last", "until"))
    held = np.clip(until - last, 0, step - last)
    z = _powers(sleep, z, held, set(model.hold))
    z = _powers(sleep, z, step - last - held, set())
    return {s: z[s] + rest[s] for s in sleep.states}


def _powers(
    sleep: Sleep, z: Mapping[str, np.ndarray], steps: np.ndarray, frozen: set[str]
) -> dict[str, np.ndarray]:
    """Return P**steps z, neuron by neuron; frozen states stand still and drive nothing."""
    for level in range(LEVELS):
        digit = (steps >> (8 * level)) & (BASE - 1)
        new = {s: z[s] if s in frozen else np.zeros_like(z[s]) for s in sleep.states}
        for k, (row, column) in enumerate(sleep.entries):
            if row not in frozen and column not in frozen:
                new[row] = new[row] + sleep.tables[level, digit, k] * z[column]
        z = new
    return dict(z)
