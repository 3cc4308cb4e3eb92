"""Continuous signals with numbers: what is sampled when, and what it adds to its targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim import random
from neurosim.errors import ModelError, UnitError
from neurosim.expressions import (
    Expression,
    check_kinds,
    dimension_of,
    evaluate,
    parse_expression,
    symbols,
)
from neurosim.lower.connectivity import Edges, given_delay
from neurosim.lower.expand import expand
from neurosim.lower.grid import to_step
from neurosim.lower.model import LoweredModel
from neurosim.lower.pairs import pairs_of
from neurosim.lower.third_factor import listed
from neurosim.models.spec import BUILT_IN
from neurosim.network.distributions import Distribution
from neurosim.units import Unit, describe, parse_unit

F64 = NDArray[np.float64]
Models = Mapping[int, LoweredModel]


@dataclass(frozen=True, eq=False)
class SignalPlan:
    """One continuous signal.

    Attributes
    ----------
    name : str
    pre, post, n_pre, n_post : int
        Populations and their sizes.
    signal : Expression
        Of the states and parameters of `pre`.
    values : mapping
        Parameters of `pre`.
    every : int
        Steps between samples.
    edges : Edges
        In the order in which they add up; weights in coherent units.
    slots : int
        Number of samples that are kept; sample k of step ``k * every`` is in slot k % slots.
    delay : int or None
        The delay of all connections [steps], if there is only one.
    phases : tuple of int
        Steps modulo `every` at which samples are taken or arrive.
    """

    name: str
    pre: int
    post: int
    n_pre: int
    n_post: int
    signal: Expression
    values: Mapping[str, Any]
    every: int
    edges: Edges
    slots: int
    delay: int | None
    phases: tuple[int, ...]

    def sampled(self, states: Mapping[str, Any], time: float) -> F64:
        """Return the signal of every source: (n_pre,)."""
        values = {s: np.asarray(v, dtype=float) for s, v in states.items()}
        value = evaluate(self.signal, {**self.values, **values, "t": time})
        return np.broadcast_to(np.asarray(value, dtype=float), (self.n_pre,))

    def brought(self, samples: F64, step: int) -> F64:
        """Return what acts on every target during the step after `step`: (n_post,).

        `samples` has the shape (slots, n_pre).
        """
        e = self.edges
        delay = self.delay if self.delay is not None else e.delay_steps
        sample = (step - delay) // self.every
        values = samples[sample % self.slots, e.pre] * e.weight * (sample >= 0)
        return np.bincount(e.post, values, minlength=self.n_post).astype(float)

    def next_change(self, step: int) -> int:
        """Return the first step after `step` at which a sample is taken or arrives."""
        return step + 1 + min((phase - step - 1) % self.every for phase in self.phases)


def lower_signals(
    network: Any, models: Models, dt: float, connectivity_seed: int
) -> tuple[SignalPlan, ...]:
    """Return the continuous signals of a network.

    Raises
    ------
    NeurosimError
        If a signal cannot be read, has the wrong unit, or its times are off the grid.
    """
    return tuple(
        _signal(c, models[c.pre.population.index], network, dt, connectivity_seed)
        for c in network.couplings.values()
    )


def _signal(
    c: Any, model: LoweredModel, network: Any, dt: float, connectivity_seed: int
) -> SignalPlan:
    pre, post = c.pre.population, c.post.population
    what = f"coupling {c.name!r}"
    expression, scale = _parsed(c, model, what)
    every = to_step(c.interval, dt, f"{what}: interval", at_least=1)
    rule = listed(c.rule, network, dt, connectivity_seed, c.pre)
    delay = c.delay
    if not isinstance(delay, Distribution):
        delay = given_delay(delay, dt, False, what)
    key = random.stream_key(connectivity_seed, "couple", pre.name, post.name, c.name)
    edges = expand(pairs_of(c, c.pre, c.post, rule, c.weight, delay, key, dt))
    edges = replace(edges, weight=edges.weight * scale)
    longest = int(np.max(edges.delay_steps, initial=1))
    return SignalPlan(
        c.name, pre.index, post.index, pre.n, post.n, expression, model.values, every, edges,
        longest // every + 3, longest if (edges.delay_steps == longest).all() else None,
        tuple({0, *(edges.delay_steps % every).tolist()}),
    )  # fmt: skip


def _parsed(c: Any, model: LoweredModel, what: str) -> tuple[Expression, float]:
    """Return the signal's expression, and the factor that brings weights to coherent units."""
    spec, into = model.spec, c.post.population.model.parameters[c.parameter]
    expression = parse_expression(c.signal, f"{what}, signal")
    units: dict[str, Unit] = {n: p.parsed_unit for n, p in spec.parameters.items()}
    units |= {n: parse_unit(s.unit) for n, s in spec.states.items()} | {"t": BUILT_IN["t"]}
    unknown = sorted(symbols(expression) - set(units))
    if unknown:
        raise ModelError(
            f"{what}: unknown name {unknown[0]!r} in signal '{c.signal}'. Parameters of "
            f"{spec.name}: {', '.join(spec.parameters)}. States: {', '.join(spec.states)}."
        )
    try:
        check_kinds(expression, condition=False)
        dimension = dimension_of(expression, units)
    except (ModelError, UnitError) as error:
        raise ModelError(f"{what}: signal '{c.signal}': {error}.") from error
    unit = into.parsed_unit
    if dimension is None or not any(dimension):
        return expression, unit.scale
    if dimension != unit.dimension:
        raise ModelError(
            f"{what}: signal '{c.signal}' is in {describe(dimension)}, but {c.parameter} of "
            f"{c.post.population.model.name} is in {into.unit}; multiply by a literal such as "
            "1[nS], or make it a number without unit."
        )
    return expression, 1.0
