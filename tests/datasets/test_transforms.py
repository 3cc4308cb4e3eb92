"""Transforms: each against its definition, at its edges, and for cameras as well as cochleas."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurosim.datasets import transforms as tf
from neurosim.errors import ParameterError

VISION = np.dtype([("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "?")])
AUDIO = np.dtype([("t", "i8"), ("x", "i2"), ("p", "i1")])
SIZE = (7, 5, 2)


def vision(n: int = 400, seed: int = 0, size=SIZE, t_max: int = 100_000) -> np.ndarray:
    rng = np.random.default_rng(seed)
    events = np.zeros(n, VISION)
    events["x"] = rng.integers(size[0], size=n)
    events["y"] = rng.integers(size[1], size=n)
    events["t"] = np.sort(rng.integers(t_max, size=n))
    events["p"] = rng.integers(2, size=n)
    return events


def audio(n: int = 400, seed: int = 0, channels: int = 12, t_max: int = 100_000) -> np.ndarray:
    rng = np.random.default_rng(seed)
    events = np.ones(n, AUDIO)
    events["x"] = rng.integers(channels, size=n)
    events["t"] = np.sort(rng.integers(t_max, size=n))
    return events


EVERY = [
    tf.CropTime(t_min=10, t_max=50_000),
    tf.TimeJitter(sd=200.0),
    tf.ScaleTime(factor=(0.5, 2.0)),
    tf.CropSpace(sensor_size=SIZE, size=(3, 4), offset="random"),
    tf.SpaceJitter(sensor_size=SIZE, sd=1.0),
    tf.FlipX(sensor_size=SIZE),
    tf.FlipY(sensor_size=SIZE),
    tf.FlipPolarity(),
    tf.Downsample(sensor_size=SIZE, factor=2),
    tf.DropEvents(probability=0.3),
    tf.Denoise(sensor_size=SIZE, time_window=500),
]
RANDOM = [t for t in EVERY if hasattr(t, "seed")]


def name(transform: object) -> str:
    return type(transform).__name__


# --- what all have in common ----------------------------------------------------------------


@pytest.mark.parametrize("transform", EVERY, ids=name)
def test_input_stays_and_type_stays(transform):
    events = vision()
    before = events.copy()
    out = transform(events, np.random.default_rng(1))
    assert np.array_equal(events, before)
    assert out.dtype == VISION
    assert len(transform(events[:0])) == 0
    assert pickle.loads(pickle.dumps(transform)) == transform


@pytest.mark.parametrize("transform", RANDOM, ids=name)
def test_randomness_comes_from_the_generator_alone(transform):
    events = vision()
    draws = [transform(events, np.random.default_rng(seed)) for seed in (3, 3)]
    assert np.array_equal(*draws)
    different = {transform(events, np.random.default_rng(seed)).tobytes() for seed in range(12)}
    assert len(different) > 1
    # Without a generator: the same for the same recording, another for another or another seed.
    assert np.array_equal(transform(events), transform(events.copy()))
    changed = {
        type(transform)(**{**vars(transform), "seed": s})(events).tobytes() for s in range(9)
    }
    assert len(changed) > 1


def test_two_random_transforms_of_one_seed_are_independent():
    events = np.zeros(4000, VISION)
    events["t"] = 10_000 * np.arange(1, 4001)  # far apart: jitter keeps the order
    events["x"] = 500
    in_time = tf.TimeJitter(sd=500.0, seed=1)(events)["t"] - events["t"]
    in_space = tf.SpaceJitter(sensor_size=(1001, 1, 2), sd=50.0, seed=1)(events)["x"]
    # Both draw one normal number an event; 4 standard errors of a vanishing correlation.
    assert abs(np.corrcoef(in_time[: len(in_space)], in_space)[0, 1]) < 4 / np.sqrt(4000)


def test_a_generator_must_be_one():
    with pytest.raises(
        ParameterError, match=r"DropEvents: rng = 5 is not a numpy.random.Generator"
    ):
        tf.DropEvents(probability=0.5)(vision(), 5)  # type: ignore[arg-type]


def test_compose_is_the_composition_and_passes_the_generator():
    events = vision()
    chain = tf.Compose(tf.DropEvents(probability=0.5), lambda e: e[::2], tf.TimeJitter(sd=100.0))
    rng = np.random.default_rng(7)
    step = tf.DropEvents(probability=0.5)(events, rng)[::2]
    expected = tf.TimeJitter(sd=100.0)(step, rng)
    assert np.array_equal(chain(events, np.random.default_rng(7)), expected)
    with pytest.raises(ParameterError, match=r"argument 0 .* cannot be called"):
        tf.Compose([tf.TimeJitter(sd=1.0)])


# --- to arrays ------------------------------------------------------------------------------


def loop_frames(events, size, start, length, n_bins, width_us):
    """The definition of ToFrames, one event after the other."""
    frames = np.zeros((n_bins, size[2], size[1], size[0]))
    for e in events:
        since = int(e["t"]) - start
        if 0 <= since < length:
            k = min(int(since / width_us + 1e-12), n_bins - 1)
            frames[k, int(e["p"]), e["y"], e["x"]] += 1
    return frames


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 60), st.integers(0, 99), st.integers(1, 400), st.integers(-50, 900),
    st.integers(1, 1500),
)  # fmt: skip
def test_frames_by_window_are_counts(n, seed, window, start, duration):
    events = vision(n, seed, t_max=1000)
    n_bins = -(-duration // window)
    expected = loop_frames(events, SIZE, start, duration, n_bins, window)
    frames = tf.ToFrames(sensor_size=SIZE, time_window=window, t_start=start, duration=duration)(
        events
    )
    assert frames.dtype == np.float32
    assert np.array_equal(frames, expected)


@pytest.mark.parametrize("n_bins", [1, 3, 7, 64])
def test_frames_by_number_share_the_time_evenly(n_bins):
    events = vision(500, t_max=64_000)
    length = int(events["t"][-1] - events["t"][0] + 1)
    frames = tf.ToFrames(sensor_size=SIZE, n_bins=n_bins)(events)
    expected = loop_frames(events, SIZE, int(events["t"][0]), length, n_bins, length / n_bins)
    assert frames.shape == (n_bins, 2, 5, 7)
    assert np.array_equal(frames, expected)
    assert frames.sum() == 500


def test_an_event_on_an_edge_belongs_to_the_later_bin():
    events = np.array([(0, 0, 0, 1), (0, 0, 10, 1), (0, 0, 19, 1), (0, 0, 20, 1)], VISION)
    counts = tf.ToFrames(sensor_size=(1, 1, 1), time_window=10)(events)[:, 0]
    assert counts.tolist() == [1, 2, 1]
    halves = tf.ToFrames(sensor_size=(1, 1, 1), n_bins=2, duration=20, t_start=0)(events)[:, 0]
    assert halves.tolist() == [1, 2]  # 20 is the end: left out


@pytest.mark.parametrize(
    ("size", "options", "shape"),
    [
        ((7, 5, 2), {"n_bins": 4}, (4, 2, 5, 7)),  # not W and H exchanged
        ((7, 5, 1), {"n_bins": 4}, (4, 1, 5, 7)),
        ((7, 5, 2), {"time_window": 10, "duration": 95}, (10, 2, 5, 7)),
        ((7, 5, 2), {"time_window": 10}, (0, 2, 5, 7)),
        ((12, 1, 1), {"n_bins": 4}, (4, 12)),
    ],
)
def test_an_empty_recording_has_the_right_shape(size, options, shape):
    events = (audio if size[1] == 1 else vision)(0)
    for transform in (tf.ToFrames(sensor_size=size, **options),
                      tf.ToTimeSurface(sensor_size=size, tau=1.0, **options)):  # fmt: skip
        out = transform(events)
        assert out.shape == shape
        assert not out.any()
    if "n_bins" in options:
        grid = tf.ToVoxelGrid(sensor_size=size, **options)(events)
        assert grid.shape == ((4, 12) if size[1] == 1 else (4, 1, 5, 7))


def test_frames_of_audio_are_time_by_channel():
    events = audio()
    frames = tf.ToFrames(sensor_size=(12, 1, 1), time_window=1000, t_start=0)(events)
    expected = np.zeros((100, 12))
    np.add.at(expected, (events["t"] // 1000, events["x"]), 1)
    assert np.array_equal(frames, expected)


def test_one_polarity_merges_and_binary_saturates():
    events = vision()
    both = tf.ToFrames(sensor_size=SIZE, n_bins=3)(events)
    merged = tf.ToFrames(sensor_size=(7, 5, 1), n_bins=3)(events)
    assert np.array_equal(merged[:, 0], both.sum(1))
    binary = tf.ToFrames(sensor_size=SIZE, n_bins=3, binary=True, dtype="bool")(events)
    assert binary.dtype == bool
    assert np.array_equal(binary, both > 0)


def test_a_count_that_does_not_fit_is_an_error():
    events = np.zeros(300, VISION)
    assert tf.ToFrames(sensor_size=SIZE, n_bins=1, dtype="uint16")(events).max() == 300
    with pytest.raises(ParameterError, match="300 events in one bin, more than uint8 holds"):
        tf.ToFrames(sensor_size=SIZE, n_bins=1, dtype="uint8")(events)


def test_voxel_grid_shares_linearly():
    # Times 0, 10, 25, 100 of span 100 and 5 points: tau = 0, 0.4, 1, 4.
    events = np.array([(1, 2, 0, 1), (1, 2, 10, 1), (3, 0, 25, 0), (3, 0, 100, 1)], VISION)
    grid = tf.ToVoxelGrid(sensor_size=SIZE, n_bins=5)(events)
    assert grid.shape == (5, 1, 5, 7)
    assert np.allclose(grid[:, 0, 2, 1], [1.6, 0.4, 0, 0, 0])
    assert np.allclose(grid[:, 0, 0, 3], [0, -1, 0, 0, 1])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 50), st.integers(1, 9), st.integers(0, 99))
def test_voxel_grid_conserves_polarity_and_first_moment(n, n_bins, seed):
    events = vision(n, seed)
    grid = tf.ToVoxelGrid(sensor_size=SIZE, n_bins=n_bins)(events)
    sign = 2.0 * events["p"] - 1
    assert grid.sum() == pytest.approx(sign.sum(), abs=1e-4)
    if n > 1 and n_bins > 1:
        tau = (n_bins - 1) * (events["t"] - events["t"][0]) / np.ptp(events["t"])
        moment = (grid.sum((1, 2, 3)) * np.arange(n_bins)).sum()
        assert moment == pytest.approx((sign * tau).sum(), abs=1e-3)


def test_time_surface_is_the_age_of_the_last_event():
    events = vision(300)
    tau, window = 20_000.0, 5000
    out = tf.ToTimeSurface(sensor_size=SIZE, tau=tau, time_window=window, t_start=0)(events)
    expected = np.zeros_like(out)
    for k in range(len(out)):
        end = (k + 1) * window
        for e in events[events["t"] < end]:  # sorted: the last one wins
            expected[k, int(e["p"]), e["y"], e["x"]] = np.exp(-(end - e["t"]) / tau)
    assert out.max() > 0.9
    assert np.allclose(out, expected, rtol=1e-6, atol=0)


def test_dense_transforms_refuse_the_impossible():
    with pytest.raises(ParameterError, match=r"either time_window .* or n_bins, not neither"):
        tf.ToFrames(sensor_size=SIZE)
    with pytest.raises(ParameterError, match="not both"):
        tf.ToTimeSurface(sensor_size=SIZE, tau=1.0, time_window=1, n_bins=1)
    with pytest.raises(ParameterError, match=r"ToFrames: event 0 has x = 9, outside .*\(0 to 6\)"):
        tf.ToFrames(sensor_size=SIZE, n_bins=2)(np.array([(9, 0, 0, 1)], VISION))
    with pytest.raises(ParameterError, match=r"no field 'y' .they have t, x, p"):
        tf.ToFrames(sensor_size=SIZE, n_bins=2)(audio())
    with pytest.raises(ParameterError, match="tau = 0 must be above 0"):
        tf.ToTimeSurface(sensor_size=SIZE, tau=0, n_bins=1)
    with pytest.raises(ParameterError, match=r"event 1 is earlier .* numpy.sort"):
        tf.ToTimeSurface(sensor_size=SIZE, tau=1.0, n_bins=1)(vision()[::-1])
    with pytest.raises(ParameterError, match=r"sensor_size = .* must be"):
        tf.ToFrames(sensor_size=(3, 4), n_bins=1)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="not a structured array"):
        tf.ToFrames(sensor_size=SIZE, n_bins=1)(np.zeros(3))
    late = np.array([(0, 0, 0, 1), (0, 0, 2**50, 1)], VISION)
    with pytest.raises(ParameterError, match="do not fit into memory: give duration"):
        tf.ToFrames(sensor_size=SIZE, time_window=1)(late)


# --- time -----------------------------------------------------------------------------------


def test_crop_time_is_half_open_and_shifts():
    events = vision()
    t = events["t"]
    out = tf.CropTime(t_min=int(t[100]), t_max=int(t[300]))(events)
    expected = events[(t >= t[100]) & (t < t[300])]
    assert np.array_equal(out["t"], expected["t"] - t[100])
    assert np.array_equal(tf.CropTime(t_min=int(t[100]), shift=False)(events), events[t >= t[100]])
    with pytest.raises(ParameterError, match="t_max = 5 us must be above t_min = 5 us"):
        tf.CropTime(t_min=5, t_max=5)


@pytest.mark.parametrize("make", [vision, audio])
def test_time_jitter_has_its_spread_and_loses_nothing(make):
    events = make(20_000, t_max=10**9)
    events["x"] = 0
    out = tf.TimeJitter(sd=300.0)(events, np.random.default_rng(0))
    assert np.all(np.diff(out["t"]) >= 0)
    # sd 300 against a mean spacing of 50,000: the order is almost kept, so pairs can be compared.
    moved = out["t"] - events["t"]
    moved = moved[np.abs(moved) < 2000]
    assert moved.size > 19_000
    assert moved.std() == pytest.approx(300.0, rel=0.05)
    assert abs(moved.mean()) < 4 * 300 / np.sqrt(moved.size)
    at_zero = np.zeros(1000, events.dtype)
    mirrored = tf.TimeJitter(sd=300.0)(at_zero)
    assert mirrored["t"].min() >= 0
    # |N(0, sd)| has the mean sd*sqrt(2/pi) = 239 and standard deviation 181: 5 standard errors.
    assert mirrored["t"].mean() == pytest.approx(239.4, abs=29)


def test_scale_time():
    events = vision()
    assert np.array_equal(tf.ScaleTime(factor=2)(events)["t"], 2 * events["t"])
    factors = [
        tf.ScaleTime(factor=(0.5, 2.0))(events, np.random.default_rng(s))["t"][-1] / events["t"][-1]
        for s in range(300)
    ]
    assert 0.5 <= min(factors) < 0.55
    assert 1.9 < max(factors) <= 2.0
    for bad, text in ((0.0, "must be above 0"), ((2.0, 1.0), "low <= high")):
        with pytest.raises(ParameterError, match=text):
            tf.ScaleTime(factor=bad)


# --- space ----------------------------------------------------------------------------------


def test_crop_space_equals_cropped_frames():
    events = vision()
    frame = tf.ToFrames(sensor_size=SIZE, n_bins=1)(events)[0]
    for offset, (left, top) in (((1, 2), (1, 2)), ("centre", (2, 0))):
        crop = tf.CropSpace(sensor_size=SIZE, size=(3, 4 if top == 0 else 3), offset=offset)
        w, h, _ = crop.output_size
        out = tf.ToFrames(sensor_size=crop.output_size, n_bins=1)(crop(events))[0]
        assert np.array_equal(out, frame[:, top : top + h, left : left + w])
    corners = set()
    for seed in range(200):
        crop = tf.CropSpace(sensor_size=SIZE, size=(6, 5), offset="random")
        corners.add(len(crop(events, np.random.default_rng(seed))))
    assert len(corners) == 2  # two windows fit
    with pytest.raises(ParameterError, match=r"window of \(8, 2\) does not fit"):
        tf.CropSpace(sensor_size=SIZE, size=(8, 2))
    with pytest.raises(ParameterError, match=r"leaves the sensor .* up to \(4, 3\)"):
        tf.CropSpace(sensor_size=SIZE, size=(3, 2), offset=(5, 0))
    with pytest.raises(ParameterError, match="offset = 'left': give 'centre'"):
        tf.CropSpace(sensor_size=SIZE, size=(3, 2), offset="left")


def test_space_jitter_drops_at_the_border():
    size = (101, 101, 2)
    events = np.zeros(20_000, VISION)
    events["x"] = events["y"] = 50
    out = tf.SpaceJitter(sensor_size=size, sd=3.0)(events)
    assert len(out) == 20_000
    # Rounding to whole pixels adds 1/12 to the variance (Sheppard).
    for axis in "xy":
        assert out[axis].var() == pytest.approx(9 + 1 / 12, rel=0.05)
    events["x"] = 0  # half of the continuous moves and the rounding to 0 stay: P(N > -0.5)
    share = len(tf.SpaceJitter(sensor_size=size, sd=3.0)(events)) / 20_000
    assert share == pytest.approx(0.5662, abs=0.015)
    channels = audio()
    assert np.array_equal(tf.SpaceJitter(sensor_size=(12, 1, 1), sd=0.01)(channels), channels)


def test_flips_are_mirrors_and_their_own_inverse():
    events = vision()
    frame = tf.ToFrames(sensor_size=SIZE, n_bins=1)(events)
    for flip, axis in (
        (tf.FlipX(sensor_size=SIZE, probability=1), 3),
        (tf.FlipY(sensor_size=SIZE, probability=1), 2),
        (tf.FlipPolarity(probability=1), 1),
    ):
        mirrored = flip(events)
        assert np.array_equal(flip(mirrored), events)
        out = tf.ToFrames(sensor_size=SIZE, n_bins=1)(mirrored)
        assert np.array_equal(out, np.flip(frame, axis))
        never = type(flip)(**{**vars(flip), "probability": 0})
        assert np.array_equal(never(events), events)
    flips = sum(
        not np.array_equal(tf.FlipPolarity()(events, np.random.default_rng(s)), events)
        for s in range(400)
    )
    assert 160 < flips < 240  # 200 +- 4 sd
    assert np.array_equal(
        tf.FlipX(sensor_size=(12, 1, 1), probability=1)(audio())["x"], 11 - audio()["x"]
    )
    with pytest.raises(ParameterError, match="has one line: FlipX"):
        tf.FlipY(sensor_size=(12, 1, 1))
    with pytest.raises(ParameterError, match=r"probability = 1.5 must be between"):
        tf.FlipX(sensor_size=SIZE, probability=1.5)
    signed = audio(3)
    signed["p"] = -1
    with pytest.raises(ParameterError, match=r"polarities are \[-1\]"):
        tf.FlipPolarity()(signed)


def test_coarser_sensors_sum_blocks():
    events = vision(size=(8, 6, 2))
    frame = tf.ToFrames(sensor_size=(8, 6, 2), n_bins=1)(events)[0]
    down = tf.Downsample(sensor_size=(8, 6, 2), factor=2)
    assert down.output_size == (4, 3, 2)
    coarse = tf.ToFrames(sensor_size=down.output_size, n_bins=1)(down(events))[0]
    assert np.array_equal(coarse, frame.reshape(2, 3, 2, 4, 2).sum((2, 4)))
    assert tf.Downsample(sensor_size=(7, 5, 2), factor=2).output_size == (4, 3, 2)
    group = tf.GroupChannels(sensor_size=(700, 1, 1), group=5)
    sounds = audio(channels=700)
    assert group.output_size == (140, 1, 1)
    assert np.array_equal(group(sounds)["x"], sounds["x"] // 5)
    with pytest.raises(ParameterError, match="factor = 0 must be a whole number"):
        tf.Downsample(sensor_size=SIZE, factor=0)
    with pytest.raises(ParameterError, match=r"group = 2.5 must be a whole number"):
        tf.GroupChannels(sensor_size=(700, 1, 1), group=2.5)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="is a camera: Downsample"):
        tf.GroupChannels(sensor_size=SIZE, group=2)


# --- dropping -------------------------------------------------------------------------------


def test_drop_events_keeps_the_share():
    events = vision(10_000)
    kept = tf.DropEvents(probability=0.3)(events)
    assert len(kept) == pytest.approx(7000, abs=4 * np.sqrt(10_000 * 0.21))
    assert len(tf.DropEvents(probability=0.0)(events)) == 10_000
    assert len(tf.DropEvents(probability=1.0)(events)) == 0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 80), st.integers(0, 999), st.integers(1, 60))
def test_denoise_equals_its_definition(n, seed, window):
    for events, size in (
        (vision(n, seed, t_max=500), SIZE),
        (audio(n, seed, t_max=500), (12, 1, 1)),
    ):
        y = events["y"] if size[1] > 1 else np.zeros(n, int)
        keep = [
            any(
                max(abs(int(events["x"][i]) - int(events["x"][j])), abs(int(y[i]) - int(y[j]))) == 1
                and events["t"][i] - events["t"][j] <= window
                for j in range(i)
            )
            for i in range(n)
        ]
        out = tf.Denoise(sensor_size=size, time_window=window)(events)
        assert np.array_equal(out, events[np.array(keep, bool)])


def test_denoise_needs_order():
    with pytest.raises(ParameterError, match="Denoise: event 1 is earlier"):
        tf.Denoise(sensor_size=SIZE, time_window=10)(vision()[::-1])
