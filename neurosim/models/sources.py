"""Spike sources: Poisson generators, given spike times, and the parrot that repeats its input."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurosim.errors import ParameterError
from neurosim.models.base import Model
from neurosim.models.declare import Parameter
from neurosim.models.lists import finite_list, require_increase


class poisson(Model):
    """Independent Poisson spike trains, one for each member; all targets of a member share it.

    Parameters
    ----------
    rate : float or array
        Rate of each train [Hz].
    """

    is_source = True
    parameters = {"rate": Parameter(0.0, "Hz", "rate of each train", ge=0)}


class inhomogeneous_poisson(Model):
    """Poisson spike trains whose common rate changes at given times.

    Parameters
    ----------
    times : (n_changes,) array_like
        Times [ms] from which each rate holds, increasing; the rate is 0 before the first.
    rates : (n_changes,) array_like
        Rates [Hz].
    """

    is_source = True

    def __init__(self, *, times: Any, rates: Any) -> None:
        super().__init__()
        times = finite_list(times, "inhomogeneous_poisson: times", unit="ms")
        rates = finite_list(rates, "inhomogeneous_poisson: rates", unit="Hz")
        if times.shape != rates.shape:
            raise ParameterError(
                f"inhomogeneous_poisson: times has shape {times.shape} and rates {rates.shape}; "
                "give one rate for each time."
            )
        if (rates < 0).any():
            k = int(np.argmax(rates < 0))
            raise ParameterError(
                f"inhomogeneous_poisson: rates has {rates[k]:g} Hz at {k}; rates must be >= 0."
            )
        require_increase(times, "inhomogeneous_poisson: times")
        self.values = {"times": times, "rates": rates}


class spike_source(Model):
    """Spikes at given times.

    Parameters
    ----------
    times : (n_spikes,) array_like
        Spike times [ms], > 0, in any order; multiples of dt unless `round_times`.
    ids : (n_spikes,) array_like of int, optional
        Member that emits each spike; default 0 for all.
    round_times : bool
        Round to the nearest step instead of raising an error for a time off the grid.
    """

    is_source = True

    def __init__(self, *, times: Any, ids: Any = None, round_times: bool = False) -> None:
        super().__init__()
        times = finite_list(times, "spike_source: times", unit="ms")
        ids = np.zeros(times.shape, np.int64) if ids is None else np.array(ids, ndmin=1)
        if times.shape != ids.shape:
            raise ParameterError(
                f"spike_source: times has shape {times.shape} and ids {ids.shape}; "
                "give one id for each spike."
            )
        if ids.size and not np.issubdtype(ids.dtype, np.integer):
            raise ParameterError(
                f"spike_source: ids are of type {ids.dtype}; whole numbers are needed, the member "
                "that emits each spike."
            )
        if (times <= 0).any():
            raise ParameterError(
                f"spike_source: spike time {times.min():g} ms; spikes lie in (0, T], so times "
                "must be > 0."
            )
        order = np.lexsort((ids, times))
        self.values = {
            "times": times[order],
            "ids": ids[order].astype(np.int64),
            "round_times": bool(round_times),
        }


class parrot(Model):
    """Repeat every incoming spike at once, whatever its weight (NEST ``parrot_neuron``)."""

    receptors = {"in": "repeat"}
