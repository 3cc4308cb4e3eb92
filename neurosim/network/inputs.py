"""Input that is not a synapse: independent Poisson trains and injected currents."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import ParameterError
from neurosim.models.lists import finite_list, require_increase
from neurosim.network.checks import finite_number
from neurosim.network.population import Target


@dataclass(frozen=True, kw_only=True, eq=False)
class PoissonInput:
    """Poisson trains that are independent for every target; made by `Network.poisson_input`.

    Attributes
    ----------
    name : str
        Unique within the network.
    target : Population or PopulationView
        Who receives them.
    rate : float
        Rate of each train [Hz].
    n : int
        Number of trains onto each target.
    weight : float
        Weight of every spike, in the unit of the receptor.
    receptor : str
        Receptor of the target model.
    """

    name: str
    target: Target
    rate: float
    n: int
    weight: float
    receptor: str


@dataclass(frozen=True, eq=False)
class StepCurrent:
    """A current that changes at given times.

    Parameters
    ----------
    times : (n_steps,) array_like
        Times [ms] from which each value holds, >= 0 and increasing; before the first it is 0.
    values : (n_steps,) array_like
        Currents [pA]; for another parameter than a current, plain numbers in its unit.

    Raises
    ------
    ParameterError
        If the shapes differ, times do not increase, or a number is not finite.

    Examples
    --------
    >>> StepCurrent(times=[0, 100], values=[0, 300])
    StepCurrent(times=[0.0, 100.0], values=[0.0, 300.0])
    """

    times: NDArray[np.float64]
    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        for name, unit in (("times", "ms"), ("values", "pA")):
            array = finite_list(getattr(self, name), f"StepCurrent: {name}", unit=unit)
            object.__setattr__(self, name, array)
        if self.times.shape != self.values.shape:
            raise ParameterError(
                f"StepCurrent: times has shape {self.times.shape} and values "
                f"{self.values.shape}; give one value for each time."
            )
        if not self.times.size:
            raise ParameterError("StepCurrent: times is empty; give at least one step.")
        if self.times[0] < 0:
            raise ParameterError(
                f"StepCurrent: times begin at {self.times[0]:g} ms; they must be >= 0."
            )
        require_increase(self.times, "StepCurrent: times")

    def __repr__(self) -> str:
        return f"StepCurrent(times={self.times.tolist()}, values={self.values.tolist()})"

    def to_dict(self) -> dict[str, Any]:
        """Return the current as plain data (see `current_from_dict`)."""
        return {"current": "StepCurrent", "times": self.times, "values": self.values}


@dataclass(frozen=True)
class NoiseCurrent:
    """Gaussian white noise, held constant for `dt` and independent for every target.

    Parameters
    ----------
    mean, std : float
        Mean and standard deviation of each piece [pA]; for another parameter than a current,
        plain numbers in its unit.
    dt : float, optional
        Length of a piece [ms]; default: the step of the simulation.
    start, stop : float
        Times between which it flows [ms].

    Raises
    ------
    ParameterError
        If a number is not finite (`stop` may be infinite), `std` < 0, `dt` <= 0, `start` < 0 or
        `stop` <= `start`.

    Examples
    --------
    >>> NoiseCurrent(100.0, 20.0, stop=500.0).stop
    500.0
    """

    mean: float
    std: float
    dt: float | None = field(default=None, kw_only=True)
    start: float = field(default=0.0, kw_only=True)
    stop: float = field(default=math.inf, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("mean", "std", "dt", "start", "stop"):
            value = getattr(self, name)
            unbounded = (name == "dt" and value is None) or (name == "stop" and value == math.inf)
            if not unbounded:
                unit = "pA" if name in ("mean", "std") else "ms"
                number = finite_number(value, f"NoiseCurrent: {name}", unit=unit)
                object.__setattr__(self, name, number)
        for name, wrong, expected in (
            ("std", self.std < 0, "a standard deviation must be >= 0"),
            ("dt", self.dt is not None and self.dt <= 0, "a duration must be > 0 ms"),
            ("start", self.start < 0, "a time must be >= 0 ms"),
            ("stop", self.stop <= self.start, f"it must be after start = {self.start:g} ms"),
        ):
            if wrong:
                raise ParameterError(f"NoiseCurrent: {name} = {getattr(self, name)}; {expected}.")

    def to_dict(self) -> dict[str, Any]:
        """Return the current as plain data (see `current_from_dict`)."""
        return {"current": "NoiseCurrent"} | vars(self)


Current = StepCurrent | NoiseCurrent


def current_from_dict(data: dict[str, Any]) -> Current:
    """Return the current that its ``to_dict`` described.

    Examples
    --------
    >>> current_from_dict(NoiseCurrent(1.0, 2.0).to_dict()) == NoiseCurrent(1.0, 2.0)
    True
    """
    values = {k: v for k, v in data.items() if k != "current"}
    kind = data["current"]
    if kind == "StepCurrent":
        return StepCurrent(**values)
    if kind == "NoiseCurrent":
        return NoiseCurrent(**values)
    raise ParameterError(f"unknown current {kind!r}; StepCurrent or NoiseCurrent is needed.")


@dataclass(frozen=True, kw_only=True, eq=False)
class Injection:
    """A current added to a parameter of its targets; made by `Network.inject`.

    Attributes
    ----------
    name : str
        Unique within the network.
    target : Population or PopulationView
        Who receives it.
    current : StepCurrent or NoiseCurrent
        What is added.
    parameter : str
        The parameter of the target's model, such as ``"I_e"``.
    """

    name: str
    target: Target
    current: Current
    parameter: str
