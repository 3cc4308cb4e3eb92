"""Lempel-Ziv complexity of sequences and spike trains, and classification by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.analysis.counts import binned_counts
from neurosim.errors import ParameterError, unknown_name
from neurosim.results._arrays import FloatArray, IntArray
from neurosim.results.spike_trains import SpikeTrains

VARIANTS = ("lz76", "lz78")
Symbols = str | bytes | ArrayLike


def lz76(sequence: Symbols) -> int:
    """Return the Lempel-Ziv complexity of a sequence: the words of its exhaustive history.

    Read from the left, a word grows while it occurs in the text before its last symbol; when it
    does not, it ends there and the next begins. An unfinished last word counts.

    Parameters
    ----------
    sequence : str, bytes or (n,) array_like
        Symbols of any alphabet; floats must be whole numbers.

    Returns
    -------
    words : int
        0 for an empty sequence.

    Raises
    ------
    ParameterError
        If the sequence is not one-dimensional or its values are not symbols.

    Notes
    -----
    Lempel & Ziv (1976), IEEE Trans. Inform. Theory 22:75. In a time proportional to n (and to the
    number of symbols at worst), with a suffix automaton.

    Examples
    --------
    >>> lz76("0001101001000101")  # 0 001 10 100 1000 101
    6
    """
    return int(_counts(_symbols(sequence, "lz76")[None], "lz76")[0])


def lz78(sequence: Symbols) -> int:
    """Return the number of phrases of the incremental parsing of a sequence.

    A phrase is the shortest piece, from where the last one ended, that was not a phrase before. An
    unfinished last phrase counts.

    Parameters
    ----------
    sequence : str, bytes or (n,) array_like
        Symbols of any alphabet; floats must be whole numbers.

    Returns
    -------
    phrases : int

    Raises
    ------
    ParameterError
        If the sequence is not one-dimensional or its values are not symbols.

    Notes
    -----
    Ziv & Lempel (1978), IEEE Trans. Inform. Theory 24:530.

    Examples
    --------
    >>> lz78("0001101001000101")  # 0 00 1 10 100 1000 101
    7
    """
    return int(_counts(_symbols(sequence, "lz78")[None], "lz78")[0])


def entropy_rate(sequences: ArrayLike, *, variant: str = "lz76") -> FloatArray:
    """Return the normalised complexity of sequences of equal length, c log2(n)/n.

    Parameters
    ----------
    sequences : (..., n) array_like
        Symbols along the last axis, n at least 2.
    variant : {"lz76", "lz78"}, default "lz76"

    Returns
    -------
    rate : (...) float64
        Bits a symbol. For an ergodic source it tends to the entropy rate as n grows, mostly from
        above: random bits have 1.11, 1.07 and 1.03 for n = 256, 1024 and 4096.

    Raises
    ------
    ParameterError
        If n is below 2 or values are not symbols.
    UnknownNameError
        For another variant.

    Notes
    -----
    Ziv (1978), IEEE Trans. Inform. Theory 24:405.

    Examples
    --------
    >>> entropy_rate([[0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 1, 0, 1, 1, 0, 1]]).tolist()
    [0.75, 1.5]
    """
    array = np.asarray(sequences)
    if array.ndim == 0 or array.shape[-1] < 2:
        raise ParameterError(
            f"entropy_rate: sequences have shape {array.shape}: at least 2 symbols along the last "
            "axis are expected."
        )
    n = array.shape[-1]
    symbols = _symbols(array.ravel(), "entropy_rate").reshape(-1, n)
    counts = _counts(symbols, variant).reshape(array.shape[:-1])
    return np.asarray(counts * (np.log2(n) / n), dtype=np.float64)


def spike_train_complexity(
    spikes: SpikeTrains, bin: float, *, variant: str = "lz76", binary: bool = True
) -> FloatArray:
    """Return the normalised Lempel-Ziv complexity of every neuron's spike train.

    Parameters
    ----------
    spikes : SpikeTrains
    bin : float
        Length of a bin [ms]; a last, partial bin is left out.
    variant : {"lz76", "lz78"}, default "lz76"
    binary : bool, default True
        Whether a symbol says that there is a spike in the bin, or how many.

    Returns
    -------
    rate : (n,) float64
        Bits a bin, see `entropy_rate`.

    Raises
    ------
    ParameterError
        If the bin is not positive, or fewer than two fit into the recorded interval.
    UnknownNameError
        For another variant.

    Notes
    -----
    Amigo et al. (2004), Estimating the entropy rate of spike trains via Lempel-Ziv complexity,
    Neural Comput. 16:717.

    Examples
    --------
    >>> regular = SpikeTrains.from_lists([range(10, 1001, 10)], t_stop=1000.0)
    >>> spike_train_complexity(regular, 1.0).round(4)
    array([0.0299])
    """
    counts = binned_counts(spikes, bin).T
    if counts.shape[1] < 2:
        raise ParameterError(
            f"bin = {bin} ms: {counts.shape[1]} bin fits into the recorded interval of spikes "
            f"{spikes.name!r} ({spikes.duration} ms); complexity needs at least 2."
        )
    return entropy_rate(np.minimum(counts, 1) if binary else counts, variant=variant)


@dataclass(frozen=True)
class NearestMean:
    """Decide for the class whose mean is nearest, by Euclidean distance.

    Attributes
    ----------
    classes : (n_classes,) array
        Labels.
    means : (n_classes, n_features) float64

    Examples
    --------
    >>> rule = NearestMean.fit([[0.0], [0.2], [1.0]], ["quiet", "quiet", "active"])
    >>> rule.predict([[0.3], [0.8]]).tolist()
    ['quiet', 'active']
    """

    classes: NDArray[Any]
    means: FloatArray

    @classmethod
    def fit(cls, features: ArrayLike, labels: ArrayLike) -> NearestMean:
        """Return the rule of samples with known classes.

        Parameters
        ----------
        features : (n_samples, n_features) array_like
        labels : (n_samples,) array_like

        Raises
        ------
        ParameterError
            If shapes do not fit, there is no sample, or a feature is not finite.
        """
        table, names = _features(features), np.asarray(labels)
        if names.shape != table.shape[:1] or not len(names):
            raise ParameterError(
                f"NearestMean.fit: labels have shape {names.shape}, features {table.shape}; every "
                "sample needs one label, and there must be at least one."
            )
        classes, place = np.unique(names, return_inverse=True)
        sums = np.zeros((len(classes), table.shape[1]))
        np.add.at(sums, place, table)
        return cls(classes, sums / np.bincount(place)[:, None])

    def predict(self, features: ArrayLike) -> NDArray[Any]:
        """Return the label of each sample, (n_samples,); of equally near classes the first.

        Raises
        ------
        ParameterError
            If the number of features is another than at `fit`.
        """
        table = _features(features)
        if table.shape[1] != self.means.shape[1]:
            raise ParameterError(
                f"NearestMean.predict: {table.shape[1]} features, but the means have "
                f"{self.means.shape[1]}."
            )
        distance = ((table[:, None] - self.means) ** 2).sum(axis=-1)
        return np.asarray(self.classes[distance.argmin(axis=1)])

    def score(self, features: ArrayLike, labels: ArrayLike) -> float:
        """Return the part of the samples that are given their label."""
        return float((self.predict(features) == np.asarray(labels)).mean())


@dataclass(frozen=True)
class LempelZivClassifier:
    """Decide by the Lempel-Ziv complexity of sequences: the class with the nearest mean.

    A sample is one sequence, or several (the output trains of a network), whose complexities are
    its features. It sees order and timing, where a count of spikes sees the rate alone.

    Attributes
    ----------
    rule : NearestMean
    variant : str

    Notes
    -----
    After Rudnicka, Szczepanski & Pregowska (2025), arXiv:2508.11674.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sequences = rng.random((40, 1024)) < np.repeat([0.1, 0.2], 20)[:, None]
    >>> labels = np.repeat(["low", "high"], 20)
    >>> LempelZivClassifier.fit(sequences[::2], labels[::2]).score(sequences[1::2], labels[1::2])
    1.0
    """

    rule: NearestMean
    variant: str

    @classmethod
    def fit(
        cls, sequences: ArrayLike, labels: ArrayLike, *, variant: str = "lz76"
    ) -> LempelZivClassifier:
        """Return the classifier of sequences with known classes.

        Parameters
        ----------
        sequences : (n_samples, n) or (n_samples, n_trains, n) array_like
            Symbols, such as spikes in bins.
        labels : (n_samples,) array_like
        variant : {"lz76", "lz78"}, default "lz76"

        Raises
        ------
        ParameterError
            If shapes do not fit.
        UnknownNameError
            For another variant.
        """
        return cls(NearestMean.fit(_complexities(sequences, variant), labels), variant)

    @classmethod
    def fit_spikes(
        cls, samples: Sequence[SpikeTrains], labels: ArrayLike, bin: float, *, variant: str = "lz76"
    ) -> LempelZivClassifier:
        """Return the classifier of recordings, each a sample with all its neurons.

        `bin` [ms] is that of `spike_train_complexity`; all recordings have equally many neurons.
        """
        return cls(NearestMean.fit(_recorded(samples, bin, variant), labels), variant)

    def predict(self, sequences: ArrayLike) -> NDArray[Any]:
        """Return the label of each sample, (n_samples,)."""
        return self.rule.predict(_complexities(sequences, self.variant))

    def predict_spikes(self, samples: Sequence[SpikeTrains], bin: float) -> NDArray[Any]:
        """Return the label of each recording, (n_samples,)."""
        return self.rule.predict(_recorded(samples, bin, self.variant))

    def score(self, sequences: ArrayLike, labels: ArrayLike) -> float:
        """Return the part of the samples that are given their label."""
        return float((self.predict(sequences) == np.asarray(labels)).mean())


def _complexities(sequences: ArrayLike, variant: str) -> FloatArray:
    array = np.asarray(sequences)
    if array.ndim not in (2, 3):
        raise ParameterError(
            f"LempelZivClassifier: sequences have shape {array.shape}: (n_samples, n) or "
            "(n_samples, n_trains, n) is expected."
        )
    return entropy_rate(array, variant=variant).reshape(len(array), -1)


def _recorded(samples: Sequence[SpikeTrains], bin: float, variant: str) -> FloatArray:
    sizes = {spikes.n for spikes in samples}
    if len(sizes) != 1:
        raise ParameterError(
            f"LempelZivClassifier: recordings of {sorted(sizes)} neurons; all must have equally "
            "many."
        )
    return np.stack([spike_train_complexity(s, bin, variant=variant) for s in samples])


def _features(features: ArrayLike) -> FloatArray:
    table = np.asarray(features, dtype=np.float64)
    if table.ndim != 2 or not np.isfinite(table).all():
        raise ParameterError(
            f"NearestMean: features have shape {table.shape}: finite numbers of shape (n_samples, "
            "n_features) are expected."
        )
    return table


def _symbols(sequence: Symbols, function: str) -> IntArray:
    """Return a sequence as the numbers of its symbols, (n,) int64."""
    if isinstance(sequence, str):
        return np.array([ord(symbol) for symbol in sequence], dtype=np.int64)
    if isinstance(sequence, bytes):
        return np.frombuffer(sequence, np.uint8).astype(np.int64)
    array = np.asarray(sequence)
    if array.ndim != 1:
        raise ParameterError(f"{function}: a sequence of shape {array.shape}; one dimension only.")
    if array.size == 0 or array.dtype.kind in "biu":
        return array.astype(np.int64)
    if array.dtype.kind == "f" and np.array_equal(array, np.floor(array)):
        return array.astype(np.int64)
    raise ParameterError(
        f"{function}: values of type {array.dtype} are not symbols: give whole numbers, booleans, "
        "bytes or a text. Bin or threshold real values first."
    )


def _counts(rows: IntArray, variant: str) -> IntArray:
    if variant not in VARIANTS:
        raise unknown_name("variant", variant, VARIANTS, "Lempel-Ziv complexity")
    # compiled code is loaded by those who count
    from neurosim.analysis.kernels import count_rows

    return np.asarray(count_rows(np.ascontiguousarray(rows), variant == "lz78"))
