"""A model with numbers: exact propagators of its linear part, coefficients, thresholds, receptors.

Everything here is engine-neutral: float64 NumPy in coherent units. A coefficient is a float where
it is the same for all neurons of the population and an array of shape (n,) where it is not.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neurosim.errors import ModelError, ParameterError
from neurosim.expressions import Expression, affine, differentiate, evaluate, substitute, symbols
from neurosim.expressions.tree import ZERO, Operation, Symbol, is_zero
from neurosim.lower.propagator import Coefficient, Propagator, linear_propagator
from neurosim.models.base import NeuronModel
from neurosim.models.spec import ModelSpec

#: Name under which an injected current is added to the parameter that receives it.
INJECTED = "injected current"
#: Steps; engines count the end of a refractory period in 32 bits.
_LONGEST_REFRACTORY = 2**30


@dataclass(frozen=True)
class LoweredModel:
    """What an engine needs to step one population.

    Attributes
    ----------
    linear, stepped, mapped : tuple of str
        States integrated exactly; by `method`; by a map. States in none of them only jump.
    full, half : Propagator or None
        Exact propagators of the linear part over dt and dt/2.
    held : Propagator or None
        That over dt of refractory neurons, where other states depend on those that stand still.
    receptors : tuple of (name, ((state, factor), ...))
        What a unit of weight adds to which states.
    refractory_steps : int or int array
        0 where there is no refractory time.
    inject : str or None
        Parameter into which currents are injected.
    """

    spec: ModelSpec
    n: int
    dt: float
    method: str
    values: Mapping[str, Coefficient]
    linear: tuple[str, ...]
    stepped: tuple[str, ...]
    mapped: tuple[str, ...]
    full: Propagator
    half: Propagator | None
    rhs: Mapping[str, Expression]
    maps: Mapping[str, Expression]
    slopes: Mapping[str, Expression]
    noise: Mapping[str, Coefficient]
    receptors: tuple[tuple[str, tuple[tuple[str, Coefficient], ...]], ...]
    refractory_steps: Coefficient
    hold: tuple[str, ...]
    ignore: tuple[str, ...]
    inject: str | None
    initial: Mapping[str, np.ndarray] = field(compare=False)
    held: Propagator | None = None

    @property
    def states(self) -> tuple[str, ...]:
        """All states, in the order of the declaration."""
        return tuple(self.spec.states)

    @property
    def is_linear(self) -> bool:
        """Whether every state is propagated exactly and without noise."""
        return not (self.stepped or self.mapped or self.noise or self.full.noise)


def lower_model(
    model: NeuronModel,
    values: Mapping[str, Coefficient],
    initial: Mapping[str, Any],
    n: int,
    dt: float,
    inject: str | None,
    receptors: Collection[str] | None = None,
) -> LoweredModel:
    """Lower a model with given parameter values.

    Parameters
    ----------
    model : NeuronModel
    values : mapping of str to float or (n,) array
        Parameter values in coherent units.
    initial : mapping
        Initial values given by the user, by state: float or (n,) array.
    n : int
        Number of neurons.
    dt : float
        Step [ms].
    inject : str or None
        Parameter that receives injected currents, or None if there are none.
    receptors : collection of str, optional
        The receptors that are used; default: all.

    Raises
    ------
    ModelError
        If the method does not apply to the equations, or a current is injected into a parameter
        that is used outside the equations.
    """
    spec = model.spec
    deterministic, noise_factors = _split_noise(spec)
    _check_injected(spec, inject, noise_factors)
    if model.method == "rk45":
        linear: tuple[str, ...] = ()
        if noise_factors:
            raise ModelError(f"{spec.name}: rk45 cannot integrate white noise (xi); use 'heun'.")
        if spec.maps:
            raise ModelError(
                f"{spec.name}: rk45 cannot apply maps ({next(iter(spec.maps))} := ...); use 'rk4'."
            )
    else:
        linear = _linear_states(spec, deterministic, noise_factors, inject)
    stepped = tuple(s for s in spec.odes if s not in linear)
    rhs = {s: deterministic[s] for s in stepped}
    constants = dict(values) | {"dt": dt}
    full = linear_propagator(
        {s: deterministic[s] for s in linear}, constants, n, dt, inject,
        {s: noise_factors[s] for s in linear if s in noise_factors},
    )  # fmt: skip
    half = None
    if linear and stepped and model.method == "rk4":
        half = linear_propagator(
            {s: deterministic[s] for s in linear}, constants, n, dt / 2, inject, {}
        )
    hold = tuple(spec.refractory.hold) if spec.refractory else ()
    held = None
    if any(column in hold and row not in hold for row, column in full.matrix):
        held = linear_propagator(
            {s: ZERO if s in hold else deterministic[s] for s in linear}, constants, n, dt,
            inject, {s: noise_factors[s] for s in linear if s in noise_factors and s not in hold},
        )  # fmt: skip
    rhs = {s: _with_current(e, inject) for s, e in rhs.items()}
    maps = {s: _with_current(e, inject) for s, e in spec.maps.items()}
    return LoweredModel(
        spec, n, dt, model.method, dict(values), linear, stepped, tuple(maps), full, half, rhs,
        maps,
        _slopes(spec, model.method, rhs),
        _noise_of_stepped(spec, stepped, noise_factors, constants),
        _receptors(spec, constants, receptors), _refractory_steps(spec, values, dt),
        hold,
        tuple(spec.refractory.ignore) if spec.refractory else (),
        inject, _initial_values(spec, values, initial, n), held,
    )  # fmt: skip


def _with_current(expression: Expression, inject: str | None) -> Expression:
    """Return the expression with the injected current added to its parameter."""
    if inject is None:
        return expression
    added = Operation("+", (Symbol(inject), Symbol(INJECTED)))
    return substitute(expression, {inject: added})


def _check_injected(spec: ModelSpec, inject: str | None, noise: Mapping[str, Expression]) -> None:
    """Refuse a current into a parameter that the threshold, a reset, an input or noise uses."""
    places = {f"the factor of xi in the equation of {s}": e for s, e in noise.items()}
    if spec.threshold is not None:
        places["the threshold"] = spec.threshold
    places |= {f"the reset '{s.text}'": s.value for s in spec.reset}
    for name, statements in spec.receptors.items():
        places |= {f"the receptor {name!r}": s.value for s in statements}
    for place, expression in places.items():
        if inject in symbols(expression):
            raise ModelError(
                f"{spec.name}: a current cannot be injected into {inject}, which {place} uses; "
                "inject into a parameter that only the equations use, such as I_e."
            )
    equations = (*spec.odes.values(), *spec.maps.values())
    if inject is not None and not any(inject in symbols(e) for e in equations):
        raise ModelError(
            f"{spec.name}: a current injected into {inject} would do nothing, because no equation "
            "uses it; inject into a parameter of the equations, such as I_e."
        )


def _split_noise(spec: ModelSpec) -> tuple[dict[str, Expression], dict[str, Expression]]:
    deterministic, factors = {}, {}
    for state, expression in spec.odes.items():
        slope = differentiate(expression, "xi")
        if slope is None or "xi" in symbols(slope):
            raise ModelError(f"{spec.name}: xi must appear linearly in the equation of {state}.")
        deterministic[state] = substitute(expression, {"xi": ZERO})
        if not is_zero(slope):
            factors[state] = slope
    return deterministic, factors


def _linear_states(
    spec: ModelSpec,
    rhs: Mapping[str, Expression],
    noise: Mapping[str, Expression],
    inject: str | None,
) -> tuple[str, ...]:
    """Return the largest set of states that is linear, with constant coefficients, in itself.

    An injected current must be an additive term, too.
    """
    constants = set(spec.parameters) | {"dt"}
    rhs = {s: _with_current(e, inject) for s, e in rhs.items()}
    chosen = [s for s in rhs if s not in noise or symbols(noise[s]) <= constants]
    while True:
        kept = [s for s in chosen if affine(rhs[s], (*chosen, INJECTED), constants) is not None]
        if len(kept) == len(chosen):
            return tuple(chosen)
        chosen = kept


def _slopes(spec: ModelSpec, method: str, rhs: Mapping[str, Expression]) -> dict[str, Expression]:
    if method != "exponential_euler":
        return {}
    slopes = {}
    for state, expression in rhs.items():
        slope = differentiate(expression, state)
        if slope is None:
            raise ModelError(
                f"{spec.name}: exponential_euler needs the slope of d{state}/dt in {state}, which "
                "cannot be taken through its functions; use 'heun', 'rk4' or 'rk45'."
            )
        slopes[state] = slope
    return slopes


def _noise_of_stepped(
    spec: ModelSpec,
    stepped: tuple[str, ...],
    factors: Mapping[str, Expression],
    constants: Mapping[str, Any],
) -> dict[str, Coefficient]:
    noise: dict[str, Coefficient] = {}
    for state in stepped:
        if state not in factors:
            continue
        if symbols(factors[state]) - set(constants):
            raise ModelError(
                f"{spec.name}: the factor of xi in the equation of {state} depends on a state; "
                "only additive noise is integrated."
            )
        noise[state] = evaluate(factors[state], constants)
    return noise


def _receptors(spec: ModelSpec, constants: Mapping[str, Any], used: Collection[str] | None) -> Any:
    receptors = []
    for name, statements in spec.receptors.items():
        if used is not None and name not in used:
            continue
        effects = [
            (s.target, evaluate(s.value, dict(constants) | {"weight": 1.0})) for s in statements
        ]
        receptors.append((name, tuple(effects)))
    return tuple(receptors)


def _refractory_steps(spec: ModelSpec, values: Mapping[str, Any], dt: float) -> Coefficient:
    if spec.refractory is None:
        return 0.0
    # NEST: the smallest number of steps that covers t_ref, up to rounding of the quotient
    name = spec.refractory.duration
    steps = np.ceil(np.asarray(values[name]) / dt - 1e-6)
    if steps.max() > _LONGEST_REFRACTORY:
        raise ParameterError(
            f"{spec.name}.{name} = {np.max(values[name]):g} ms is more than {_LONGEST_REFRACTORY} "
            f"steps of dt = {dt:g} ms; use a shorter time."
        )
    return steps[()]


def _initial_values(
    spec: ModelSpec, values: Mapping[str, Any], given: Mapping[str, Any], n: int
) -> dict[str, np.ndarray]:
    return {
        s: np.broadcast_to(
            np.asarray(given[s] if s in given else evaluate(e, values), dtype=float), (n,)
        ).copy()
        for s, e in spec.init.items()
    }
