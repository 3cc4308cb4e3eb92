"""Spike trains of a population: the sparse record of who fired when."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.errors import ParameterError
from neurosim.results._arrays import FloatArray, IntArray, float_vector, frozen, int_vector
from neurosim.results._source import MemorySource, SpikeSource, by_time

if TYPE_CHECKING:
    from neurosim.analysis import Correlations, Psth

BLOCK = 1 << 20  # spikes in a block: 16 MB, small beside any machine's memory


class SpikeTrains:
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

    # ---- statistics: definitions and sources are in neurosim.analysis

    def counts(self, bin: float) -> IntArray:
        """Return spike counts, (n_bins, n); see `neurosim.analysis.binned_counts`."""
        from neurosim.analysis import binned_counts

        return binned_counts(self, bin)

    def rates(self) -> FloatArray:
        """Return the firing rate of every neuron [Hz], (n,)."""
        from neurosim.analysis import firing_rates

        return firing_rates(self)

    def rate(self) -> float:
        """Return the mean firing rate of the population [Hz]."""
        return float(self.rates().mean()) if self.n else 0.0

    def isi(self) -> FloatArray:
        """Return all inter-spike intervals [ms], neuron after neuron."""
        from neurosim.analysis import isi

        return isi(self)

    def isi_cv(self, *, min_intervals: int = 2) -> FloatArray:
        """Return every neuron's coefficient of variation of intervals, (n,)."""
        from neurosim.analysis import isi_cv

        return isi_cv(self, min_intervals=min_intervals)

    def cv2(self) -> FloatArray:
        """Return every neuron's CV2, the local irregularity, (n,)."""
        from neurosim.analysis import cv2

        return cv2(self)

    def fano(self, window: float) -> FloatArray:
        """Return every neuron's Fano factor of counts in windows [ms], (n,)."""
        from neurosim.analysis import fano_factor

        return fano_factor(self, window)

    def psth(self, bin: float) -> Psth:
        """Return the time histogram of the mean rate: edges [ms] and rate [Hz]."""
        from neurosim.analysis import psth

        return psth(self, bin)

    def correlation(
        self,
        bin: float,
        *,
        pairs: ArrayLike | None = None,
        sample: int | None = None,
        seed: int = 0,
    ) -> Correlations:
        """Return Pearson correlations of counts; see `neurosim.analysis.pairwise_correlation`."""
        from neurosim.analysis import pairwise_correlation

        return pairwise_correlation(self, bin, pairs=pairs, sample=sample, seed=seed)

    def synchrony(self, bin: float) -> float:
        """Return Golomb's synchrony chi of the counts; see `neurosim.analysis.synchrony`."""
        from neurosim.analysis import synchrony

        return synchrony(self, bin)

    def first_spike(self, *, after: float | None = None) -> FloatArray:
        """Return every neuron's latency of its first spike [ms], (n,), NaN where none."""
        from neurosim.analysis import first_spike_latency

        return first_spike_latency(self, after=after)

    # ---- out and in

    def plot(self, **options: Any) -> Any:
        """Return a figure of the raster and the population rate; see `neurosim.plot.raster`."""
        from neurosim.plot import raster

        return raster(self, **options)

    def to_numpy(self) -> NDArray[np.void]:
        """Return a structured array with the fields ``time`` [ms] and ``id``."""
        table = np.empty(len(self), dtype=[("time", np.float64), ("id", np.int64)])
        table["time"], table["id"] = self.times, self.ids
        return table

    def to_pandas(self) -> Any:
        """Return a tidy DataFrame with the columns time [ms], neuron and population."""
        from neurosim.io.tables import spikes_to_pandas

        return spikes_to_pandas(self)

    def to_csv(self, path: str | Path) -> None:
        """Write ``time_ms,neuron_id`` lines; see `neurosim.io.write_spikes_csv`."""
        from neurosim.io.tables import write_spikes_csv

        write_spikes_csv(path, self)

    def to_npz(self, path: str | Path) -> None:
        """Write a NumPy archive that `from_npz` reads back without loss."""
        from neurosim.io.tables import write_spikes_npz

        write_spikes_npz(path, self)

    @classmethod
    def from_npz(cls, path: str | Path) -> SpikeTrains:
        """Read what `to_npz` wrote."""
        from neurosim.io.tables import read_spikes_npz

        return read_spikes_npz(path)

    def to_sonata(self, path: str | Path) -> None:
        """Write a SONATA spike file; see `neurosim.io.write_spikes`."""
        from neurosim.io.sonata import write_spikes

        write_spikes(path, self)

    @classmethod
    def from_sonata(cls, path: str | Path, population: str | None = None) -> SpikeTrains:
        """Open one population of a SONATA spike file; spikes are read when first needed."""
        from neurosim.io.sonata import read_spikes

        return read_spikes(path, population)

    def to_neo(self) -> Any:
        """Return a list of `neo.SpikeTrain`, one a neuron (about 0.6 ms each)."""
        from neurosim.io.neo import to_neo

        return to_neo(self)

    def to_nwb(self, path: str | Path, **metadata: Any) -> None:
        """Write an NWB 2 file with a Units table; see `neurosim.io.write_nwb`."""
        from neurosim.io.nwb import write_nwb

        write_nwb(path, self, **metadata)

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
