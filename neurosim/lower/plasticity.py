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

from neurosim.errors import ModelError, NetworkError, ParameterError, UnitError
from neurosim.expressions import (
    Expression,
    Symbol,
    affine,
    dimension_of,
    evaluate,
    symbols,
)
from neurosim.expressions.tree import Call, Number, Operation, rebuild, walk
from neurosim.lower.evolution import Evolution, check_products, evolution_of
from neurosim.lower.grid import to_step
from neurosim.models.base import NeuronModel
from neurosim.models.synapse_spec import EVENTS, LEVELS, WEIGHT, SynapseSpec, post_symbol
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


@dataclass(frozen=True, order=True)
class Seen:
    """A state of the target that synapses read, `lag` steps old when it leaves the target."""

    state: str
    lag: int = 0

    @property
    def symbol(self) -> str:
        """Its name in statements."""
        return post_symbol(f"{self.state}@{self.lag}" if self.lag else self.state).name


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
    _check_target(spec, projection, where)
    lags = _lags(spec, values, dt, where)
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
        transmit=_renamed(spec.transmit, last["on_pre"], itertools.count(1000)),
        bounds=(low, high),
        axonal=projection.axonal,
        interval=0 if spec.interval is None else to_step(
            values[spec.interval], dt, f"{where}: {spec.interval}", at_least=1
        ),
        modulator=None if modulator is None else modulator.population.index,
        modulator_ids=None if modulator is None or modulator.is_whole else modulator.ids,
        modulator_delay=to_step(projection.modulator_delay or dt, dt, f"{where}: modulator_delay"),
        at_spike=_seen(spec, "on_post", lags),
        at_pre=_seen(spec, "on_pre", lags),
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


def _check_target(spec: SynapseSpec, projection: Any, where: str) -> None:
    """Check that the target has what the rule reads."""
    target = projection.post.model
    needed = spec.post_states()
    if (
        isinstance(target, NeuronModel)
        and target.spec.threshold is None
        and (spec.events["on_post"] and spec.post_event is None)
    ):
        raise NetworkError(
            f"{where}: {target.name} never spikes, but the rule waits for its spikes."
        )
    if not isinstance(target, NeuronModel) and any(needed.values()):
        raise NetworkError(f"{where} reads states of its target, but {target.name} has none.")
    for name in sorted(set().union(*needed.values())):
        if name not in target.states:
            raise ModelError(
                f"{where} reads {name}_post, but {target.name} has no state {name}. Its states: "
                f"{', '.join(target.states)}. Choose a model that declares it, or add it."
            )
    if needed["on_modulator"]:
        raise ModelError(
            f"{where}: on_modulator reads {sorted(needed['on_modulator'])[0]}_post; states of the "
            "target can be read in on_pre, on_post and post_event only."
        )
    _check_units(spec, target, where)


def _lags(
    spec: SynapseSpec, values: Mapping[str, float], dt: float, where: str
) -> dict[Call, Seen]:
    """Return what each ``delayed(state, parameter)`` of the rule stands for."""
    found = {}
    for steps in spec.events.values():
        for call in (e for s in steps for e in walk(s.value)):
            if isinstance(call, Call) and call.function == "delayed":
                state, by = (symbol.name for symbol in call.args if isinstance(symbol, Symbol))
                lag = to_step(values[by], dt, f"{where}: {by}")
                found[call] = Seen(state.removesuffix("_post"), lag)
    return found


def _seen(spec: SynapseSpec, event: str, lags: Mapping[Call, Seen]) -> tuple[Seen, ...]:
    """Return what the statements of an event read of the target."""
    found: set[Seen] = set()
    for step in spec.events[event]:
        value = rebuild(step.value, lambda e: _undelayed(e, lags))
        late = {s.symbol: s for s in lags.values()}
        names = (n for n in symbols(value) if n.endswith("_post"))
        found |= {late.get(n, Seen(n.removesuffix("_post"))) for n in names}
    return tuple(sorted(found))


def _undelayed(e: Expression, lags: Mapping[Call, Seen]) -> Expression | None:
    return Symbol(lags[e].symbol) if isinstance(e, Call) and e in lags else None


def _check_units(spec: SynapseSpec, target: Any, where: str) -> None:
    """Check the dimensions of what reads the target, now that they are known."""
    units = {n: p.parsed_unit for n, p in spec.parameters.items()}
    if isinstance(target, NeuronModel):
        from neurosim.units import parse_unit

        units |= {post_symbol(n).name: parse_unit(s.unit) for n, s in target.states.items()}
    if spec.post_event is not None:
        try:
            dimension_of(spec.post_event, units)
        except UnitError as error:
            raise ModelError(
                f"{where}: unit clash in '{spec.text['post_event']}': {error}."
            ) from error


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
            value = rebuild(step.value, lambda e: _undelayed(e, lags))
            value = _renamed(_without_trivial_powers(value, values), version, numbers)
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
