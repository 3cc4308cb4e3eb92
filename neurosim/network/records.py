"""What to record: small descriptions passed to `simulate` as ``record=[...]``."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from neurosim.errors import RecordingError, UnitError, unknown_name
from neurosim.network.population import Population, PopulationView, Target
from neurosim.units import magnitude

if TYPE_CHECKING:
    from neurosim.network.projection import Projection


def _check_target(target: Any, what: str) -> None:
    if not isinstance(target, Population | PopulationView):
        raise RecordingError(
            f"{what}: a population or a view of one is needed, not {type(target).__name__}."
        )


def _check_interval(interval: Any, what: str) -> float:
    try:
        value = float(magnitude(interval, "ms", f"{what}: interval"))
    except UnitError:
        raise
    except (TypeError, ValueError):
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise RecordingError(f"{what}: interval = {interval!r} ms; it must be finite and > 0.")
    return value


@dataclass(frozen=True)
class Spikes:
    """Record the spikes of a population or of some of its members.

    Parameters
    ----------
    target : Population or PopulationView
        Whose spikes.
    to : str or Path, optional
        SONATA file (HDF5) to which they are written while the simulation runs; an existing one is
        replaced. Several populations may share one.
    """

    target: Target
    to: str | None = None

    def __post_init__(self) -> None:
        _check_target(self.target, "Spikes")
        if self.to is not None:
            if not isinstance(self.to, str | os.PathLike):
                raise RecordingError(
                    f"Spikes({self.target.name}): to = {self.to!r}; the path of a file is needed."
                )
            object.__setattr__(self, "to", os.fspath(self.to))


@dataclass(frozen=True)
class State:
    """Record states (such as the membrane potential) at regular times.

    Parameters
    ----------
    target : Population or PopulationView
        Whose states.
    names : list of str
        Names of states of the model.
    interval : float
        Time between two samples [ms]; the first is taken at `interval`.

    Raises
    ------
    UnknownNameError
        If the model has no such state.
    RecordingError
        If the target is a spike source, or the interval is not positive.
    """

    target: Target
    names: Sequence[str]
    interval: float = 1.0

    def __post_init__(self) -> None:
        _check_target(self.target, "State")
        model = self.target.model
        what = f"State({self.target.name})"
        if not isinstance(self.names, Iterable):
            raise RecordingError(
                f"{what}: names = {self.names!r}; a list is needed. "
                f"States: {', '.join(model.states)}."
            )
        names = (self.names,) if isinstance(self.names, str) else tuple(self.names)
        if not model.states:
            raise RecordingError(f"{what}: {model.name} has no states to record; use Spikes.")
        if not names:
            raise RecordingError(f"{what}: no state named. States: {', '.join(model.states)}.")
        for name in names:
            if name not in model.states:
                raise unknown_name("state", name, model.states, model.name)
        if len(set(names)) < len(names):
            raise RecordingError(f"{what}: a state is named twice in {list(names)}.")
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "interval", _check_interval(self.interval, what))


@dataclass(frozen=True)
class Weights:
    """Record the weights of a projection at regular times.

    Parameters
    ----------
    projection : Projection
        Whose weights.
    interval : float
        Time between two samples [ms]; the first is taken at `interval`.
    """

    projection: Projection
    interval: float

    def __post_init__(self) -> None:
        from neurosim.network.projection import Projection

        if not isinstance(self.projection, Projection):
            raise RecordingError(
                f"Weights: a projection is needed, not {type(self.projection).__name__}."
            )
        what = f"Weights({self.projection.name})"
        object.__setattr__(self, "interval", _check_interval(self.interval, what))


Record = Spikes | State | Weights
