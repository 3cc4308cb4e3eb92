"""Plastic synapses with numbers: traces in closed form, statements in single assignment form.

Between events everything is known in closed form: a trace relaxes exponentially, and a state (or
the weight) that depends on products of traces is an integral of exponentials. So a synapse is
advanced from event to event, however far they lie apart.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurosim.errors import ModelError, NetworkError, ParameterError
from neurosim.expressions import (
    Expression,
    Symbol,
    affine,
    evaluate,
    symbols,
)
from neurosim.expressions.tree import Call, Number, Operation, rebuild
from neurosim.lower.evolution import Evolution, check_products, evolution_of
from neurosim.lower.grid import to_step
from neurosim.lower.rule_target import (
    Seen,
    check_target,
    lags_of,
    never_spikes,
    seen_at,
    undelayed,
)
from neurosim.models.synapse_spec import EVENTS, LEVELS, WEIGHT, SynapseSpec
from neurosim.random import stream_key

#: Rate [1/ms] of a trace whose time constant is 0: gone after any time, but still there after none.
_INSTANT = 1e30


@dataclass(frozen=True)
class Trace:
    """A trace ``rest + (x - rest) exp(-rate t)``; `rate` is per ms."""

    name: str
    level: str
    rate: float
    rest: float
    init: float


@dataclass(frozen=True)
class Assignment:
    """A statement: `value` refers to version k of a shared trace or local name as ``"name@k"``.

    Version 0 is the trace at the event, before any jump; statements at the level of the trace
    make the versions that follow, and ``target`` is then such a name. Every assignment to a local
    name makes a version, since one may hold for all synapses of a source and the next for one.
    """

    level: str
    target: str
    value: Expression


@dataclass(frozen=True, eq=False)
class PlasticityPlan:
    """A rule with numbers, for one projection.

    Attributes
    ----------
    spec : SynapseSpec
    values : mapping of str to float
        Parameters in coherent units.
    traces : mapping of level to tuple of Trace
    states : tuple of str
        States of every synapse.
    init : mapping of str to float
    evolutions : tuple of Evolution
        States (and the weight) that change between events.
    events : mapping of event to tuple of Assignment
    last : mapping of event to mapping of trace to str
        The version of each trace that is left after the event.
    transmit : Expression
    bounds : (float, float)
    axonal : float
        Share of the delay that is axonal.
    interval : int
        Steps between two interval events; 0: there are none.
    modulator : int or None
        Index of the population that is the third factor.
    modulator_ids : (n,) int64 or None
        Its members; None: all.
    modulator_delay : int
        Steps from a spike of the modulator to the synapses.
    at_spike, at_pre : tuple of Seen
        States of the target that are kept for every postsynaptic event; that are read at a spike
        of the source.
    key : tuple of int
        Philox key of `random`.
    prune : Expression or None
        Condition under which a synapse is replaced at an interval event.
    regrow : float
        Weight of the synapse that replaces it.
    """

    spec: SynapseSpec
    values: Mapping[str, float]
    traces: Mapping[str, tuple[Trace, ...]]
    states: tuple[str, ...]
    init: Mapping[str, float]
    evolutions: tuple[Evolution, ...]
    events: Mapping[str, tuple[Assignment, ...]]
    last: Mapping[str, Mapping[str, str]]
    transmit: Expression
    bounds: tuple[float, float]
    axonal: float
    interval: int
    modulator: int | None
    modulator_ids: np.ndarray | None
    modulator_delay: int
    at_spike: tuple[Seen, ...]
    at_pre: tuple[Seen, ...]
    key: tuple[int, int]
    prune: Expression | None = None
    regrow: float = 0.0

    @property
    def transmits_weight(self) -> bool:
        """Whether what arrives is the weight itself."""
        return self.transmit == Symbol(WEIGHT)

    @property
    def sampled(self) -> tuple[str, ...]:
        """States of the target that are kept for every step."""
        late = {s.state for s in self.at_spike if s.lag}
        return tuple(sorted(late | {s.state for s in self.at_pre}))

    @property
    def lag(self) -> int:
        """Steps for which the rule looks further back than the delay does."""
        return max((s.lag for s in (*self.at_spike, *self.at_pre)), default=0)

    @property
    def reads_target(self) -> bool:
        """Whether the rule looks at states of the target, and so at every step of it."""
        return bool(self.sampled or self.at_spike or self.spec.post_event is not None)

    def shift(self, delay_steps: Any) -> Any:
        """Return how many steps after a spike of the target the synapse sees it.

        What is axonal of the delay makes the source's spike arrive later instead, which is the
        same order of events.
        """
        return np.rint(np.asarray(delay_steps) * (1.0 - 2.0 * self.axonal)).astype(np.int64)

    def check_drawn(self, weights: np.ndarray, name: str) -> None:
        """Raise ParameterError if weights that were drawn are outside the bounds."""
        low, high = self.bounds
        magnitudes = (-weights.min(initial=0.0), weights.max(initial=0.0))
        largest = float(max(magnitudes))
        smallest = float(np.abs(weights).min(initial=np.inf)) if low > 0 else np.inf
        if largest > high * (1 + 1e-6) or smallest < low * (1 - 1e-6):
            outside = smallest if largest <= high * (1 + 1e-6) else largest
            raise ParameterError(
                f"projection {name!r}: {self.spec.name}: a weight of magnitude {outside:g} was "
                f"drawn, outside the bounds {low:g} to {high:g}; change the bound, or draw within "
                "it, as ns.Normal(mean, std, low=..., high=...) does."
            )

    def trace(self, name: str) -> Trace:
        """Return the trace of a name."""
        return next(t for level in LEVELS for t in self.traces[level] if t.name == name)


def lower_plasticity(projection: Any, dt: float, seed: int) -> PlasticityPlan:
    """Return the rule of a projection with numbers.

    Raises
    ------
    ModelError
        If the target has no state that the rule reads, or a right-hand side is no sum of products
        of decaying traces.
    NetworkError
        If the rule needs a third factor that no population emits, or the target does not spike.
    ParameterError
        If a bound or the initial weights do not fit.
    """
    model = projection.synapse
    spec: SynapseSpec = model.spec
    where = f"projection {projection.name!r}: {spec.name}"
    values = {n: float(v) * spec.parameters[n].parsed_unit.scale for n, v in model.values.items()}
    init = {n: float(evaluate(e, values)) for n, e in spec.init.items()} | model.initial
    traces = {
        level: tuple(_trace(n, level, e, values, init[n], where)
                     for n, e in spec.traces[level].items())
        for level in LEVELS
    }  # fmt: skip
    check_target(spec, projection, where)
    lags = lags_of(spec, values, dt, where)
    decaying = {t.name for level in LEVELS for t in traces[level] if t.rest == 0.0}
    evolutions = tuple(evolution_of(n, e, spec, values, decaying, where)
                       for n, e in spec.odes.items())  # fmt: skip
    check_products(evolutions, where)
    low, high = (float(evaluate(b, values)) for b in spec.bounds)
    _check_weights(projection, low, high, where)
    if spec.uses_modulator and projection.modulator is None:
        raise NetworkError(
            f"{where} has a third factor ({', '.join(spec.traces['modulator']) or 'on_modulator'}) "
            "that no population emits; name one with connect(..., modulator=population)."
        )
    modulator = projection.modulator
    if modulator is not None and never_spikes(modulator.model):
        raise NetworkError(
            f"{where}: the third factor is to be the spikes of population "
            f"{modulator.population.name!r}, but {modulator.model.name} never spikes."
        )
    events, last = _events(spec, values, lags)
    names = [t.name for level in LEVELS for t in traces[level]]
    return PlasticityPlan(
        spec=spec,
        values=values,
        traces=traces,
        states=tuple(spec.states),
        init=init,
        evolutions=evolutions,
        events=events,
        last=last,
        transmit=_renamed(
            undelayed(spec.transmit, lags), last["on_pre"], itertools.count(1000)
        ),
        bounds=(low, high),
        axonal=projection.axonal,
        interval=0 if spec.interval is None else to_step(
            values[spec.interval], dt, f"{where}: {spec.interval}", at_least=1
        ),
        modulator=None if modulator is None else modulator.population.index,
        modulator_ids=None if modulator is None or modulator.is_whole else modulator.ids,
        modulator_delay=to_step(projection.modulator_delay or dt, dt, f"{where}: modulator_delay"),
        at_spike=seen_at(spec, "on_post", lags),
        at_pre=seen_at(spec, "on_pre", lags),
        key=stream_key(seed, "synapse", projection.name),
        prune=None if spec.prune is None else _renamed(
            spec.prune, dict(zip(names, (f"{n}@0" for n in names), strict=True)),
            itertools.count(2000),
        ),
        regrow=_regrow(spec, values, low, high, where),
    )  # fmt: skip


def _trace(
    name: str, level: str, rhs: Expression, values: Mapping[str, float], init: float, where: str
) -> Trace:
    parts = affine(rhs, (name,), set(values))
    assert parts is not None  # checked with the class
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = -float(evaluate(parts[0].get(name, Number(0.0)), values))
        offset = float(evaluate(parts[1], values))
    if np.isnan(rate) or rate < 0:
        raise ModelError(f"{where}: trace {name} grows by itself (rate {-rate:g} per ms).")
    if rate == 0.0 and offset != 0.0:
        raise ModelError(f"{where}: trace {name} grows without limit; give it a decay.")
    rest = offset / rate if rate and np.isfinite(rate) else 0.0
    if level != "presynaptic" and abs(init - rest) > 1e-12 * max(1.0, abs(rest)):
        raise ModelError(
            f"{where}: the {level} trace {name} begins at {init:g}, but is {rest:g} without "
            "spikes; begin there, so that the time before the first spike is defined."
        )
    return Trace(name, level, min(rate, _INSTANT), rest, init)


def _check_weights(projection: Any, low: float, high: float, where: str) -> None:
    if low > high or low < 0:
        raise ParameterError(
            f"{where}: bounds {low:g} to {high:g}; magnitudes of weights need 0 <= low <= high."
        )
    weight = projection.weight
    if hasattr(weight, "support"):
        ends = [abs(float(x)) for x in weight.support if np.isfinite(x)]
    else:
        values = np.abs(np.asarray(weight, dtype=float)).ravel()
        ends = [float(values.min()), float(values.max())] if values.size else []
    for value in ends:
        if not low * (1 - 1e-9) <= value <= high * (1 + 1e-9):
            raise ParameterError(
                f"{where}: a weight of magnitude {value:g} is outside the bounds {low:g} to "
                f"{high:g}; change the weight or the bound."
            )


def _regrow(
    spec: SynapseSpec, values: Mapping[str, float], low: float, high: float, where: str
) -> float:
    if spec.prune is None:
        return 0.0
    if spec.regrow is None or symbols(spec.regrow) - set(values):
        raise ModelError(
            f"{where}: prune needs regrow, the weight of the synapse that takes the place, made of "
            "parameters; write regrow = 'w_new'."
        )
    weight = float(evaluate(spec.regrow, values))
    if not low <= weight <= high:
        raise ParameterError(
            f"{where}: regrow = {weight:g} is outside the bounds {low:g} to {high:g}."
        )
    return weight


# ---- events


def _events(
    spec: SynapseSpec, values: Mapping[str, float], lags: Mapping[Call, Seen]
) -> tuple[dict[str, tuple[Assignment, ...]], dict[str, dict[str, str]]]:
    own = {"on_pre": "presynaptic", "on_post": "postsynaptic", "on_modulator": "modulator"}
    events, last = {}, {}
    numbers = itertools.count()
    traces = [n for level in LEVELS for n in spec.traces[level]]
    for event in EVENTS:
        version = {n: f"{n}@0" for n in traces}
        rows = []
        for step in spec.events[event]:
            value = _without_trivial_powers(undelayed(step.value, lags), values)
            value = _renamed(value, version, numbers)
            target = step.target
            local = target not in traces and target not in (*spec.states, WEIGHT)
            if local or (step.level == own.get(event) and target in traces):
                number = int(version.get(target, "@0").split("@")[1])
                version[target] = target = f"{target}@{number + 1}"
            rows.append(Assignment(step.level, target, value))
        events[event], last[event] = tuple(rows), version
    return events, last


def _without_trivial_powers(expression: Expression, values: Mapping[str, float]) -> Expression:
    """Return the expression without powers whose exponent is a parameter that is 0 or 1.

    Most rules have one, for the dependence on the weight, and powers cannot be taken in vectors.
    """

    def change(e: Expression) -> Expression | None:
        if isinstance(e, Operation) and e.op == "**" and isinstance(e.args[1], Symbol):
            exponent = values.get(e.args[1].name)
            if exponent == 0.0:
                return Number(1.0)
            if exponent == 1.0:
                return rebuild(e.args[0], change)
        return None

    return rebuild(expression, change)


def _renamed(
    expression: Expression, version: Mapping[str, str], numbers: Iterator[int]
) -> Expression:
    """Return the expression with versions for traces and a name for every random number."""

    def change(e: Expression) -> Expression | None:
        if not isinstance(e, Symbol):
            return None
        if e.name == "random":
            return Symbol(f"random@{next(numbers)}")
        return Symbol(version[e.name]) if e.name in version else None

    return rebuild(expression, change)
