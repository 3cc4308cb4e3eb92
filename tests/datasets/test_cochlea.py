"""The inner-ear model: each stage against mathematics and against numbers of the published code."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.ndimage import gaussian_filter1d

from neurosim.datasets.encoders import BushyCell, Cochlea, HairCell, basilar_membrane
from neurosim.datasets.encoders.basilar_membrane import BasilarMembrane, _pieces
from neurosim.errors import ParameterError

RATE = 48_000
# lauscher 1.0.1 (70 places, parameters at their defaults, numpy 2.4, November 2026) for `chirp`,
# zero-padded to 24008 samples: (channel, step, velocity, spike probability), and the counts of its
# bushy cells over 104 seeds.
PUBLISHED = [
    (5, 700, -0.49873658522228614, 0.002658130551723597),
    (20, 1500, -9.2274525874153, 0.0007005910750802338),
    (35, 2400, 44.470110328706795, 0.010168233960570995),
    (50, 3100, 2.0977708322215588e-05, 0.0026355738210654678),
]
PUBLISHED_RMS = {
    5: 0.9128028471886133,
    20: 5.419688278003229,
    35: 23.58582855125684,
    50: 8.746692049167924,
}
PUBLISHED_COUNTS, PUBLISHED_SD, PUBLISHED_SEEDS = 121.98, 7.7, 104
# Steps at which its LIF cell spikes for RandomState(5).rand(4000, 40) < 0.004.
PUBLISHED_LIF = [416, 1024, 1671, 3028, 3360]


def chirp() -> np.ndarray:
    t = np.arange(9600) / RATE
    return np.sin(2 * np.pi * (300 * t + 4000 * t**2)) + 0.5 * np.sin(2 * np.pi * 1700 * t)


@pytest.fixture(scope="module")
def velocity() -> np.ndarray:
    cochlea = Cochlea(channels=70)
    return cochlea.membrane.velocity(cochlea.sound(chirp(), RATE), RATE)


# --- basilar membrane -----------------------------------------------------------------------


@pytest.mark.parametrize("frequency", [20.0, 300.0, 2500.0, 15_000.0])
def test_phase_is_the_integral_of_the_wave_number(frequency):
    membrane = BasilarMembrane()
    omega = np.array([2 * np.pi * frequency])
    for x in (0.3, 1.4, 3.5):
        parts = [
            quad(lambda s, part=part: getattr(membrane.wave_number(omega, s)[0], part), 0, x,
                 limit=400, epsabs=1e-10, epsrel=1e-10)[0]
            for part in ("real", "imag")
        ]  # fmt: skip
        start = 2 * membrane.wave_number(omega, 0.0)[0] / membrane.alpha
        expected = start + parts[0] + 1j * parts[1]
        assert abs(membrane.phase(omega, x)[0] - expected) < 1e-7 * abs(expected)


def test_velocity_equals_the_published_code(velocity):
    assert velocity.shape == (70, 4800)
    for channel, step, expected, _ in PUBLISHED:
        # The largest velocity is 85; what is left out beyond resonance is below 1e-10.
        assert velocity[channel, step] == pytest.approx(expected, rel=1e-9, abs=1e-10)
    for channel, rms in PUBLISHED_RMS.items():
        assert np.sqrt(np.mean(velocity[channel] ** 2)) == pytest.approx(rms, rel=1e-10)


def test_membrane_is_linear():
    membrane = BasilarMembrane(channels=20)
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3000))
    together = membrane.velocity(2.0 * a - 3.0 * b, RATE)
    parts = 2.0 * membrane.velocity(a, RATE) - 3.0 * membrane.velocity(b, RATE)
    assert np.abs(together - parts).max() < 1e-12 * np.abs(together).max()


def test_high_frequencies_are_at_the_base():
    membrane = BasilarMembrane(channels=70)
    omega = 2 * np.pi * np.array([150.0, 400.0, 1000.0, 2500.0, 6000.0, 12_000.0])
    gain = np.zeros((70, omega.size))
    for channel, x in enumerate(membrane.places):
        response = np.abs(membrane.response(omega, float(x)))
        gain[channel, : response.size] = response
    best = gain.argmax(0)
    assert np.all(np.diff(best) < 0)
    # Resonance without damping is where S(x) = m w^2: x = -ln((m w^2 + a)/S0)/alpha.
    resonance = -np.log((membrane.m * omega**2 + membrane.a) / membrane.S0) / membrane.alpha
    assert np.allclose(membrane.places[best], resonance, atol=0.3)
    # The tail beyond the best place is steep: ten places further 20 dB are gone.
    for k, channel in enumerate(best):
        if channel + 10 < 70:
            assert gain[channel + 10, k] < 0.1 * gain[channel, k]


def test_a_long_sound_is_the_sum_of_its_pieces(monkeypatch):
    membrane = BasilarMembrane(channels=12)
    sound = gaussian_filter1d(np.random.default_rng(1).normal(size=70_000), 40)  # below 200 Hz
    pieces = membrane.velocity(sound, RATE)
    assert pieces.shape == (12, 35_000)
    monkeypatch.setattr(basilar_membrane, "TRANSFORMS_S", (2.0,))
    whole = membrane.velocity(sound, RATE)
    # Times are stretched by up to one sample in a transform (see `blocks`): 42 us, or 5 % of a
    # radian at 200 Hz. The sound itself begins and ends abruptly: left out.
    inside = slice(3000, -3000)
    error = np.abs(pieces - whole)[:, inside].max(1) / np.abs(whole[:, inside]).max(1)
    assert error.max() < 0.15


@pytest.mark.parametrize("size", [1, 19, 90, 100, 101, 105, 110, 190, 199, 200, 571])
def test_pieces_add_up_to_the_sound(size):
    sound = np.random.default_rng(size).normal(size=size)
    total = np.zeros(size)
    for start, piece in _pieces(sound, 101, 10):
        assert start % 2 == 0
        assert piece.size <= 101
        total[start : start + piece.size] += piece
    assert np.allclose(total, sound, atol=1e-14)


# --- hair cell ------------------------------------------------------------------------------


def test_hair_cell_rests_in_its_steady_state():
    cell = HairCell()
    silent = cell.probability(np.zeros((1, 24_000)))[0]
    assert np.allclose(silent, cell.spontaneous(), rtol=1e-12)
    # k = g A/(A+B); in the steady state y (M - q) = l c and k q = (l + r) c.
    k = 2000 * 5 / 305
    q, c = np.linalg.solve([[k, -(2500 + 6580)], [5.05, 2500]], [0, 5.05])
    assert 0 < q < 1
    assert cell.spontaneous() == pytest.approx(50_000 * c / 24_000, rel=1e-12)


def test_hair_cell_adapts_to_the_steady_state_of_a_constant_push():
    push = 40.0
    out = HairCell().probability(np.full((1, 48_000), push))[0]
    k = 2000 * (push + 5) / (push + 5 + 300)
    _, c = np.linalg.solve([[k, -(2500 + 6580)], [5.05, 2500]], [0, 5.05])
    assert out[-1] == pytest.approx(50_000 * c / 24_000, rel=1e-6)
    assert out.max() > 3 * out[-1]  # the onset is stronger than what stays
    below = HairCell().probability(np.full((1, 24_000), -10.0))[0]
    assert below[-1] < 1e-12  # s + A < 0: no release


def test_hair_cell_equals_the_published_code(velocity):
    probability = HairCell().probability(velocity)
    for channel, step, _, expected in PUBLISHED:
        assert probability[channel, step] == pytest.approx(expected, rel=1e-9)


# --- fibres and bushy cell ------------------------------------------------------------------


def test_fibres_are_refractory_bernoulli_trains():
    p, steps = 0.02, 400_000
    one = BushyCell(n_fibres=1).arrivals(np.full(steps, p), np.random.default_rng(0))
    gaps = np.diff(np.flatnonzero(one))
    assert gaps.min() == 24  # 1 ms
    # A gap is 23 dead steps and a geometric number of mean 1/p.
    assert gaps.mean() == pytest.approx(23 + 1 / p, abs=4 * (1 / p) / np.sqrt(gaps.size))
    assert gaps.std() == pytest.approx(np.sqrt(1 - p) / p, rel=0.05)
    many = BushyCell(n_fibres=40).arrivals(np.full(steps, p), np.random.default_rng(1))
    assert many.mean() == pytest.approx(40 / (23 + 1 / p), rel=0.01)


def test_fibres_follow_a_changing_probability():
    p = np.zeros(1000)
    p[200:300] = 0.5
    p[600] = 1.0
    counts = BushyCell(n_fibres=4000).arrivals(p, np.random.default_rng(2))
    assert counts[[*range(200), *range(330, 600), *range(601, 1000)]].sum() == 0
    assert counts[600] == 4000
    # First spikes within the burst: geometric from step 200 on.
    assert counts[200] / 4000 == pytest.approx(0.5, abs=0.03)
    assert counts[201] / 4000 == pytest.approx(0.25, abs=0.03)


def test_bushy_cell_equals_the_published_code():
    arrivals = (np.random.RandomState(5).rand(4000, 40) < 0.004).sum(1).astype(float)
    assert BushyCell().spikes(arrivals).tolist() == PUBLISHED_LIF
    # Strong drive, where the refractory time decides: the sum of n*step, modulo 1000 each.
    arrivals = (np.random.RandomState(6).rand(24_000, 40) < 0.02).sum(1).astype(float)
    steps = BushyCell().spikes(arrivals)
    assert steps.size == 716
    assert (steps * np.arange(716) % 1000).sum() == 368_017


def test_bushy_cell_integrates_to_the_closed_form():
    # One arrival of n fibre spikes: the current decays as n c^k, the voltage is the sum over j of
    # jump n c^j m^(k-j), largest somewhere after; just enough to reach 1 makes one spike there.
    cell = BushyCell(t_ref=5.0)
    keep_c, keep_m = np.exp(-1 / 24 / 0.5), np.exp(-1 / 24 / 1.0)
    k = np.arange(200)
    potential = (13_000 / 40 / 24_000) * (keep_m ** (k + 1) - keep_c ** (k + 1)) / (keep_m - keep_c)
    needed = 1 / potential.max()
    for factor, expected in ((1.0001, [potential.argmax()]), (0.9999, [])):
        arrivals = np.zeros(200)
        arrivals[0] = factor * needed
        assert cell.spikes(arrivals).tolist() == expected


def test_spike_counts_are_those_of_the_published_code(velocity):
    probability = HairCell().probability(velocity)
    cell = BushyCell()
    counts = [
        sum(len(cell.spikes(cell.arrivals(row, rng))) for row in probability)
        for rng in map(np.random.default_rng, range(60))
    ]
    # 4 standard errors of the difference of the two means.
    tolerance = 4 * PUBLISHED_SD * np.sqrt(1 / 60 + 1 / PUBLISHED_SEEDS)
    assert np.mean(counts) == pytest.approx(PUBLISHED_COUNTS, abs=tolerance)
    assert 0.6 * PUBLISHED_SD < np.std(counts) < 1.6 * PUBLISHED_SD


# --- the whole ------------------------------------------------------------------------------


def test_cochlea_is_reproducible_and_ordered():
    cochlea = Cochlea(channels=70)
    tone = np.sin(2 * np.pi * 1000 * np.arange(1600) / 8000)
    events = cochlea(tone, 8000)
    assert np.array_equal(events, cochlea(tone, 8000))
    assert not np.array_equal(events, Cochlea(channels=70, seed=1)(tone, 8000))
    drawn = [cochlea(tone, 8000, np.random.default_rng(4)) for _ in range(2)]
    assert np.array_equal(*drawn)
    assert cochlea.sensor_size == (70, 1, 1)
    assert events["x"].min() >= 0
    assert events["x"].max() < 70
    assert events["t"].max() < 200_000
    assert np.all(np.diff(events["t"]) >= 0)
    assert np.all(events["p"] == 1)
    # Most spikes are where the membrane moves most at 1 kHz.
    omega = np.array([2 * np.pi * 1000.0])
    gain = [
        np.abs(cochlea.membrane.response(omega, float(x))).sum() for x in cochlea.membrane.places
    ]
    assert abs(np.median(events["x"]) - np.argmax(gain)) < 4


def test_scale_and_sampling_rate_of_the_sound_do_not_matter():
    cochlea = Cochlea(channels=70)
    t = np.arange(3200) / 16_000
    tone = np.sin(2 * np.pi * 440 * t) * np.hanning(t.size)
    loud = (20_000 * tone).astype(np.int16)
    assert np.allclose(cochlea.sound(tone, 16_000), cochlea.sound(loud, 16_000), atol=1e-3)
    fine = np.sin(2 * np.pi * 440 * np.arange(9600) / RATE) * np.hanning(9600)
    assert np.allclose(cochlea.sound(tone, 16_000), cochlea.sound(fine, RATE), atol=0.01)
    sound = Cochlea(channels=70, ramp=0.0, level=0.2).sound(tone, 16_000)
    assert sound.size == 9600
    assert np.sqrt(np.mean(sound**2)) == pytest.approx(0.2)


def test_silence_gives_spontaneous_spikes_only():
    cochlea = Cochlea(channels=20)
    quiet = cochlea(np.zeros(16_000), 16_000)
    tone = cochlea(np.sin(2 * np.pi * 800 * np.arange(16_000) / 16_000), 16_000)
    assert len(quiet) < 0.2 * len(tone)


def test_cochlea_refuses_what_is_no_sound():
    cochlea = Cochlea(channels=5)
    with pytest.raises(
        ParameterError, match=r"shape \(2, 800\) must be .* take the mean of stereo"
    ):
        cochlea(np.zeros((2, 800)), 16_000)
    with pytest.raises(ParameterError, match="finite samples"):
        cochlea([0.0, np.nan], 16_000)
    with pytest.raises(
        ParameterError, match=r"lasts 50 ms, shorter than its two ramps of 30\.0 ms"
    ):
        cochlea(np.zeros(800), 16_000)
    with pytest.raises(ParameterError, match=r"rate = 0\.5 must be a whole number"):
        cochlea(np.zeros(8000), 0.5)
    with pytest.raises(ParameterError, match="channels = 0 must be a whole number"):
        Cochlea(channels=0)
    with pytest.raises(ParameterError, match="HairCell: g = -1 must be above 0"):
        HairCell(g=-1)
    assert len(Cochlea(channels=5, ramp=0.0)(np.zeros(0), 16_000)) == 0
