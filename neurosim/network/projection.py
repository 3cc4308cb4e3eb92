"""Projections: synapses from one population (or view) to another, as a description."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from neurosim.errors import DelayError, NetworkError, ParameterError, unknown_name
from neurosim.models.synapse import SynapseModel
from neurosim.network.checks import Value, finite_number, finite_values
from neurosim.network.distributions import Distribution
from neurosim.network.explicit import Explicit
from neurosim.network.population import Target
from neurosim.network.rule import Rule


@dataclass(frozen=True, kw_only=True, eq=False)
class Projection:
    """Synapses between two populations; made by `Network.connect`.

    Attributes
    ----------
    name : str
        Unique within the network.
    pre, post : Population or PopulationView
        The two sides.
    rule : Rule
        Which pairs are connected.
    weight : float, (n_synapses,) float64 or Distribution
        Weight, in the unit of the receptor; an array goes with `Explicit` only.
    delay : float, (n_synapses,) float64 or Distribution
        Delay from spike to arrival [ms].
    receptor : str or None
        Receptor of the target model; None: the sign of the weight chooses.
    synapse : SynapseModel or None
        Plasticity rule; None for static synapses.
    modulator : Population, PopulationView or None
        Whose spikes are the third factor of the rule.
    modulator_delay : float or None
        Time from a spike of the modulator to the synapses [ms]; None: one step.
    axonal : float
        Share of the delay that is axonal, 0 to 1; the rest is dendritic.
    round_delays : bool
        Whether given delays may be rounded to the nearest step.
    """

    name: str
    pre: Target
    post: Target
    rule: Rule
    weight: Value
    delay: Value
    receptor: str | None
    synapse: SynapseModel | None
    round_delays: bool
    modulator: Target | None = None
    modulator_delay: float | None = None
    axonal: float = 0.0

    @property
    def receptors(self) -> tuple[str, str]:
        """Names of the receptors that weights >= 0 and weights < 0 act on."""
        return resolve_receptors(self.post.model, self.receptor, self.name)

    def __repr__(self) -> str:
        return (
            f"Projection({self.name!r}, {self.rule!r}, weight={_short(self.weight)}, "
            f"delay={_short(self.delay)})"
        )


def resolve_receptors(model: Any, receptor: str | None, where: str) -> tuple[str, str]:
    """Return the receptors that weights >= 0 and weights < 0 act on.

    Parameters
    ----------
    model : Model
        The target's model.
    receptor : str or None
        The user's choice.
    where : str
        The call to name in a message.

    Raises
    ------
    UnknownNameError
        If the model has no such receptor.
    NetworkError
        If the model can receive nothing, or a receptor must be named.
    """
    names = list(model.receptors) if not model.is_source else []
    if not names:
        raise NetworkError(
            f"{where}: {model.name} is a spike source and cannot receive synapses; connect to a "
            "neuron population."
        )
    if receptor is not None:
        if receptor not in names:
            raise unknown_name("receptor", receptor, names, f"{where}: {model.name}")
        return receptor, receptor
    if len(names) == 1:
        return names[0], names[0]
    if "exc" in names and "inh" in names:
        return "exc", "inh"
    raise NetworkError(
        f"{where}: {model.name} has the receptors {', '.join(names)}; name one with receptor=."
    )


def checked_synapse(synapse: Any, modulator: Any, axonal: Any, where: str) -> None:
    """Check what `connect` was given about plasticity.

    Raises
    ------
    NetworkError
        If `synapse` is no synapse model, or there is a modulator without a rule that uses it.
    ParameterError
        If the axonal share is not in 0 ... 1.
    """
    if isinstance(synapse, type) and issubclass(synapse, SynapseModel):
        raise NetworkError(
            f"{where}: synapse = {synapse.__name__} is a class; write {synapse.__name__}()."
        )
    if synapse is not None and not isinstance(synapse, SynapseModel):
        raise NetworkError(
            f"{where}: synapse = {synapse!r}; a plastic synapse such as ns.models.stdp() is "
            "needed, or None for static ones."
        )
    if modulator is not None and (synapse is None or not synapse.spec.uses_modulator):
        name = "static synapses have" if synapse is None else f"{synapse.name} has"
        raise NetworkError(f"{where}: modulator = {modulator!r}, but {name} no third factor.")
    if not 0.0 <= finite_number(axonal, f"{where}: axonal") <= 1.0:
        raise ParameterError(
            f"{where}: axonal = {axonal:g}; the axonal share of the delay must be in 0 to 1."
        )


def checked_modulator_delay(delay: Any, where: str) -> float | None:
    """Return the delay of the modulator [ms] as given to `connect`, checked.

    Raises
    ------
    DelayError
        If it is not positive.
    """
    if delay is None:
        return None
    value = finite_number(delay, f"{where}: modulator_delay", unit="ms")
    if value <= 0:
        raise DelayError(f"{where}: modulator_delay = {value:g} ms; it must be > 0 ms.")
    return value


def checked_weight(weight: Any, rule: Rule, where: str, *, unit: str | None = None) -> Value:
    """Return the weights of a projection as given to `connect`, checked.

    Raises
    ------
    ParameterError
        If a weight is not a finite number, or an array has the wrong shape or the wrong rule.
    UnitError
        If it is a quantity that cannot be converted to `unit`.
    """
    return _per_synapse(weight, rule, f"{where}: weight", unit=unit)


def weight_unit(model: Any, receptors: tuple[str, str]) -> str | None:
    """Return the unit of weights onto two receptors, or None if they have none in common."""
    spec = getattr(model, "spec", None)  # a parrot takes any weight
    units = {spec.receptor_units[name] for name in receptors} if spec is not None else set()
    return units.pop() if len(units) == 1 else None


def checked_delay(delay: Any, rule: Rule, where: str) -> Value:
    """Return the delays of a projection [ms] as given to `connect`, checked.

    Raises
    ------
    DelayError
        If a delay is zero or negative, or none of a distribution is positive.
    ParameterError
        If a delay is not a finite number, or an array has the wrong shape or the wrong rule.
    """
    value = _per_synapse(delay, rule, f"{where}: delay", unit="ms")
    if isinstance(value, Distribution):
        if value.support[1] <= 0:
            raise DelayError(
                f"{where}: delay = {value!r} is never positive; delays must be > 0 ms."
            )
        return value
    bad = np.flatnonzero(np.atleast_1d(value) <= 0)
    if bad.size:
        first = float(np.atleast_1d(value)[bad[0]])
        at = "" if np.ndim(value) == 0 else f" (synapse {bad[0]}, {bad.size} of {np.size(value)})"
        raise DelayError(f"{where}: delay = {first:g} ms{at}; delays must be > 0 ms.")
    return value


def _per_synapse(value: Any, rule: Rule, what: str, unit: str | None = None) -> Value:
    if isinstance(rule, Explicit):
        return finite_values(value, what, size=rule.pre.size, each="synapse", unit=unit)
    if not isinstance(value, Distribution) and np.ndim(value) > 0:
        raise ParameterError(
            f"{what} is an array of shape {np.shape(value)}, but only Explicit(pre, post) knows "
            f"which synapse each value belongs to; give {type(rule).__name__} a number or a "
            "distribution."
        )
    return finite_values(value, what, size=1, each="synapse", unit=unit)


def _short(value: Value) -> str:
    return f"<{value.size} values>" if isinstance(value, np.ndarray) else repr(value)
