"""Spike trains as Neo objects, which Elephant and viziphant work on (optional package)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from neurosim.errors import ParameterError, require
from neurosim.results.spike_trains import SpikeTrains


def to_neo(spikes: SpikeTrains) -> list[Any]:
    """Return a list of `neo.SpikeTrain`, one a neuron, annotated with population and neuron_id.

    Each costs about 0.6 ms: select the neurons that are needed first.

    Raises
    ------
    MissingPackageError
        If neo is not installed.
    """
    neo = require("neo", "neo", "SpikeTrains.to_neo")
    times, start = spikes.by_neuron()
    return [
        neo.SpikeTrain(
            times[start[k] : start[k + 1]],
            units="ms",
            t_start=spikes.t_start,
            t_stop=spikes.t_stop,
            population=spikes.name,
            neuron_id=int(neuron),
        )
        for k, neuron in enumerate(spikes.neuron_ids)
    ]


def from_neo(trains: Sequence[Any], name: str | None = None) -> SpikeTrains:
    """Return the spike trains of a list of `neo.SpikeTrain`, in any unit of time.

    Parameters
    ----------
    trains : sequence of neo.SpikeTrain
        Their annotations ``neuron_id``, where all have one, become the ids; else they are
        numbered in order. The interval spans all of theirs.
    name : str, optional
        Name of the population; by default the annotation ``population`` of the first, or
        "spikes".

    Raises
    ------
    ParameterError
        If the list is empty.
    """
    if not trains:
        raise ParameterError("from_neo: the list is empty, so no interval is known.")
    arrays = [np.asarray(train.rescale("ms").magnitude, np.float64) for train in trains]
    annotated = [train.annotations.get("neuron_id") for train in trains]
    neurons = np.arange(len(trains)) if None in annotated else np.array(annotated, np.int64)
    return SpikeTrains(
        np.concatenate(arrays),
        np.repeat(neurons, [len(a) for a in arrays]),
        len(trains),
        t_start=min(float(train.t_start.rescale("ms")) for train in trains),
        t_stop=max(float(train.t_stop.rescale("ms")) for train in trains),
        name=name or str(trains[0].annotations.get("population", "spikes")),
        neuron_ids=neurons,
    )
