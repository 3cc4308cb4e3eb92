"""Spike trains of a population: the sparse record of who fired when."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike

from neurosim.errors import ParameterError
from neurosim.results._arrays import FloatArray, IntArray, float_vector, frozen, int_vector
from neurosim.results._conveniences import Conveniences
from neurosim.results._source import MemorySource, SpikeSource, by_time

BLOCK = 1 << 20  # spikes in a block: 16 MB, small beside any machine's memory


class SpikeTrains(Conveniences):
    """Spikes of `n` neurons between `t_start` and `t_stop`, sorted by time, then id.

    The spikes of a run lie in (0, T], so every interval here is open at its left end and
    closed at its right; a spike exactly at `t_start` belongs to the first interval.

    Parameters
    ----------
    times : (n_spikes,) array_like
        Spike times [ms], finite, in any order.
    ids : (n_spikes,) array_like of int
        The neuron of each spike, numbered within its population.
    n : int
        Number of neurons that were recorded, silent ones included.
    t_start, t_stop : float
        The recorded interval [ms]; without `t_stop` it ends at the last spike.
    name : str
        Name of the population.
    neuron_ids : (n,) array_like of int, optional
        The recorded neurons where they are not 0 to n - 1 (a view of a population). Every
        statistic has one value a neuron in this order.

    Raises
    ------
    ParameterError
        If lengths differ, a time is not finite or lies outside the interval, or an id is not
        one of the recorded neurons.

    Examples
    --------
    >>> spikes = SpikeTrains([3.0, 1.0, 2.0], [0, 0, 1], n=3, t_stop=10.0)
    >>> spikes.times
    array([1., 2., 3.])
    >>> spikes.rates()
    array([200., 100.,   0.])
    """

    def __init__(
        self,
        times: ArrayLike,
        ids: ArrayLike,
        n: int,
        *,
        t_start: float = 0.0,
        t_stop: float | None = None,
        name: str = "spikes",
        neuron_ids: ArrayLike | None = None,
    ) -> None:
        given_times = float_vector(times, f"times of spikes {name!r}")
        given_ids = int_vector(ids, f"ids of spikes {name!r}")
        if len(given_times) != len(given_ids):
            raise ParameterError(
                f"spikes {name!r}: {len(given_times)} times and {len(given_ids)} ids; "
                "every spike has one of each."
            )
        sorted_times, sorted_ids = by_time(given_times, given_ids)
        last = float(sorted_times[-1]) if len(sorted_times) else t_start
        self._set(
            MemorySource(frozen(sorted_times), frozen(sorted_ids)),
            n,
            t_start,
            last if t_stop is None else t_stop,
            name,
            neuron_ids,
        )
        if len(sorted_times) and not (self.t_start <= sorted_times[0] and last <= self.t_stop):
            outside = sorted_times[0] if sorted_times[0] < self.t_start else last
            raise ParameterError(
                f"spikes {name!r}: a spike at {outside} ms lies outside the interval "
                f"{self.t_start} to {self.t_stop} ms."
            )
        self.positions(self.ids)

    @classmethod
    def from_source(
        cls,
        source: SpikeSource,
        n: int,
        *,
        t_start: float,
        t_stop: float,
        name: str,
        neuron_ids: ArrayLike | None = None,
    ) -> SpikeTrains:
        """Return trains that read from `source` when they are first needed (see `io.sonata`)."""
        trains = object.__new__(cls)
        trains._set(source, n, t_start, t_stop, name, neuron_ids)
        return trains

    def _set(
        self,
        source: SpikeSource,
        n: int,
        t_start: float,
        t_stop: float,
        name: str,
        neuron_ids: ArrayLike | None,
    ) -> None:
        if n < 0:
            raise ParameterError(f"spikes {name!r}: n = {n} neurons; at least 0 are expected.")
        if not (np.isfinite(t_start) and np.isfinite(t_stop) and t_start <= t_stop):
            raise ParameterError(
                f"spikes {name!r}: the interval {t_start} to {t_stop} ms is not finite and ordered."
            )
        self._source: SpikeSource = source
        self._grouped: tuple[FloatArray, IntArray] | None = None
        self.n = int(n)
        self.t_start = float(t_start)
        self.t_stop = float(t_stop)
        self.name = str(name)
        self._neuron_ids: IntArray | None = None
        self._sorter: IntArray | None = None
        if neuron_ids is not None:
            self._set_neuron_ids(int_vector(neuron_ids, f"neuron_ids of spikes {name!r}"))

    def _set_neuron_ids(self, neurons: IntArray) -> None:
        if len(neurons) != self.n or len(np.unique(neurons)) != self.n:
            raise ParameterError(
                f"spikes {self.name!r}: neuron_ids must hold n = {self.n} different ids, "
                f"it holds {len(neurons)} ({len(np.unique(neurons))} different)."
            )
        if not np.array_equal(neurons, np.arange(self.n)):
            self._neuron_ids = frozen(neurons.copy())
            self._sorter = np.argsort(neurons, kind="stable")

    @classmethod
    def from_lists(
        cls,
        trains: Sequence[ArrayLike],
        *,
        t_start: float = 0.0,
        t_stop: float | None = None,
        name: str = "spikes",
    ) -> SpikeTrains:
        """Return the trains given as one list of spike times [ms] a neuron.

        Examples
        --------
        >>> SpikeTrains.from_lists([[1.0, 5.0], [], [3.0]], t_stop=10.0).ids
        array([0, 2, 0])
        """
        arrays = [np.asarray(train, dtype=np.float64) for train in trains]
        times = np.concatenate(arrays) if arrays else np.empty(0)
        ids = np.repeat(np.arange(len(arrays)), [len(a) for a in arrays])
        return cls(times, ids, len(arrays), t_start=t_start, t_stop=t_stop, name=name)

    # ---- content

    @property
    def times(self) -> FloatArray:
        """Spike times [ms], (n_spikes,) float64, ascending."""
        return self._load().times

    @property
    def ids(self) -> IntArray:
        """The neuron of each spike, (n_spikes,) int64; ascending among equal times."""
        return self._load().ids

    def _load(self) -> MemorySource:
        if not isinstance(self._source, MemorySource):
            times, ids = by_time(*self._source.read(0, self._source.n_spikes))
            self._source = MemorySource(frozen(times), frozen(ids))
        return self._source

    @property
    def neuron_ids(self) -> IntArray:
        """The recorded neurons, (n,) int64, in the order of every per-neuron statistic."""
        return np.arange(self.n) if self._neuron_ids is None else self._neuron_ids

    @property
    def duration(self) -> float:
        """Length of the recorded interval [ms]."""
        return self.t_stop - self.t_start

    def __len__(self) -> int:
        return self._source.n_spikes

    def blocks(self, size: int = BLOCK) -> Iterator[tuple[FloatArray, IntArray]]:
        """Yield (times, ids) in stretches of at most `size` spikes.

        A recording in a file is read piece by piece and not kept.
        """
        for start in range(0, len(self), size):
            yield self._source.read(start, min(start + size, len(self)))

    def positions(self, ids: ArrayLike) -> IntArray:
        """Return the place of each id in `neuron_ids`.

        Raises
        ------
        ParameterError
            If an id was not recorded.
        """
        wanted = int_vector(ids, f"ids of spikes {self.name!r}")
        if self._neuron_ids is None or self._sorter is None:
            place, known = wanted, (wanted >= 0) & (wanted < self.n)
        else:
            found = np.searchsorted(self._neuron_ids, wanted, sorter=self._sorter)
            place = self._sorter[np.minimum(found, self.n - 1)]
            known = self._neuron_ids[place] == wanted
        if not known.all():
            raise ParameterError(
                f"spikes {self.name!r} hold no neuron {wanted[~known][0]}: "
                f"{_describe_ids(self.neuron_ids)} were recorded."
            )
        return place

    def by_neuron(self) -> tuple[FloatArray, IntArray]:
        """Return the times [ms] grouped by neuron, and where each group begins.

        Returns
        -------
        times : (n_spikes,) float64
            The neuron at place k has ``times[start[k]:start[k + 1]]``, ascending.
        start : (n + 1,) int64

        Examples
        --------
        >>> SpikeTrains([1.0, 2.0, 3.0], [0, 1, 0], n=2).by_neuron()
        (array([1., 3., 2.]), array([0, 2, 3]))
        """
        if self._grouped is None:
            place = self.positions(self.ids)
            order = np.argsort(place, kind="stable")
            start = np.zeros(self.n + 1, np.int64)
            np.cumsum(np.bincount(place, minlength=self.n), out=start[1:])
            self._grouped = (frozen(self.times[order]), frozen(start))
        return self._grouped

    def of(self, neuron: int) -> FloatArray:
        """Return the spike times [ms] of one neuron."""
        place = int(self.positions([neuron])[0])
        times, start = self.by_neuron()
        return times[start[place] : start[place + 1]]

    def select(self, ids: ArrayLike) -> SpikeTrains:
        """Return the trains of some neurons; ids keep their numbers."""
        chosen = int_vector(ids, f"ids of spikes {self.name!r}")
        wanted = np.zeros(self.n, bool)
        wanted[self.positions(chosen)] = True
        keep = wanted[self.positions(self.ids)]
        return SpikeTrains(
            self.times[keep],
            self.ids[keep],
            len(chosen),
            t_start=self.t_start,
            t_stop=self.t_stop,
            name=self.name,
            neuron_ids=chosen,
        )

    def window(self, t_start: float, t_stop: float) -> SpikeTrains:
        """Return the spikes with t_start < t <= t_stop [ms].

        Windows that share an end share no spike. A spike exactly at the beginning of the
        recording stays in a window that begins there. From a file only the window is read.

        Raises
        ------
        ParameterError
            If the window is not inside the recorded interval.
        """
        if not self.t_start <= t_start <= t_stop <= self.t_stop:
            raise ParameterError(
                f"spikes {self.name!r}: the window {t_start} to {t_stop} ms is not inside the "
                f"recorded interval {self.t_start} to {self.t_stop} ms."
            )
        first = 0 if t_start == self.t_start else self._source.search(t_start)
        times, ids = self._source.read(first, self._source.search(t_stop))
        return SpikeTrains(
            times,
            ids,
            self.n,
            t_start=t_start,
            t_stop=t_stop,
            name=self.name,
            neuron_ids=self._neuron_ids,
        )

    def __getitem__(self, key: int | slice | ArrayLike) -> FloatArray | SpikeTrains:
        """``spikes[7]`` are the times of neuron 7, ``spikes[ids]`` the trains of several."""
        if isinstance(key, int | np.integer):
            return self.of(int(key))
        if isinstance(key, slice):
            return self.select(self.neuron_ids[key])
        return self.select(key)

    def equals(self, other: SpikeTrains) -> bool:
        """Say whether both hold the same spikes of the same neurons in the same interval."""
        return (
            len(self) == len(other)
            and (self.t_start, self.t_stop) == (other.t_start, other.t_stop)
            and np.array_equal(self.neuron_ids, other.neuron_ids)
            and np.array_equal(self.times, other.times)
            and np.array_equal(self.ids, other.ids)
        )

    def __repr__(self) -> str:
        return (
            f"SpikeTrains({self.name!r}: {len(self)} spikes of {self.n} neurons, "
            f"{self.t_start:g} to {self.t_stop:g} ms)"
        )

    def _repr_html_(self) -> str:
        rate = f"{self.rate():.3g}" if self.n and self.duration > 0 else "&ndash;"
        return (
            "<table><tr><th>population</th><th>neurons</th><th>spikes</th>"
            "<th>interval [ms]</th><th>mean rate [Hz]</th></tr>"
            f"<tr><td>{html.escape(self.name)}</td><td>{self.n}</td><td>{len(self)}</td>"
            f"<td>{self.t_start:g} to {self.t_stop:g}</td><td>{rate}</td></tr></table>"
        )


def _describe_ids(ids: IntArray) -> str:
    if not len(ids):
        return "none"
    if np.array_equal(ids, np.arange(len(ids))):
        return f"ids 0 to {len(ids) - 1}"
    shown = ", ".join(map(str, ids[:8]))
    return f"ids {shown}{', ...' if len(ids) > 8 else ''}"
