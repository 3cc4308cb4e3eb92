"""Generated data sets: their protocols, closed forms and reproducibility."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from neurosim.datasets import generators as gen
from neurosim.datasets import transforms as tf
from neurosim.datasets.generators.randman import extremes, manifold
from neurosim.datasets.generators.textures import events_of_movie
from neurosim.datasets.generators.yin_yang import yin_yang_class, yin_yang_points
from neurosim.errors import ParameterError

IMAGES = (np.random.default_rng(0).random((20, 12, 12)) > 0.7).astype(np.uint8) * 255

SETS = {
    "yin_yang": lambda **k: gen.yin_yang(20, **k),
    "randman": lambda **k: gen.randman(20, n_units=8, dim=1, **k),
    "poisson_patterns": lambda **k: gen.poisson_patterns(20, **k),
    "delayed_coincidence": lambda **k: gen.delayed_coincidence(20, noise_rate=3.0, **k),
    "timed_motifs": lambda **k: gen.timed_motifs(20, **k),
    "moving_edges": lambda **k: gen.moving_edges(20, jitter=10.0, noise_rate=1.0, **k),
    "moving_texture": lambda **k: gen.moving_texture(20, size=(16, 12), n_frames=10, **k),
    "saccades": lambda **k: gen.saccades(IMAGES, np.arange(20) % 3, noise_rate=1.0, **k),
}  # fmt: skip


@pytest.mark.parametrize("name", SETS)
def test_every_recording_is_a_function_of_its_index(name):
    data = SETS[name]()
    assert len(data) == 20
    backwards = [data[i] for i in range(19, -1, -1)][::-1]
    again = pickle.loads(pickle.dumps(SETS[name]()))
    for i, (events, target) in enumerate(backwards):
        assert events.dtype == data.dtype
        assert np.array_equal(events, again[i][0])
        assert target == data.targets[i] == again[i][1]
        assert np.all(np.diff(events["t"]) >= 0)
        assert len(events) == 0 or events["t"][0] >= 0
        tf.ToFrames(sensor_size=data.sensor_size, n_bins=1)(events)  # all inside the sensor
    assert data.ordering == ("xytp" if data.sensor_size[1] > 1 else "txp")
    assert set(np.unique(data.targets)) <= set(range(len(data.classes)))
    assert np.array_equal(data[-1][0], data[19][0])
    with pytest.raises(IndexError, match="there are 20 recordings"):
        data[20]


@pytest.mark.parametrize("name", SETS)
def test_seeds_and_splits_give_other_recordings(name):
    base = [e.tobytes() for e, _ in SETS[name]()]
    for other in (SETS[name](seed=17), SETS[name](split="test")):
        assert sum(a == b.tobytes() for a, (b, _) in zip(base, other, strict=True)) < 3
    with pytest.raises(KeyError, match=r"split 'dev'.*train, validation, test"):
        SETS[name](split="dev")


def test_transforms_are_applied():
    frames = tf.ToFrames(sensor_size=(30, 1, 1), time_window=1000, t_start=0, duration=40_000)
    data = gen.timed_motifs(5, transform=frames, target_transform=lambda t: 10 * t)
    array, target = data[3]
    assert array.shape == (40, 30)
    assert target == 30


# --- Yin-Yang -------------------------------------------------------------------------------


def test_yin_yang_symbol():
    assert [yin_yang_class(0.75, 0.5), yin_yang_class(0.25, 0.55)] == [2, 2]
    assert [yin_yang_class(0.5, 0.9), yin_yang_class(0.5, 0.1)] == [1, 0]
    assert [yin_yang_class(0.25, 0.3), yin_yang_class(0.75, 0.7)] == [1, 0]
    # A half turn exchanges yin and yang and keeps the dots.
    values, classes = yin_yang_points(600, 3)
    turned = [yin_yang_class(1 - x, 1 - y) for x, y in values[:, :2]]
    assert np.array_equal(np.array([1, 0, 2])[turned], classes)
    assert np.hypot(values[:, 0] - 0.5, values[:, 1] - 0.5).max() <= 0.5
    assert np.array_equal(values[:, 2:], 1 - values[:, :2])
    assert np.bincount(classes).min() > 150
    fewer, _ = yin_yang_points(10, 3)
    assert np.array_equal(fewer, values[:10])


def test_yin_yang_spikes_are_the_values():
    data = gen.yin_yang(50, t_early=1000, t_late=11_000, t_bias=500)
    assert data.sensor_size == (5, 1, 1)
    for i in range(50):
        events, _ = data[i]
        times = np.zeros(5)
        times[events["x"]] = events["t"]
        assert times[4] == 500
        assert np.abs((times[:4] - 1000) / 10_000 - data.recipe.values[i]).max() <= 0.5e-4
    assert gen.yin_yang(5, t_bias=None).sensor_size == (4, 1, 1)
    assert (len(gen.yin_yang()), len(gen.yin_yang(split="test"))) == (5000, 1000)
    with pytest.raises(ParameterError, match="t_late must be after t_early"):
        gen.yin_yang(5, t_early=10, t_late=10)


# --- Randman --------------------------------------------------------------------------------


def test_manifold_is_the_series():
    rng = np.random.default_rng(1)
    theta, x = rng.random((3, 4, 2, 6)), rng.random((5, 2))
    expected = np.ones((5, 4))
    for n in range(5):
        for i in range(4):
            for j in range(2):
                a, b, c = theta[:, i, j]
                expected[n, i] *= sum(
                    a[k - 1] * k**-1.5 * np.sin(2 * np.pi * (k * x[n, j] * b[k - 1] + c[k - 1]))
                    for k in range(1, 7)
                )
    assert np.allclose(manifold(x, theta, 1.5), expected)
    axis = np.linspace(0, 1, 400)
    everywhere = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    values = manifold(everywhere, theta, 1.5)
    low, high = extremes(theta, 1.5)
    assert np.allclose(low, values.min(0), atol=0.01)
    assert np.allclose(high, values.max(0), atol=0.01)


def test_randman_is_smooth_and_fills_its_time():
    data = gen.randman(60, n_units=6, dim=1, alpha=3.0, n_classes=2, duration=50_000)
    line = np.linspace(0, 1, 2001)[:, None]
    times = data.recipe.times(line, 1)
    assert np.allclose(times.min(0), 0, atol=50)
    assert np.allclose(times.max(0), 49_999, atol=50)
    steps = np.abs(np.diff(times, axis=0)).max()
    rough = gen.randman(2, n_units=6, dim=1, alpha=1.2, n_classes=2, duration=50_000)
    assert steps < 49_999 / 50
    assert np.abs(np.diff(rough.recipe.times(line, 1), axis=0)).max() > 3 * steps
    for events, target in data:
        assert sorted(events["x"]) == list(range(6))  # each unit once
        # The recording lies on its manifold: some point of the line is near in all units.
        order = np.argsort(events["x"])
        distance = np.abs(data.recipe.times(line, target) - events["t"][order]).max(1)
        assert distance.min() < steps
    other = gen.randman(2, n_units=6, dim=1, alpha=3.0, n_classes=2, split="test")
    assert np.array_equal(other.recipe.theta, data.recipe.theta)


# --- patterns -------------------------------------------------------------------------------


def test_hidden_pattern_is_there_and_rates_do_not_tell():
    data = gen.poisson_patterns(200, n_classes=2, jitter=0.0, noise_class=True, rate=20.0)
    assert data.classes == ("pattern 0", "pattern 1", "noise")
    counts = np.array([len(events) for events, _ in data], float)
    expected = 100 * 20.0 * 0.5  # channels * rate * 0.5 s
    assert counts.mean() == pytest.approx(expected, abs=4 * np.sqrt(expected / 200) + 5)
    for i in range(9):
        events, target = data[i]
        places = set(zip(events["t"].tolist(), events["x"].tolist(), strict=True))
        for c, (times, channels) in enumerate(data.recipe.patterns):
            # The number of pattern spikes found at the best of all onsets that fit its first one.
            best = max(
                sum(
                    (t - times[0] + u, int(x)) in places
                    for u, x in zip(times, channels, strict=True)
                )
                for t in events["t"][events["x"] == channels[0]].tolist()
            )
            assert (best == times.size) == (c == target)
            assert times.size > 60
    with pytest.raises(ParameterError, match="pattern_duration = 9 us must not exceed"):
        gen.poisson_patterns(duration=8, pattern_duration=9)


def test_pairs_have_the_delay_of_their_class():
    data = gen.delayed_coincidence(300, delays=(-4000, 0, 9000), n_pairs=1, jitter=300.0)
    gaps: list[list[int]] = [[], [], []]
    for events, target in data:
        t = {int(e["x"]): int(e["t"]) for e in events}
        assert len(events) == 2
        gaps[target].append(t[1] - t[0])
    for delay, found in zip((-4000, 0, 9000), gaps, strict=True):
        assert np.mean(found) == pytest.approx(delay, abs=4 * 300 / 10)
        assert np.std(found) == pytest.approx(300, rel=0.3)
    with pytest.raises(ParameterError, match="shorter than half the duration"):
        gen.delayed_coincidence(delays=(0, 100_000))


def test_timed_motifs_follow_the_protocol():
    assert (len(gen.timed_motifs()), len(gen.timed_motifs(split="test"))) == (1200, 1000)
    quiet = gen.timed_motifs(2000, jitter=0.0, drop=0.0, noise=0.0, n_classes=2)
    assert quiet.recipe.templates.min() >= 1
    assert quiet.recipe.templates.max() <= 31
    shifts = set()
    for events, target in quiet:
        template = quiet.recipe.templates[target]
        steps = np.zeros(30)
        steps[events["x"]] = events["t"] / 1000
        moved = steps - template  # the shift, up to rounding
        shift = round(float(np.median(moved)))
        shifts.add(shift)
        inside = (np.rint(template + shift) >= 0) & (np.rint(template + shift) < 40)
        assert np.abs(moved - shift)[inside].max() <= 0.5
    assert shifts == {-2, -1, 0, 1, 2}
    # Counts: 30 spikes, a tenth dropped, and 1 % of the 40*30 places filled by noise.
    full = gen.timed_motifs(1200)
    mean = np.mean([len(events) for events, _ in full])
    assert mean == pytest.approx(27 + 0.01 * (1200 - 27), abs=0.5)
    # Drawn about the template with the jitter, rounding and shift: variance 1 + 1/12 + 2.
    only = gen.timed_motifs(600, drop=0.0, noise=0.0, n_classes=1)
    middle = np.abs(only.recipe.templates[0] - 16).argmin()  # far from both ends
    spread = [events["t"][events["x"] == middle] / 1000 for events, _ in only]
    assert np.var(np.concatenate(spread)) == pytest.approx(1 + 1 / 12 + 2, rel=0.2)
    with pytest.raises(ParameterError, match="last = 50 must lie in 1 to n_steps = 40"):
        gen.timed_motifs(last=50)


# --- motion ---------------------------------------------------------------------------------


def test_edge_times_in_closed_form():
    data = gen.moving_edges(40, size=(9, 7), directions=4, speeds=(0.5, 2.0), offset=0.0)
    assert data.classes[4] == "0 deg, 2 px/ms"
    half = data.recipe.duration / 2
    polarities = set()
    for events, target in data:
        assert len(events) == 63
        polarities.add(bool(events["p"][0]))
        assert len(set(events["p"])) == 1
        along = (events["x"] - 4.0, events["y"] - 3.0, 4.0 - events["x"], 3.0 - events["y"])
        speed = (0.5, 2.0)[target // 4]
        expected = half + 1000 * along[target % 4] / speed
        assert np.abs(events["t"] - expected).max() <= 0.5 + 1e-6
    assert polarities == {False, True}


def test_edge_speed_and_direction_from_a_plane_fit():
    data = gen.moving_edges(12, directions=12, speeds=(0.4,), jitter=500.0, noise_rate=0.0)
    for events, target in data:
        plane = np.column_stack([events["x"], events["y"], np.ones(len(events))])
        slope, *_ = np.linalg.lstsq(plane, events["t"] / 1000.0, rcond=None)
        # t = n.r / v: the gradient has the length 1/v and points along the motion.
        assert 1 / np.hypot(*slope[:2]) == pytest.approx(0.4, rel=0.01)
        angle = np.degrees(np.arctan2(slope[1], slope[0]))
        assert abs((angle - 30 * target + 180) % 360 - 180) < 1


def test_edge_noise_has_its_rate():
    clean, noisy = gen.moving_edges(30), gen.moving_edges(30, noise_rate=5.0)
    extra = np.mean([len(b) - len(a) for (a, _), (b, _) in zip(clean, noisy, strict=True)])
    expected = 5.0 * 1024 * clean.recipe.duration * 1e-6
    assert extra == pytest.approx(expected, abs=4 * np.sqrt(expected / 30))
    with pytest.raises(ParameterError, match="speed = 0 must be above 0"):
        gen.moving_edges(speeds=(0,))
    with pytest.raises(ParameterError, match="at least 2 lines"):
        gen.moving_edges(size=(5, 1))


def test_a_still_movie_has_no_events_and_a_lower_threshold_more():
    still = np.repeat(np.random.default_rng(0).random((1, 8, 8)), 20, axis=0)
    assert len(events_of_movie(still, 1.0)) == 0
    movie = gen.moving_texture(1).recipe.movie(0, np.random.default_rng(1))
    assert len(events_of_movie(movie, 0.5)) > 1.4 * len(events_of_movie(movie, 1.0))


def test_a_drifting_grating_repeats_after_its_period():
    x, t = np.arange(16), np.arange(201)
    movie = np.sin(2 * np.pi * (x[None, None, :] - 0.4 * t[:, None, None]) / 8) * np.ones((1, 4, 1))
    movie[0] += 0.03  # else the first frame's level would be met again exactly: ties
    events = events_of_movie(movie, 1.7)  # above the largest change, 1.41 standard deviations
    frames = np.zeros((201, 16))
    one = events[events["y"] == 0]
    frames[one["t"] // 1000, one["x"]] = 2.0 * one["p"] - 1
    # Period 8/0.4 = 20 frames, once the sum of changes has settled.
    assert np.array_equal(frames[41:181], frames[61:201])
    assert set(np.unique(frames[41:61])) == {-1, 0, 1}
    # Nothing is lost: events times threshold follow the brightness to one threshold.
    theta = 1.7 * np.diff(movie, axis=0).std()
    error = theta * frames.cumsum(0) - (movie - movie[0])[:, 0]
    assert np.abs(error).max() <= theta * (1 + 1e-9)


def test_textures_move_with_their_velocity():
    data = gen.moving_texture(8, directions=4, speeds=(1.0,), size=(25, 21), n_frames=12)
    for i in range(4):
        movie = data.recipe.movie(i, np.random.default_rng(i))
        shift = ((0, 1), (1, 0), (0, -1), (-1, 0))[i]  # (y, x): right, down, left, up
        moved = np.roll(movie[0], shift, axis=(0, 1))
        assert np.allclose(moved, movie[1], atol=1e-9)  # odd sizes: a shift by 1 pixel is exact
        assert movie.std() == pytest.approx(1.0)
    on = np.concatenate([events["p"] for events, _ in gen.moving_texture(40, exponent=0.0)])
    assert on.mean() == pytest.approx(0.5, abs=0.02)


def test_textures_have_their_orientation():
    def spread(orientation, target):
        data = gen.moving_texture(1, orientation=orientation, bandwidth=5.0, directions=4)
        power = np.abs(data.recipe.spectrum(target, np.random.default_rng(target))) ** 2
        fy, fx = np.meshgrid(np.fft.fftfreq(32), np.fft.fftfreq(32), indexing="ij")
        return (power * fx**2).sum() / (power * (fx**2 + fy**2)).sum()

    assert spread("perpendicular", 0) > 0.95  # moves along x: wave vectors along x
    assert spread("perpendicular", 1) < 0.05
    assert 0.3 < spread("isotropic", 0) < 0.7
    with pytest.raises(ParameterError, match="orientation = 'parallel'"):
        gen.moving_texture(orientation="parallel")


# --- saccades -------------------------------------------------------------------------------


def test_saccades_visit_their_corners():
    recipe = gen.saccades(IMAGES).recipe
    times, path = recipe.path()
    for k, corner in enumerate(recipe.corners):
        assert np.allclose(path[np.searchsorted(times, 100 * k)], corner)
    speed = np.hypot(*np.diff(path, axis=0).T)
    middle = (times[1:] + times[:-1]) / 2 % 100
    assert speed[(middle < 10) | (middle > 90)].max() < 1e-12
    assert abs(middle[speed.argmax()] - 50) < 2


def test_events_follow_the_light():
    image = np.zeros((1, 20, 20))
    image[0, 6:14, 6:14] = 1.0
    # One saccade to the right: pixels in front of the square brighten, those behind darken.
    data = gen.saccades(
        image, size=(20, 20), corners=((-3.0, 0.0), (3.0, 0.0)), mismatch=0.0, threshold=0.2
    )
    events, _ = data[0]
    assert events["x"][events["p"]].mean() > 12
    assert events["x"][~events["p"]].mean() < 8
    # Sum of events times threshold = change of log light, up to one threshold.
    _, path = data.recipe.path()
    light = data.recipe.brightness(image[0], path)
    total = np.zeros((20, 20))
    np.add.at(total, (events["y"], events["x"]), 0.2 * (2.0 * events["p"] - 1))
    assert np.abs(total - (light[-1] - light[0])).max() < 0.2 * (1 + 1e-6)
    # Displacement by whole pixels is a shift.
    moved = data.recipe.brightness(image[0], np.array([[0.0, 0.0], [2.0, -1.0]]))
    assert np.allclose(moved[1], np.roll(moved[0], (-1, 2), axis=(0, 1)))
    # No image, no motion: no events.
    assert len(gen.saccades(np.zeros((1, 9, 9), np.uint8))[0][0]) == 0
    rest = gen.saccades(image, corners=((1.0, 1.0), (1.0, 1.0)))
    assert len(rest[0][0]) == 0


def test_description_tells_other_content():
    assert gen.saccades(IMAGES).describe() == gen.saccades(IMAGES.copy()).describe()
    assert gen.saccades(IMAGES).describe() != gen.saccades(255 - IMAGES).describe()
    assert gen.timed_motifs(5).describe() != gen.timed_motifs(5, drop=0.2).describe()


def test_saccades_refuse_what_is_no_image():
    with pytest.raises(ParameterError, match=r"images of shape \(5, 5\) must be \(n, h, w\)"):
        gen.saccades(np.zeros((5, 5)))
    with pytest.raises(ParameterError, match=r"reach from -1\.0 to"):
        gen.saccades(np.full((1, 5, 5), -1.0))
    with pytest.raises(ParameterError, match="2 images need as many targets"):
        gen.saccades(np.zeros((2, 5, 5)), [1])
    with pytest.raises(ParameterError, match="target 3 has no name: 2 classes"):
        gen.saccades(np.zeros((1, 5, 5)), [3], classes=("a", "b"))
    with pytest.raises(ParameterError, match=r"mismatch = -1 must not be negative"):
        gen.saccades(np.zeros((1, 5, 5)), mismatch=-1)
