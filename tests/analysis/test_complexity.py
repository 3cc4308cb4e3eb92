"""Lempel-Ziv complexity against its definition, reference values and entropies."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neurosim as ns
from neurosim import analysis, errors
from neurosim.analysis import LempelZivClassifier, NearestMean, entropy_rate, lz76, lz78

NAMED = {  # words of LZ76, phrases of LZ78
    "0001101001000101": (6, 7),
    "0" * 64: (2, 11),
    "01" * 32: (3, 15),
    "10011011100101000010": (8, 10),
}
BERNOULLI = {  # n: mean normalised LZ76 for p = 0.05, 0.1, 0.2, 0.5
    256: (0.354, 0.557, 0.828, 1.109),
    1024: (0.303, 0.509, 0.739, 1.069),
    4096: (0.277, 0.468, 0.751, 1.030),
}
P = (0.05, 0.1, 0.2, 0.5)


def words_by_definition(text):
    """The exhaustive history, letter by letter."""
    words, start = 0, 0
    while start < len(text):
        end = start + 1
        while end < len(text) and text[start:end] in text[: end - 1]:
            end += 1
        words, start = words + 1, end
    return words


def phrases_by_definition(text):
    seen, phrase = set(), ""
    for letter in text:
        phrase += letter
        if phrase not in seen:
            seen.add(phrase)
            phrase = ""
    return len(seen) + bool(phrase)


def markov(n_trains, n, rate, stay, rng):
    """Trains of a stationary two-state chain that stays in its active state with `stay`."""
    enter = rate * (1 - stay) / (1 - rate)
    draws = rng.random((n_trains, n))
    trains = np.zeros((n_trains, n), np.int64)
    trains[:, 0] = draws[:, 0] < rate
    for k in range(1, n):
        trains[:, k] = draws[:, k] < np.where(trains[:, k - 1], stay, enter)
    return trains


@pytest.mark.parametrize("text", NAMED)
def test_reference_values(text):
    assert (lz76(text), lz78(text)) == NAMED[text]


@given(st.text("ab", max_size=60) | st.text("abcd", max_size=40) | st.text(max_size=12))
@settings(max_examples=300, deadline=None)
def test_counts_are_those_of_the_definition(text):
    assert lz76(text) == words_by_definition(text)
    assert lz78(text) == phrases_by_definition(text)


def test_longer_sequences_too():
    rng = np.random.default_rng(0)
    for p in (0.02, 0.3, 0.5):
        text = "".join("01"[b] for b in (rng.random(3000) < p).astype(int))
        assert lz76(text) == words_by_definition(text)
        assert lz78(text) == phrases_by_definition(text)


@given(st.lists(st.integers(0, 3), max_size=50))
@settings(deadline=None)
def test_names_of_symbols_do_not_matter(symbols):
    renamed = [(7 - 3 * s) * 10**6 for s in symbols]
    assert lz76(symbols) == lz76(renamed)
    assert lz78(symbols) == lz78(renamed)
    assert lz76(symbols) == lz76(bytes(symbols)) == lz76(np.array(symbols, float))


@pytest.mark.parametrize("n", BERNOULLI)
def test_bernoulli_sequences(n):
    """The reference means are of 6 samples each; 60 here, within 0.03 at n = 4096."""
    rng = np.random.default_rng(n)
    for p, reference in zip(P, BERNOULLI[n], strict=True):
        found = entropy_rate(rng.random((60, n)) < p)
        error = found.std(ddof=1) * np.sqrt(1 / 60 + 1 / 6)
        assert abs(found.mean() - reference) < max(0.03 if n == 4096 else 0.0, 4 * error)


def test_rates_approach_the_entropy():
    rng = np.random.default_rng(4)
    excess = [entropy_rate(rng.random((4, n)) < 0.2).mean() - 0.7219 for n in (256, 4096, 65536)]
    assert excess[0] > excess[1] > excess[2] > 0
    assert excess[2] < 0.03
    chain = markov(1, 65536, 0.1, 0.5, rng)
    enter = 0.1 * 0.5 / 0.9
    entropy = 0.1 * 1.0 + 0.9 * -(enter * np.log2(enter) + (1 - enter) * np.log2(1 - enter))
    assert entropy_rate(chain)[0] == pytest.approx(entropy, abs=0.03)


@pytest.mark.parametrize("symbols", [2, 200])
def test_a_hundred_thousand_symbols_take_less_than_a_second(symbols):
    rng = np.random.default_rng(1)
    lz76([0, 1]), lz78([0, 1])  # compiled or read from disk
    for sequence in (rng.integers(symbols, size=100_000), np.arange(100_000) % symbols):
        start = time.process_time()
        lz76(sequence), lz78(sequence)
        assert time.process_time() - start < 1.0


def test_shapes():
    rng = np.random.default_rng(2)
    sequences = rng.integers(2, size=(3, 4, 64))
    found = entropy_rate(sequences)
    assert found.shape == (3, 4)
    assert found[1, 2] == lz76(sequences[1, 2]) * 6 / 64
    assert entropy_rate(sequences, variant="lz78")[2, 3] == lz78(sequences[2, 3]) * 6 / 64
    assert lz76([]) == lz78("") == 0


class TestSpikeTrains:
    def test_bins(self):
        spikes = ns.SpikeTrains.from_lists([[0.5, 0.7, 2.5, 3.5], [], [1.5]], t_stop=4.4)
        found = analysis.spike_train_complexity(spikes, 1.0)
        assert found.tolist() == [lz76(t) * 2 / 4 for t in ("1011", "0000", "0100")]
        counted = analysis.spike_train_complexity(spikes, 1.0, binary=False, variant="lz78")
        assert counted.tolist() == [lz78(t) * 2 / 4 for t in ("2011", "0000", "0100")]

    def test_regular_trains_are_simple(self):
        rng = np.random.default_rng(5)
        regular = np.arange(10.0, 1001.0, 10.0)
        poisson = np.sort(rng.random(100)) * 1000.0
        spikes = ns.SpikeTrains.from_lists([regular, poisson], t_stop=1000.0)
        simple, random = analysis.spike_train_complexity(spikes, 1.0)
        assert simple < 0.05 < 0.4 < random

    def test_recordings_are_told_apart(self):
        rng = np.random.default_rng(6)

        def recording(jitter):
            times = np.arange(20.0, 1980.0, 20.0) + jitter * rng.standard_normal((3, 98))
            return ns.SpikeTrains.from_lists([np.sort(t) for t in times], t_stop=2000.0)

        samples = [recording(jitter) for jitter in (0.0, 4.0) * 6]
        labels = ["regular", "jittered"] * 6
        found = LempelZivClassifier.fit_spikes(samples[:6], labels[:6], 2.0)
        assert found.predict_spikes(samples[6:], 2.0).tolist() == labels[6:]


class TestClassifier:
    """1024 bins, 100 trains a class to learn from and 250 to test."""

    def split(self, one, two):
        trains, labels = np.concatenate([one, two]), np.repeat([0, 1], [len(one), len(two)])
        learn = np.tile(np.arange(350) < 100, 2)
        return trains[learn], labels[learn], trains[~learn], labels[~learn]

    def test_two_rates(self):
        rng = np.random.default_rng(7)
        one, two = (rng.random((350, 1024)) < p for p in (0.1, 0.2))
        learn, labels, test, wanted = self.split(one, two)
        assert LempelZivClassifier.fit(learn, labels).score(test, wanted) >= 0.99

    @pytest.mark.parametrize("variant", ["lz76", "lz78"])
    def test_correlations_at_equal_rate(self, variant):
        rng = np.random.default_rng(8)
        one, two = rng.random((350, 1024)) < 0.1, markov(350, 1024, 0.1, 0.8, rng)
        learn, labels, test, wanted = self.split(one.astype(np.int64), two)
        found = LempelZivClassifier.fit(learn, labels, variant=variant)
        assert found.score(test, wanted) >= 0.95
        counts = NearestMean.fit(learn.sum(1, keepdims=True), labels)
        # chance, within 4 standard errors of 500 decisions
        assert counts.score(test.sum(1, keepdims=True), wanted) == pytest.approx(0.5, abs=0.09)

    def test_nearest_mean(self):
        features = [[0.0, 0.0], [2.0, 0.0], [0.0, 9.0]]
        rule = NearestMean.fit(features, ["a", "a", "b"])
        assert rule.means.tolist() == [[1.0, 0.0], [0.0, 9.0]]
        assert rule.predict([[5.0, 4.0], [5.0, 6.0]]).tolist() == ["a", "b"]
        assert rule.score(features, ["a", "b", "b"]) == pytest.approx(2 / 3)


class TestMessages:
    @pytest.mark.parametrize(
        "call, text",
        [
            (lambda: lz76([[0, 1]]), r"lz76: a sequence of shape \(1, 2\)"),
            (lambda: lz78([0.5]), "float64 are not symbols.*Bin or threshold"),
            (lambda: entropy_rate([0]), "at least 2 symbols"),
            (lambda: NearestMean.fit([[1.0]], [0, 1]), "every sample needs one label"),
            (lambda: NearestMean.fit([1.0], [0]), "n_samples, n_features"),
            (lambda: NearestMean.fit([[1.0]], [0]).predict([[1.0, 2.0]]), "2 features.*have 1"),
            (lambda: LempelZivClassifier.fit([0, 1], [0, 1]), r"\(n_samples, n\) or"),
        ],
    )
    def test_what_is_impossible_is_refused(self, call, text):
        with pytest.raises(errors.ParameterError, match=text):
            call()

    def test_one_bin_is_not_enough(self):
        spikes = ns.SpikeTrains.from_lists([[1.0]], t_stop=10.0)
        with pytest.raises(errors.ParameterError, match="needs at least 2"):
            analysis.spike_train_complexity(spikes, 6.0)

    def test_recordings_of_one_size(self):
        spikes = [ns.SpikeTrains.from_lists([[1.0]] * k, t_stop=10.0) for k in (1, 2)]
        with pytest.raises(errors.ParameterError, match=r"recordings of \[1, 2\] neurons"):
            LempelZivClassifier.fit_spikes(spikes, [0, 1], 1.0)

    def test_variants_have_names(self):
        with pytest.raises(errors.UnknownNameError, match="Did you mean 'lz78'"):
            entropy_rate([0, 1], variant="LZ78")
