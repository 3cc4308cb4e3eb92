"""What else spike trains offer: statistics, figures and files, each defined where it belongs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.results._arrays import FloatArray, IntArray

if TYPE_CHECKING:
    from neurosim.analysis import Correlations, Psth
    from neurosim.results.spike_trains import SpikeTrains


class Conveniences:
    """Methods of `SpikeTrains` that hand it to a function of another package."""

    @property
    def _trains(self) -> SpikeTrains:
        return cast("SpikeTrains", self)

    # ---- statistics: definitions and sources are in neurosim.analysis

    def counts(self, bin: float) -> IntArray:
        """Return spike counts, (n_bins, n); see `neurosim.analysis.binned_counts`."""
        from neurosim.analysis import binned_counts

        return binned_counts(self._trains, bin)

    def rates(self) -> FloatArray:
        """Return the firing rate of every neuron [Hz], (n,)."""
        from neurosim.analysis import firing_rates

        return firing_rates(self._trains)

    def rate(self) -> float:
        """Return the mean firing rate of the population [Hz]."""
        return float(self.rates().mean()) if self._trains.n else 0.0

    def isi(self) -> FloatArray:
        """Return all inter-spike intervals [ms], neuron after neuron."""
        from neurosim.analysis import isi

        return isi(self._trains)

    def isi_cv(self, *, min_intervals: int = 2) -> FloatArray:
        """Return every neuron's coefficient of variation of intervals, (n,)."""
        from neurosim.analysis import isi_cv

        return isi_cv(self._trains, min_intervals=min_intervals)

    def cv2(self) -> FloatArray:
        """Return every neuron's CV2, the local irregularity, (n,)."""
        from neurosim.analysis import cv2

        return cv2(self._trains)

    def fano(self, window: float) -> FloatArray:
        """Return every neuron's Fano factor of counts in windows [ms], (n,)."""
        from neurosim.analysis import fano_factor

        return fano_factor(self._trains, window)

    def psth(self, bin: float) -> Psth:
        """Return the time histogram of the mean rate: edges [ms] and rate [Hz]."""
        from neurosim.analysis import psth

        return psth(self._trains, bin)

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

        return pairwise_correlation(self._trains, bin, pairs=pairs, sample=sample, seed=seed)

    def synchrony(self, bin: float) -> float:
        """Return Golomb's synchrony chi of the counts; see `neurosim.analysis.synchrony`."""
        from neurosim.analysis import synchrony

        return synchrony(self._trains, bin)

    def first_spike(self, *, after: float | None = None) -> FloatArray:
        """Return every neuron's latency of its first spike [ms], (n,), NaN where none."""
        from neurosim.analysis import first_spike_latency

        return first_spike_latency(self._trains, after=after)

    # ---- out and in

    def plot(self, **options: Any) -> Any:
        """Return a figure of the raster and the population rate; see `neurosim.plot.raster`."""
        from neurosim.plot import raster

        return raster(self._trains, **options)

    def to_numpy(self) -> NDArray[np.void]:
        """Return a structured array with the fields ``time`` [ms] and ``id``."""
        trains = self._trains
        table = np.empty(len(trains), dtype=[("time", np.float64), ("id", np.int64)])
        table["time"], table["id"] = trains.times, trains.ids
        return table

    def to_pandas(self) -> Any:
        """Return a tidy DataFrame with the columns time [ms], neuron and population."""
        from neurosim.io.tables import spikes_to_pandas

        return spikes_to_pandas(self._trains)

    def to_csv(self, path: str | Path) -> None:
        """Write ``time_ms,neuron_id`` lines; see `neurosim.io.write_spikes_csv`."""
        from neurosim.io.tables import write_spikes_csv

        write_spikes_csv(path, self._trains)

    def to_npz(self, path: str | Path) -> None:
        """Write a NumPy archive that `from_npz` reads back without loss."""
        from neurosim.io.tables import write_spikes_npz

        write_spikes_npz(path, self._trains)

    @classmethod
    def from_npz(cls, path: str | Path) -> SpikeTrains:
        """Read what `to_npz` wrote."""
        from neurosim.io.tables import read_spikes_npz

        return read_spikes_npz(path)

    def to_sonata(self, path: str | Path) -> None:
        """Write a SONATA spike file; see `neurosim.io.write_spikes`."""
        from neurosim.io.sonata import write_spikes

        write_spikes(path, self._trains)

    @classmethod
    def from_sonata(cls, path: str | Path, population: str | None = None) -> SpikeTrains:
        """Open one population of a SONATA spike file; spikes are read when first needed."""
        from neurosim.io.sonata import read_spikes

        return read_spikes(path, population)

    def to_neo(self) -> Any:
        """Return a list of `neo.SpikeTrain`, one a neuron (about 0.6 ms each)."""
        from neurosim.io.neo import to_neo

        return to_neo(self._trains)

    def to_nwb(self, path: str | Path, **metadata: Any) -> None:
        """Write an NWB 2 file with a Units table; see `neurosim.io.write_nwb`."""
        from neurosim.io.nwb import write_nwb

        write_nwb(path, self._trains, **metadata)
