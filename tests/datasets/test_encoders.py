"""Encoders: formulas, statistics and inverses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurosim.datasets import encoders as enc
from neurosim.datasets import transforms as tf
from neurosim.datasets.encoders.delta import crossings
from neurosim.datasets.formats.structured import AUDIO, VISION
from neurosim.errors import ParameterError

# --- rate -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bernoulli", "poisson"])
def test_rate_has_the_moments_of_its_distribution(kind):
    encoder = enc.RateEncoder(n_steps=40_000, max_rate=200.0, dt=2.0, kind=kind)
    counts = encoder([0.0, 0.25, 1.0], np.random.default_rng(1))
    mean = np.array([0.0, 0.1, 0.4])  # value * 200 Hz * 2 ms
    variance = mean * (1 - mean) if kind == "bernoulli" else mean
    assert counts.shape == (40_000, 3)
    assert counts.dtype == np.uint8
    assert np.allclose(counts.mean(0), mean, atol=4 * np.sqrt(mean / 40_000).max())
    assert np.allclose(counts.var(0), variance, atol=0.02)
    assert (counts.max() > 1) == (kind == "poisson")


def test_rate_is_reproducible():
    encoder = enc.RateEncoder(n_steps=50, max_rate=300.0)
    image = np.linspace(0, 1, 20).reshape(4, 5)
    assert np.array_equal(encoder(image), encoder(image))
    assert not np.array_equal(encoder(image), encoder(image.T.reshape(4, 5)))
    other = enc.RateEncoder(n_steps=50, max_rate=300.0, seed=1)
    assert not np.array_equal(encoder(image), other(image))
    draws = [encoder(image, np.random.default_rng(5)) for _ in range(2)]
    assert np.array_equal(*draws)


def test_rate_refuses_the_impossible():
    with pytest.raises(ParameterError, match=r"are 2\.0 spikes in a step .* at most one"):
        enc.RateEncoder(n_steps=5, max_rate=2000.0)
    with pytest.raises(ParameterError, match=r"value 1\.5 at \(1,\) lies outside 0 to 1"):
        enc.RateEncoder(n_steps=5)([0.0, 1.5])
    with pytest.raises(ParameterError, match="value nan"):
        enc.RateEncoder(n_steps=5)([np.nan])
    with pytest.raises(ParameterError, match="kind = 'regular'"):
        enc.RateEncoder(n_steps=5, kind="regular")
    with pytest.raises(ParameterError, match=r"spikes in a step of 1\.0 ms: lower"):
        enc.RateEncoder(n_steps=5, max_rate=1e6, kind="poisson")([1.0])


# --- latency --------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(st.floats(0.02, 1.0), st.floats(1.0, 50.0))
def test_rc_latency_is_the_threshold_crossing_of_a_capacitor(value, tau):
    encoder = enc.LatencyEncoder(n_steps=10, tau=tau, threshold=0.015)
    t = float(encoder.times(value))
    assert value * (1 - np.exp(-t / tau)) == pytest.approx(0.015, rel=1e-9)


def test_latency_puts_one_spike_into_the_step_of_its_time():
    for encoder in (
        enc.LatencyEncoder(n_steps=30, dt=0.5, tau=8.0, threshold=0.1),
        enc.LatencyEncoder(n_steps=30, dt=0.5, kind="linear"),
    ):
        values = np.random.default_rng(0).random((6, 7))
        values[0, :3] = 0.0, encoder.threshold, 1.0
        spikes, times = encoder(values), encoder.times(values)
        assert spikes.shape == (30, 6, 7)
        fires = times < 15.0
        assert 20 < fires.sum() < 42
        assert np.array_equal(spikes.sum(0), fires)
        assert np.array_equal(spikes.argmax(0)[fires], np.floor(times[fires] / 0.5 + 1e-9))
        assert not spikes[:, 0, :2].any()  # at or below threshold: never
        assert np.all(np.diff(encoder.times(np.linspace(0.2, 1, 50))) < 0)  # larger is earlier
    assert enc.LatencyEncoder(n_steps=30, kind="linear")([1.0]).argmax() == 0
    assert enc.LatencyEncoder(n_steps=30, kind="linear", threshold=0.0)([1e-3]).argmax() == 28


def test_latency_refuses_the_impossible():
    with pytest.raises(ParameterError, match=r"threshold = 0 must be at least 0 .above 0 for 'rc'"):
        enc.LatencyEncoder(n_steps=3, threshold=0)
    with pytest.raises(ParameterError, match="kind = 'log': 'rc' or 'linear'"):
        enc.LatencyEncoder(n_steps=3, kind="log")
    with pytest.raises(ParameterError, match=r"value -0\.1"):
        enc.LatencyEncoder(n_steps=3)([-0.1])


# --- population -----------------------------------------------------------------------------


def test_population_fields_are_those_of_bohte():
    encoder = enc.PopulationEncoder(n_neurons=7, low=-1.0, high=4.0)
    assert np.allclose(encoder.centres, [-1.5, -0.5, 0.5, 1.5, 2.5, 3.5, 4.5])
    assert encoder.width == pytest.approx(1 / 1.5)
    values = np.linspace(-1, 4, 11)
    expected = np.exp(-((values[:, None] - encoder.centres) ** 2) / (2 * encoder.width**2))
    assert np.allclose(encoder.activations(values), expected)
    # A population vector finds the value again (away from the ends, where fields are missing).
    inner = values[(values > 0) & (values < 3)]
    activity = encoder.activations(inner)
    estimate = activity @ encoder.centres / activity.sum(1)
    assert np.allclose(estimate, inner, atol=0.05)


def test_population_spikes_by_its_code():
    values = [[0.1, 0.9], [0.5, 0.2]]
    encoder = enc.PopulationEncoder(n_neurons=5, low=0.0, high=1.0)
    spikes = encoder(values)
    assert spikes.shape == (11, 2, 2, 5)
    activity = encoder.activations(values)
    assert np.array_equal(spikes.sum(0), activity > 0.1)
    rates = enc.PopulationEncoder(
        n_neurons=5, low=0.0, high=1.0, code=enc.RateEncoder(n_steps=8000, max_rate=500.0)
    )
    assert np.allclose(rates(values).mean(0), 0.5 * activity, atol=0.025)
    with pytest.raises(ParameterError, match=r"value 1\.5 at \(0,\) lies outside 0\.0 to 1\.0"):
        encoder([1.5])
    with pytest.raises(ParameterError, match="n_neurons = 2: at least 3"):
        enc.PopulationEncoder(n_neurons=2, low=0.0, high=1.0)
    with pytest.raises(ParameterError, match=r"range = -1\.0 must be above 0"):
        enc.PopulationEncoder(n_neurons=4, low=1.0, high=0.0)


# --- send on delta --------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 999), st.floats(0.05, 2.0), st.booleans())
def test_delta_reconstructs_within_a_threshold(seed, threshold, interpolate):
    signal = np.random.default_rng(seed).normal(size=(50, 3)).cumsum(0)
    encoder = enc.DeltaEncoder(threshold=threshold, dt=0.5, interpolate=interpolate)
    events = encoder(signal)
    assert np.all(np.diff(events["t"]) >= 0)
    level = encoder.reconstruct(events, signal[0], 50)
    assert np.abs(level - signal).max() < threshold * (1 + 1e-6)


def test_delta_interpolates_the_crossing_of_a_ramp():
    # Slope 0.8 a ms: the level n*0.3 is reached at n*0.3/0.8 ms.
    signal = 0.8 * np.arange(11)
    events = enc.DeltaEncoder(threshold=0.3, interpolate=True)(signal)
    n = np.arange(1, 27)
    assert np.array_equal(events["t"], np.rint(1000 * n * 0.3 / 0.8))
    assert events["p"].all()
    grid = enc.DeltaEncoder(threshold=0.3)(-signal)
    assert np.array_equal(grid["t"], 1000 * np.ceil(np.round(n * 0.3 / 0.8, 9)))
    assert not grid["p"].any()


def test_delta_of_a_video_is_that_of_its_pixels():
    video = np.random.default_rng(2).normal(size=(20, 4, 6)).cumsum(0)
    encoder = enc.DeltaEncoder(threshold=0.7)
    events, flat = encoder(video), encoder(video.reshape(20, 24))
    assert events.dtype == VISION
    assert flat.dtype == AUDIO
    assert np.array_equal(events["y"] * 6 + events["x"], flat["x"])
    assert np.array_equal(events["t"], flat["t"])
    assert np.array_equal(events["p"], flat["p"] == 1)
    assert set(flat["p"].tolist()) == {0, 1}


def test_delta_of_nothing_and_of_nonsense():
    encoder = enc.DeltaEncoder(threshold=1.0)
    for silent in (np.zeros((0, 3)), np.ones((5, 3)), np.zeros((5, 0))):
        assert len(encoder(silent)) == 0
    with pytest.raises(ParameterError, match="not finite"):
        encoder([0.0, np.nan])
    with pytest.raises(ParameterError, match=r"shape \(1, 1, 1, 1\) is none of"):
        encoder(np.zeros((1, 1, 1, 1)))
    with pytest.raises(ParameterError, match="threshold = 0 must be above 0"):
        enc.DeltaEncoder(threshold=0)


def test_refractory_crossings_are_lost_but_the_level_moves():
    values = np.arange(11.0)[:, None]
    one = np.ones(1)
    t, _, p = crossings(values, np.arange(11.0), on=one, off=one, interpolate=True, refractory=2.5)
    assert t.tolist() == [1.0, 4.0, 7.0, 10.0]
    assert p.all()


# --- spikes to events -----------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(9, 6), (9, 5, 6), (9, 1, 5, 6), (9, 2, 5, 6)])
def test_events_of_spikes_make_the_same_frames(shape):
    counts = np.random.default_rng(3).poisson(0.3, shape)
    events = enc.spikes_to_events(counts, dt=2.0)
    assert len(events) == counts.sum()
    assert np.all(np.diff(events["t"]) >= 0)
    size = (6, 1, 1) if len(shape) == 2 else (6, 5, shape[1] if len(shape) == 4 else 1)
    frames = tf.ToFrames(sensor_size=size, time_window=2000, t_start=0, duration=18_000)(events)
    assert np.array_equal(frames, counts.reshape(frames.shape))


def test_events_of_spikes_refuse_other_shapes():
    with pytest.raises(ParameterError, match=r"shape \(3,\) is none of"):
        enc.spikes_to_events([1, 0, 1])
    with pytest.raises(ParameterError, match="a count is -1"):
        enc.spikes_to_events([[1, -1]])
