"""Figures: what they show, read back from the artists; looks were judged by eye."""

import io
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from neurosim import plot
from neurosim.errors import ParameterError, UnknownNameError
from neurosim.plot.rasters import nice_bin
from neurosim.results import Results, SpikeTrains, Traces, WeightTraces


@pytest.fixture
def exc():
    return SpikeTrains([1.0, 2.0, 2.0, 9.0], [0, 1, 2, 0], 3, t_stop=10.0, name="exc")


@pytest.fixture
def inh():
    return SpikeTrains([5.0], [1], 2, t_stop=10.0, name="inh")


@pytest.fixture
def traces():
    t = np.arange(1, 101) * 0.1
    values = {"V_m": np.sin(t)[:, None] + [0.0, 1.0], "w": np.zeros((100, 2))}
    return Traces(values, t, [0, 2], {"V_m": "mV", "w": "1"}, name="exc")


def drawn(figure):
    """Return a figure as PNG bytes; drawing is where most mistakes would show."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=50)
    return stream.getvalue()


class TestRaster:
    def test_points_are_the_spikes(self, exc, inh):
        figure = plot.raster([exc, inh])
        raster, rate = figure.axes
        upper, lower = (line for line in raster.lines if line.get_linestyle() == "None")
        np.testing.assert_array_equal(upper.get_xdata(), exc.times)
        np.testing.assert_array_equal(upper.get_ydata(), exc.ids)
        np.testing.assert_array_equal(lower.get_ydata(), [3 + 1])  # stacked below the 3 of exc
        assert [label.get_text() for label in raster.get_yticklabels()] == ["exc", "inh"]
        assert rate.get_xlabel() == "time [ms]"
        assert rate.get_ylabel() == "rate [Hz]"
        assert rate.get_xlim() == (0.0, 10.0)
        assert drawn(figure)

    def test_the_rate_is_the_psth(self, exc):
        _, rate = plot.raster(exc, bin=5.0).axes
        np.testing.assert_allclose(rate.patches[0].get_data().values, exc.psth(5.0).rate)

    def test_order_sorts_and_selects(self, exc, inh):
        line = plot.raster(exc, order=[2, 0]).axes[0].lines[0]
        np.testing.assert_array_equal(line.get_xdata(), [1.0, 2.0, 9.0])
        np.testing.assert_array_equal(line.get_ydata(), [1, 0, 1])
        figure = plot.raster({"exc": exc, "inh": inh}, order={"inh": [1]})
        assert figure.axes[0].lines[1].get_ydata() == [3]

    def test_wrong_orders_are_named(self, exc, inh):
        with pytest.raises(ParameterError, match="no neuron 7"):
            plot.raster(exc, order=[7])
        with pytest.raises(ParameterError, match="a neuron twice"):
            plot.raster(exc, order=[1, 1])
        with pytest.raises(ParameterError, match="give a mapping"):
            plot.raster([exc, inh], order=[1])
        with pytest.raises(UnknownNameError, match="Did you mean 'exc'"):
            plot.raster([exc, inh], order={"ex": [1]})
        with pytest.raises(ParameterError, match="none were recorded"):
            plot.raster([])

    def test_a_million_spikes_become_an_image_of_all_of_them(self):
        rng = np.random.default_rng(1)
        n = 1_000_000
        spikes = SpikeTrains(rng.uniform(0, 1000, n), rng.integers(0, 5000, n), 5000, t_stop=1000.0)
        figure = spikes.plot()
        raster = figure.axes[0]
        assert not raster.lines
        assert raster.images[0].get_array().sum() == n
        assert "1,000,000 spikes" in raster.get_title(loc="right")
        assert len(drawn(figure)) < 500_000

    def test_density_keeps_the_order(self, exc):
        image = plot.raster(exc, order=[2, 0], max_points=1).axes[0].images[0].get_array()
        np.testing.assert_array_equal(np.asarray(image).sum(axis=1), [1, 2])

    def test_a_simulation_that_was_not_run(self):
        nothing = SpikeTrains([], [], 5, t_stop=0.0)
        assert drawn(Results(spikes={"exc": nothing}).plot())

    def test_silence_and_no_neurons(self):
        assert drawn(SpikeTrains([], [], 5, t_stop=10.0).plot())
        assert drawn(SpikeTrains([], [], 0).plot())
        assert drawn(SpikeTrains([], [], 5, t_stop=10.0).plot(max_points=-1))

    def test_it_fits_into_given_axes(self, exc):
        figure = Figure()
        left, right = figure.subplots(1, 2)
        assert plot.raster(exc, ax=left) is figure
        assert len(figure.axes) == 3
        assert not right.lines
        free = Figure()
        plot.raster(exc, ax=free.add_axes((0.1, 0.1, 0.8, 0.8)))
        upper, lower = (ax.get_position() for ax in free.axes)
        assert lower.y0 == pytest.approx(0.1)
        assert lower.y1 < upper.y0
        assert upper.y1 == pytest.approx(0.9)

    def test_nice_bins(self):
        assert [nice_bin(d) for d in (10.0, 100.0, 350.0, 999.0, 1000.0)] == [0.1, 1, 2, 5, 10]


class TestTraces:
    def test_lines_are_the_values(self, traces, exc):
        figure = plot.traces(traces, spikes=exc)
        upper, lower = figure.axes
        np.testing.assert_array_equal(upper.lines[1].get_ydata(), traces["V_m"][:, 1])
        assert upper.get_ylabel() == "V_m [mV]"
        assert lower.get_ylabel() == "w"
        assert lower.get_xlabel() == "time [ms]"
        np.testing.assert_array_equal(upper.lines[2].get_xdata(), exc.of(0))
        assert drawn(figure)

    def test_choices(self, traces):
        figure = traces.plot(states=["V_m"], neurons=[2])
        assert len(figure.axes) == 1
        assert len(figure.axes[0].lines) == 1
        with pytest.raises(ParameterError, match="no neuron 1"):
            traces.plot(neurons=[1])
        with pytest.raises(UnknownNameError, match="Did you mean 'V_m'"):
            traces.plot(states=["v_m"])
        with pytest.raises(ParameterError, match="one ax cannot show 2 states"):
            traces.plot(ax=Figure().add_subplot())


class TestDistributions:
    @pytest.mark.parametrize("log", [False, True])
    def test_all_neurons_are_in_the_rate_distribution(self, exc, inh, log):
        figure = plot.rate_distribution([exc, inh], log=log)
        ax = figure.axes[0]
        total = [patch.get_data().values.sum() for patch in ax.patches[1::2]]
        np.testing.assert_allclose(total, [1.0, 0.5] if log else [1.0, 1.0])  # one inh is silent
        assert ax.get_xlabel() == "firing rate [Hz]"
        labels = [text.get_text() for text in ax.get_legend().get_texts()]
        assert labels[1].startswith("inh: mean 50 Hz")
        assert ("1 silent" in labels[1]) == log
        assert drawn(figure)

    @pytest.mark.parametrize("log", [False, True])
    def test_isi(self, exc, log):
        figure = plot.isi_histogram(exc, log=log)
        assert figure.axes[0].patches[1].get_data().values.sum() == pytest.approx(1.0)
        assert figure.axes[0].get_xlabel() == "inter-spike interval [ms]"
        assert drawn(figure)

    def test_no_intervals(self, inh):
        assert drawn(plot.isi_histogram(inh))
        assert drawn(plot.isi_histogram(inh, log=True))

    def test_latency_is_the_share_that_fired(self, exc, inh):
        figure = plot.first_spike_latency([exc, inh])
        lines = figure.axes[0].lines
        np.testing.assert_array_equal(lines[0].get_xdata(), [0, 1, 2, 2, 10])
        np.testing.assert_allclose(lines[0].get_ydata(), [0, 1 / 3, 2 / 3, 1, 1])
        assert lines[1].get_ydata()[-1] == 0.5
        assert drawn(figure)

    def test_weights(self):
        weights = WeightTraces([0, 1], [1, 0], [2.0, 4.0], [1.0, 1.0], unit="pA")
        figure = weights.plot()
        assert figure.axes[0].get_xlabel() == "weight [pA]"
        recorded = WeightTraces([0], [1], [2.0], [1.0], [5.0], [[1.0]])
        labels = plot.weight_histogram(recorded).axes[0].get_legend().get_texts()
        assert [text.get_text() for text in labels] == ["at 5 ms", "at the end"]
        assert plot.weight_histogram([1.0, 2.0], unit="nS").axes[0].get_xlabel() == "weight [nS]"
        with pytest.raises(ParameterError, match="no synapses"):
            plot.weight_histogram([])


class TestConnectivity:
    def test_small_matrices_are_exact(self):
        figure = plot.connectivity_matrix([0, 0, 1, 1], [2, 2, 0, 1], shape=(2, 3))
        image = figure.axes[0].images[0].get_array()
        np.testing.assert_array_equal(image, [[0, 0, 2], [1, 1, 0]])
        assert figure.axes[0].get_ylabel() == "presynaptic neuron"
        assert drawn(figure)

    def test_recorded_weights_are_drawn(self):
        weights = WeightTraces([0, 1], [1, 0], [2.0, 3.0], [1.0, 1.0], unit="pA")
        figure = weights.plot_matrix(shape=(2, 2))
        np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), [[0, 2], [3, 0]])
        assert "[pA]" in figure.axes[1].get_ylabel()

    def test_large_matrices_are_binned_without_loss(self):
        rng = np.random.default_rng(1)
        pre, post = rng.integers(0, 10_000, (2, 100_000))
        weight = rng.normal(size=100_000)
        figure = plot.connectivity_matrix(pre, post, weight, unit="pA", shape=(10_000, 10_001))
        image = figure.axes[0].images[0].get_array()
        assert image.shape == (300, 300)
        assert image.sum() == pytest.approx(weight.sum())
        assert figure.axes[1].get_ylabel() == "weight [pA], summed in each pixel"

    def test_mistakes(self):
        with pytest.raises(ParameterError, match="2 pre, 1 post"):
            plot.connectivity_matrix([0, 1], [0])
        with pytest.raises(ParameterError, match=r"post has ids from 5 to 5; shape = \(1, 2\)"):
            plot.connectivity_matrix([0], [5], shape=(1, 2))
        assert drawn(plot.connectivity_matrix([], []))


def test_overview_shows_everything_on_one_time_axis(exc, inh, traces):
    results = Results({"exc": exc, "inh": inh}, {"exc": traces})
    figure = results.plot()
    assert len(figure.axes) == 4
    assert {ax.get_xlim()[1] for ax in figure.axes} == {10.0}
    assert drawn(figure)
    figure.canvas.draw()
    assert len({round(ax.get_position().x1, 6) for ax in figure.axes}) == 1
    assert len(Results(traces={"exc": traces}).plot().axes) == 2
    with pytest.raises(ParameterError, match="nothing that could be plotted"):
        Results().plot()


def test_pyplot_is_never_loaded():
    code = (
        "import sys; from neurosim.results import SpikeTrains; "
        "SpikeTrains([1.0], [0], 1, t_stop=10.0).plot(); "
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_figures_of_training_are_public():
    assert {"training", "confusion_matrix"} <= set(plot.__all__)
    assert drawn(plot.confusion_matrix([[3, 1], [0, 4]]))


#: What lacks of one kind of cone make of linear RGB (Machado et al. 2009, severity 1).
SIGHT = {
    "all cones": np.eye(3),
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
}


@pytest.mark.parametrize("sight", SIGHT)
def test_eight_colours_can_be_told_apart(sight):
    rgb = np.array([to_rgb(c) for c in plot.PALETTE])
    rgb = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    rgb = np.clip(rgb @ np.transpose(SIGHT[sight]), 0.0, 1.0)
    xyz = rgb @ np.transpose([[0.434, 0.376, 0.190], [0.213, 0.715, 0.072], [0.018, 0.109, 0.873]])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    lab = np.stack([116 * f[:, 1], 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)
    apart = np.linalg.norm(lab[:, None] - lab, axis=2)[~np.eye(len(lab), dtype=bool)]
    assert len(lab) == 8
    assert apart.min() > 15.0  # a difference of 2.3 is just noticeable
