"""What a plasticity rule reads of its target: whether it is there, and how far back it looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from neurosim.errors import ModelError, NetworkError, UnitError
from neurosim.expressions import Expression, Symbol, dimension_of, symbols
from neurosim.expressions.tree import Call, rebuild, walk
from neurosim.lower.grid import to_step
from neurosim.models.base import NeuronModel
from neurosim.models.synapse_spec import SynapseSpec, post_symbol
from neurosim.units import DIMENSIONLESS, Unit, describe, parse_unit


@dataclass(frozen=True, order=True)
class Seen:
    """A state of the target that synapses read, `lag` steps old when it leaves the target."""

    state: str
    lag: int = 0

    @property
    def symbol(self) -> str:
        """Its name in statements."""
        return post_symbol(f"{self.state}@{self.lag}" if self.lag else self.state).name


def check_target(spec: SynapseSpec, projection: Any, where: str) -> None:
    """Check that the target has what the rule reads."""
    target = projection.post.model
    needed = spec.post_states()
    if never_spikes(target) and spec.events["on_post"] and spec.post_event is None:
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
    for event in ("on_modulator", "on_interval"):
        if needed[event]:
            raise ModelError(
                f"{where}: {event} reads {sorted(needed[event])[0]}_post; states of the target "
                "can be read in on_pre, on_post, post_event and transmit only."
            )
    _check_units(spec, target, where)


def lags_of(
    spec: SynapseSpec, values: Mapping[str, float], dt: float, where: str
) -> dict[Call, Seen]:
    """Return what each ``delayed(state, parameter)`` of the rule stands for."""
    found = {}
    read = [s.value for steps in spec.events.values() for s in steps]
    for call in (e for value in (*read, spec.transmit) for e in walk(value)):
        if isinstance(call, Call) and call.function == "delayed":
            state, by = (symbol.name for symbol in call.args if isinstance(symbol, Symbol))
            lag = to_step(values[by], dt, f"{where}: {by}")
            found[call] = Seen(state.removesuffix("_post"), lag)
    return found


def seen_at(spec: SynapseSpec, event: str, lags: Mapping[Call, Seen]) -> tuple[Seen, ...]:
    """Return what the statements of an event, and what is sent at it, read of the target."""
    read = [s.value for s in spec.events[event]]
    if event == "on_pre":
        read.append(spec.transmit)
    late = {s.symbol: s for s in lags.values()}
    names = {n for value in read for n in symbols(undelayed(value, lags)) if n.endswith("_post")}
    return tuple(sorted({late.get(n, Seen(n.removesuffix("_post"))) for n in names}))


def undelayed(expression: Expression, lags: Mapping[Call, Seen]) -> Expression:
    """Return the expression with a symbol for every ``delayed(state, parameter)``."""
    return rebuild(
        expression,
        lambda e: Symbol(lags[e].symbol) if isinstance(e, Call) and e in lags else None,
    )


def never_spikes(model: Any) -> bool:
    """Return whether a model has no spikes to react to."""
    return isinstance(model, NeuronModel) and model.spec.threshold is None


def _check_units(spec: SynapseSpec, target: Any, where: str) -> None:
    """Check the dimensions of what reads the target, now that they are known."""
    units = dict(spec.units)
    if isinstance(target, NeuronModel):
        units |= {post_symbol(n).name: parse_unit(s.unit) for n, s in target.states.items()}
    if spec.post_event is not None:
        _dimension(spec.post_event, units, spec.text["post_event"], where)
    for steps in spec.events.values():
        known = dict(units)
        for s in steps:
            found = _dimension(s.value, known, s.text, where)
            needed = known.setdefault(s.target, Unit(1.0, found or DIMENSIONLESS.dimension))
            if found is not None and found != needed.dimension:
                raise ModelError(
                    f"{where}: unit clash in '{s.text}': the right side is in {describe(found)}, "
                    f"but {describe(needed.dimension)} is needed."
                )


def _dimension(value: Expression, units: Mapping[str, Unit], text: str, where: str) -> Any:
    try:
        return dimension_of(value, units)
    except UnitError as error:
        raise ModelError(f"{where}: unit clash in '{text}': {error}.") from error
