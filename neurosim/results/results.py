"""All that a run gave: spikes, traces, weights, counters and where they came from."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

from neurosim.errors import unknown_name
from neurosim.results.spike_trains import SpikeTrains
from neurosim.results.traces import Traces
from neurosim.results.weights import WeightTraces

T = TypeVar("T")


class NamedResults(Mapping[str, T], Generic[T]):
    """Results by the name of their population or projection; a wrong name lists the valid ones.

    Parameters
    ----------
    kind : str
        What was recorded, for the error message: "spike recording", ...
    items : mapping
        The results by name.

    Examples
    --------
    >>> NamedResults("spike recording", {"exc": 1})["ex"]
    Traceback (most recent call last):
    ...
    neurosim.errors.UnknownNameError: results has no spike recording 'ex'. Spike recordings: exc. \
Did you mean 'exc'?
    """

    def __init__(self, kind: str, items: Mapping[str, T]) -> None:
        self._kind = kind
        self._items = dict(items)

    def __getitem__(self, name: str) -> T:
        if name not in self._items:
            raise unknown_name(self._kind, name, self._items, "results")
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{n!r}: {r!r}" for n, r in self._items.items()) + "}"


class Results:
    """Everything that was recorded in a run.

    Parameters
    ----------
    spikes : mapping of str to SpikeTrains
        By name of the population.
    traces : mapping of str to Traces
        By name of the population.
    weights : mapping of str to WeightTraces
        By name of the projection.
    metadata : mapping
        Where the results come from: versions, seed, engine, dt [ms], duration [ms], ...
    counters : mapping
        The work that was done: spikes, synaptic_events, neuron_updates, steps, bytes, and
        seconds by phase.

    Examples
    --------
    >>> results = Results(spikes={"exc": SpikeTrains([1.0], [0], n=1)}, metadata={"seed": 1})
    >>> len(results.spikes["exc"])
    1
    """

    def __init__(
        self,
        spikes: Mapping[str, SpikeTrains] | None = None,
        traces: Mapping[str, Traces] | None = None,
        weights: Mapping[str, WeightTraces] | None = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        counters: Mapping[str, Any] | None = None,
    ) -> None:
        self.spikes = NamedResults[SpikeTrains]("spike recording", spikes or {})
        self.traces = NamedResults[Traces]("state recording", traces or {})
        self.weights = NamedResults[WeightTraces]("weight recording", weights or {})
        self.metadata = dict(metadata or {})
        self.counters = dict(counters or {})

    def plot(self, **options: Any) -> Any:
        """Return a figure of all spikes and traces; see `neurosim.plot.overview`."""
        from neurosim.plot import overview

        return overview(self, **options)

    def __repr__(self) -> str:
        parts = [f"{len(s)} spikes of {name!r}" for name, s in self.spikes.items()]
        parts += [f"traces of {name!r}" for name in self.traces]
        parts += [f"weights of {name!r}" for name in self.weights]
        return f"Results({'; '.join(parts) or 'nothing was recorded'})"

    def _repr_html_(self) -> str:
        parts = [
            item._repr_html_()
            for group in (self.spikes, self.traces, self.weights)
            for item in group.values()
        ]
        rows = "".join(
            f"<tr><td>{html.escape(str(key))}</td><td>{html.escape(str(value))}</td></tr>"
            for key, value in (*self.metadata.items(), *self.counters.items())
        )
        table = f"<table>{rows}</table>" if rows else ""
        return "<div>" + "".join(parts) + table + "</div>"
