"""Statistics of spike trains against closed forms and cases computed by hand.

Statistical tests have fixed seeds; their tolerances are five standard errors or more, so that a
correct program would fail for fewer than one seed in a million.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurosim import analysis
from neurosim.errors import ParameterError
from neurosim.results import SpikeTrains


def gamma_trains(order, rate=50.0, n=200, duration=20_000.0, seed=1):
    """Return n renewal processes with gamma intervals of the given order and rate [Hz]."""
    rng = np.random.default_rng(seed)
    size = int(2 * rate * duration / 1000)
    trains = np.cumsum(rng.gamma(order, 1000.0 / (rate * order), size=(n, size)), axis=1)
    return SpikeTrains.from_lists([t[t <= duration] for t in trains], t_stop=duration)


@pytest.fixture(scope="module")
def poisson():
    return gamma_trains(1)


@pytest.fixture(scope="module")
def regular():
    return SpikeTrains.from_lists([np.arange(5.0, 1000.0, 10.0)] * 3, t_stop=1000.0)


class TestPoisson:
    def test_rate(self, poisson):
        # 200 neurons, 20 s, 50 Hz: 200,000 spikes, standard error 50/sqrt(200,000) = 0.11 Hz
        assert poisson.rate() == pytest.approx(50.0, abs=0.6)

    def test_cv_cv2_lv_and_fano_are_one(self, poisson):
        # a CV of k intervals has standard deviation about 1/sqrt(k), and so have the others
        for value in (poisson.isi_cv(), poisson.cv2(), analysis.lv(poisson)):
            assert len(value) == 200
            assert value.mean() == pytest.approx(1.0, abs=0.015)
        assert poisson.fano(100.0).mean() == pytest.approx(1.0, abs=0.03)

    def test_pairs_are_uncorrelated(self, poisson):
        found = poisson.correlation(20.0, sample=50, seed=3).coefficient
        assert len(found) == 50 * 49 // 2
        assert found.mean() == pytest.approx(0.0, abs=5e-3)
        assert found.std() == pytest.approx(1 / np.sqrt(1000), rel=0.15)  # 1000 bins

    def test_synchrony_of_independent_neurons_is_one_over_root_n(self, poisson):
        assert poisson.synchrony(10.0) == pytest.approx(1 / np.sqrt(200), rel=0.1)

    def test_spectrum_is_flat_at_two_rates_over_n(self, poisson):
        spectrum = analysis.rate_spectrum(poisson, bin=1.0, segment=500.0)
        inner = spectrum.density[2:-2]
        assert inner.mean() == pytest.approx(2 * 50.0 / 200, rel=0.05)

    def test_intervals_are_exponential(self, poisson):
        rng = np.random.default_rng(2)
        expected = rng.exponential(20.0, size=200_000)
        # critical distance of two samples of 200,000 at 1e-6: 2.7 * sqrt(2 / 200,000)
        assert analysis.ks_distance(poisson.isi(), expected) < 0.0085


@pytest.mark.parametrize("order", [2, 4, 9])
def test_gamma_process(order):
    spikes = gamma_trains(order)
    assert spikes.isi_cv().mean() == pytest.approx(1 / np.sqrt(order), abs=0.01)
    assert analysis.lv(spikes).mean() == pytest.approx(3 / (2 * order + 1), abs=0.01)


class TestRegular:
    def test_irregularity_is_zero(self, regular):
        for value in (regular.isi_cv(), regular.cv2(), analysis.lv(regular), regular.fano(100.0)):
            np.testing.assert_allclose(value, 0.0, atol=1e-12)

    def test_identical_trains_are_synchronous_and_correlated(self, regular):
        assert regular.synchrony(4.0) == pytest.approx(1.0)
        np.testing.assert_allclose(regular.correlation(4.0).coefficient, 1.0)

    def test_spectrum_peaks_at_the_rate(self, regular):
        spectrum = analysis.rate_spectrum(regular, bin=1.0)
        fundamental = spectrum.frequency < 150
        peak = spectrum.density[fundamental].argmax()
        assert spectrum.frequency[peak] == pytest.approx(100.0)


class TestBins:
    def test_a_spike_on_an_edge_belongs_to_the_bin_that_ends_there(self):
        spikes = SpikeTrains.from_lists([[0.0, 10.0, 10.0 + 1e-3, 20.0]], t_stop=20.0)
        np.testing.assert_array_equal(spikes.counts(10.0)[:, 0], [2, 2])

    def test_grid_times_do_not_slip_into_the_next_bin(self):
        # 3 * 0.1 = 0.30000000000000004: rounding must not move a spike across an edge
        times = np.arange(1, 1001) * 0.1
        spikes = SpikeTrains(times, np.zeros(1000, int), 1, t_stop=100.0)
        np.testing.assert_array_equal(spikes.counts(0.3)[:, 0], 3)
        np.testing.assert_array_equal(spikes.counts(0.7)[:, 0], 7)

    def test_a_partial_bin_is_left_out(self):
        spikes = SpikeTrains.from_lists([[1.0, 9.5]], t_stop=10.0)
        np.testing.assert_array_equal(spikes.counts(4.0)[:, 0], [1, 0])

    def test_the_interval_need_not_begin_at_zero(self):
        spikes = SpikeTrains.from_lists([[105.0, 115.0]], t_start=100.0, t_stop=120.0)
        np.testing.assert_array_equal(spikes.counts(10.0)[:, 0], [1, 1])
        np.testing.assert_allclose(spikes.psth(10.0).edges, [100, 110, 120])
        np.testing.assert_allclose(spikes.psth(10.0).rate, [100, 100])

    @pytest.mark.parametrize("bin", [0.0, -1.0, np.nan, np.inf, 21.0])
    def test_a_senseless_bin_is_refused(self, bin):
        spikes = SpikeTrains.from_lists([[5.0]], t_stop=20.0)
        for call in (spikes.counts, spikes.psth, spikes.fano, spikes.synchrony):
            with pytest.raises(ParameterError, match="bin"):
                call(bin)

    @settings(max_examples=50, deadline=None)
    @given(
        st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 4)), max_size=60),
        st.integers(1, 100),
    )
    def test_counts_add_up(self, spikes, steps):
        times, ids = [k * 0.1 for k, _ in spikes], [i for _, i in spikes]
        trains = SpikeTrains(times, ids, 5, t_stop=100.0)
        counts = trains.counts(steps * 0.1)
        whole = (1000 // steps) * steps
        assert counts.sum() == sum(k <= whole for k, _ in spikes)
        np.testing.assert_array_equal(
            counts.sum(axis=1), analysis.population_counts(trains, steps * 0.1)
        )


class TestByHand:
    def test_cv_of_two_intervals(self):
        # intervals 10 and 30: mean 20, standard deviation 10
        spikes = SpikeTrains.from_lists([[0.0, 10.0, 40.0]])
        assert spikes.isi_cv()[0] == pytest.approx(0.5)
        assert spikes.cv2()[0] == pytest.approx(2 * 20 / 40)

    def test_too_few_spikes_are_nan(self):
        spikes = SpikeTrains.from_lists([[], [1.0], [1.0, 2.0]], t_stop=10.0)
        assert np.isnan(spikes.isi_cv()).all()
        assert np.isnan(spikes.cv2()).all()
        assert np.isnan(spikes.isi_cv(min_intervals=3)).all()
        with pytest.raises(ParameterError, match="min_intervals = 1"):
            spikes.isi_cv(min_intervals=1)

    def test_spikes_in_one_step_do_not_divide_by_zero(self):
        spikes = SpikeTrains.from_lists([[5.0, 5.0, 5.0, 5.0]], t_stop=10.0)
        assert np.isnan(spikes.isi_cv()[0])
        assert np.isnan(spikes.cv2()[0])

    def test_fano(self):
        # counts 2 and 0: mean 1, variance 1
        assert SpikeTrains.from_lists([[1.0, 2.0]], t_stop=20.0).fano(10.0)[0] == 1.0
        with pytest.raises(ParameterError, match="fewer than two"):
            SpikeTrains.from_lists([[1.0]], t_stop=20.0).fano(15.0)

    def test_correlation_of_chosen_pairs_equals_numpy(self):
        spikes = gamma_trains(1, n=6, duration=1000.0)
        counts = spikes.counts(25.0)
        pairs = [[0, 3], [5, 1], [2, 2]]
        found = spikes.correlation(25.0, pairs=pairs)
        expected = np.corrcoef(counts.T)
        np.testing.assert_allclose(found.coefficient, [expected[i, j] for i, j in pairs])
        np.testing.assert_array_equal(found.first, [0, 5, 2])

    def test_correlation_without_a_matrix_of_all_pairs(self, monkeypatch):
        spikes = gamma_trains(1, n=6, duration=1000.0)
        pairs = [[0, 3], [5, 1], [2, 4]]
        dense = spikes.correlation(25.0, pairs=pairs).coefficient
        monkeypatch.setattr(analysis.dependence, "DENSE_NEURONS", 2)
        monkeypatch.setattr(analysis.dependence, "PAIRS_AT_ONCE", 2)
        np.testing.assert_allclose(spikes.correlation(25.0, pairs=pairs).coefficient, dense)
        with pytest.raises(ParameterError, match="give sample="):
            spikes.correlation(25.0)

    def test_a_silent_neuron_correlates_with_none(self):
        spikes = SpikeTrains.from_lists([[5.0], []], t_stop=20.0)
        assert np.isnan(spikes.correlation(10.0).coefficient).all()

    def test_wrong_pairs_and_samples_are_refused(self):
        spikes = SpikeTrains.from_lists([[5.0], [6.0]], t_stop=20.0)
        with pytest.raises(ParameterError, match="no neuron 7"):
            spikes.correlation(10.0, pairs=[[0, 7]])
        with pytest.raises(ParameterError, match="n_pairs"):
            spikes.correlation(10.0, pairs=[0, 1])
        with pytest.raises(ParameterError, match="sample = 3"):
            spikes.correlation(10.0, sample=3)
        with pytest.raises(ParameterError, match="not both"):
            spikes.correlation(10.0, sample=2, pairs=[[0, 1]])

    def test_first_spike(self):
        spikes = SpikeTrains.from_lists([[3.0, 8.0], [], [5.0]], t_stop=10.0)
        np.testing.assert_array_equal(spikes.first_spike(), [3.0, np.nan, 5.0])
        np.testing.assert_array_equal(spikes.first_spike(after=5.0), [3.0, np.nan, np.nan])

    def test_psth_over_events(self):
        spikes = SpikeTrains.from_lists([[12.0, 37.0, 52.0]], t_stop=100.0)
        found = analysis.psth(spikes, 10.0, events=[10.0, 50.0], window=(0.0, 30.0))
        np.testing.assert_allclose(found.rate, [100.0, 0.0, 50.0])
        with pytest.raises(ParameterError, match="not inside"):
            analysis.psth(spikes, 10.0, events=[90.0], window=(0.0, 30.0))
        with pytest.raises(ParameterError, match="both or none"):
            analysis.psth(spikes, 10.0, events=[90.0])

    def test_instantaneous_rate_is_the_kernel(self):
        spikes = SpikeTrains.from_lists([[49.95]], t_stop=100.0)
        found = analysis.instantaneous_rate(spikes, sigma=5.0, step=0.1)
        centre = (found.edges[1:] + found.edges[:-1]) / 2
        kernel = np.exp(-0.5 * ((centre - 49.95) / 5.0) ** 2) / (5.0 * np.sqrt(2 * np.pi))
        # cut at 5 sigma, where the kernel is 4e-6 of its peak of 80 Hz
        np.testing.assert_allclose(found.rate, 1000 * kernel, atol=1e-3)
        with pytest.raises(ParameterError, match="sigma"):
            analysis.instantaneous_rate(spikes, sigma=0.5)

    def test_van_rossum_distance(self):
        distance = analysis.van_rossum_distance
        assert distance([10.0], [], tau=5.0) == pytest.approx(np.sqrt(0.5))
        # two single spikes dt apart: D^2 = 1 - exp(-dt/tau)
        assert distance([10.0], [15.0], tau=5.0) == pytest.approx(np.sqrt(1 - np.exp(-1)))
        with pytest.raises(ParameterError, match="tau"):
            distance([1.0], [2.0], tau=0.0)

    def test_ks_distance_equals_scipy(self):
        from scipy.stats import ks_2samp

        rng = np.random.default_rng(5)
        one, two = rng.normal(size=100), rng.normal(0.3, 1, size=150)
        assert analysis.ks_distance(one, two) == pytest.approx(ks_2samp(one, two).statistic)
        assert analysis.ks_distance([1.0, np.nan], [1.0]) == 0.0
        with pytest.raises(ParameterError, match="empty"):
            analysis.ks_distance([np.nan], [1.0])

    def test_golomb_chi_of_sine_waves(self):
        t = np.linspace(0, 2 * np.pi, 1000, endpoint=False)
        opposed = np.stack([np.sin(t), -np.sin(t)], axis=1)
        assert analysis.golomb_chi(opposed) == pytest.approx(0.0, abs=1e-12)
        # a quarter turn apart: mean amplitude sqrt(2)/2, so chi = sqrt(1/2)
        quarter = np.stack([np.sin(t), np.cos(t)], axis=1)
        assert analysis.golomb_chi(quarter) == pytest.approx(np.sqrt(0.5))
        with pytest.raises(ParameterError, match="shape"):
            analysis.golomb_chi(t)

    def test_silence(self):
        silent = SpikeTrains([], [], 3, t_stop=100.0)
        np.testing.assert_array_equal(silent.rates(), 0.0)
        assert len(silent.isi()) == 0
        assert np.isnan(silent.fano(10.0)).all()
        assert np.isnan(silent.synchrony(10.0))
        np.testing.assert_array_equal(silent.psth(10.0).rate, 0.0)

    def test_no_neurons(self):
        assert np.isnan(SpikeTrains([], [], 0, t_stop=100.0).synchrony(10.0))

    def test_a_bin_that_is_no_number(self):
        with pytest.raises(ParameterError, match="bin = '5 ms' ms: a finite number > 0"):
            SpikeTrains([1.0], [0], 1, t_stop=10.0).psth("5 ms")

    def test_no_duration_no_rate(self):
        with pytest.raises(ParameterError, match="cover no time"):
            SpikeTrains([], [], 3).rates()
