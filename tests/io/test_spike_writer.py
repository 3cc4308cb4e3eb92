import os
import signal
import subprocess
import sys
import textwrap
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurosim.errors import ParameterError, SimulationError, UnknownNameError
from neurosim.io import SpikeWriter
from neurosim.results import SpikeTrains


def blocks_of(spikes, edges):
    for left, right in pairwise(edges):
        part = spikes.window(left, right)
        yield part.times, part.ids


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 100), st.integers(0, 4)), max_size=60),
    st.lists(st.floats(1, 99), max_size=5),
    st.integers(1, 40),
)
def test_blocks_make_the_whole(tmp_path_factory, drawn, middles, buffer):
    path = tmp_path_factory.mktemp("writer") / "s.h5"
    spikes = SpikeTrains([t for t, _ in drawn], [i for _, i in drawn], 5, t_stop=100.0)
    with SpikeWriter(path, {"spikes": 5}, buffer=buffer) as writer:
        for times, ids in blocks_of(spikes, [0.0, *sorted(middles), 100.0]):
            writer.append(times[::-1], ids[::-1])
        writer.close(t_stop=100.0)
    assert SpikeTrains.from_sonata(path).equals(spikes)


def test_several_populations(tmp_path):
    views = {"inh": [5, 9]}
    with SpikeWriter(tmp_path / "s.h5", {"exc": 3, "inh": 2}, neuron_ids=views) as writer:
        writer.append([1.0], [0], "exc")
        writer.append([0.5], [9], "inh")
        writer.flush(t_stop=4.0)
        assert len(writer.spikes("exc")) == 1
    inh = SpikeTrains.from_sonata(tmp_path / "s.h5", "inh")
    np.testing.assert_array_equal(inh.rates(), [0.0, 250.0])
    with pytest.raises(ParameterError, match="n = 3 and 2 neuron_ids"):
        SpikeWriter(tmp_path / "s.h5", {"inh": 3}, neuron_ids=views)


def test_spikes_can_be_read_while_the_run_goes_on(tmp_path):
    writer = SpikeWriter(tmp_path / "s.h5", {"exc": 3}, buffer=2)
    writer.append([1.0, 2.0, 3.0], [0, 1, 2])
    seen = SpikeTrains.from_sonata(tmp_path / "s.h5")
    writer.append([4.0], [0])
    assert len(seen) == 3
    assert len(writer.spikes()) == 4
    np.testing.assert_array_equal(seen.times, [1, 2, 3])


def test_mistakes(tmp_path):
    writer = SpikeWriter(tmp_path / "s.h5", {"exc": 3, "inh": 1})
    writer.append([2.0], [0], "exc")
    with pytest.raises(ParameterError, match=r"at 1\.0 ms comes after one at 2\.0 ms"):
        writer.append([1.0], [0], "exc")
    with pytest.raises(UnknownNameError, match="Populations: exc, inh"):
        writer.append([3.0], [0], "in")
    with pytest.raises(UnknownNameError, match="no population None"):
        writer.append([3.0], [0])
    with pytest.raises(ParameterError, match="1 times and 2 ids"):
        writer.append([3.0], [0, 1], "exc")
    writer.close()
    writer.close()
    with pytest.raises(SimulationError, match="closed"):
        writer.append([3.0], [0], "exc")


def test_resume_forgets_later_spikes(tmp_path):
    path = tmp_path / "s.h5"
    with SpikeWriter(path, {"exc": 2}) as writer:
        writer.append([1.0, 2.0, 3.0, 4.0], [0, 1, 0, 1])
    with SpikeWriter.resume(path, 2.0) as writer:
        writer.append([2.5], [0])
        writer.close(t_stop=5.0)
    again = SpikeTrains.from_sonata(path)
    np.testing.assert_array_equal(again.times, [1.0, 2.0, 2.5])
    assert again.t_stop == 5.0


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_killed_process_leaves_a_valid_file(tmp_path):
    code = f"""
        import os, signal
        from neurosim.io import SpikeWriter
        writer = SpikeWriter({str(tmp_path / "s.h5")!r}, {{"exc": 3}}, buffer=2)
        writer.append([1.0, 2.0], [0, 1])
        writer.append([3.0], [2])
        os.kill(os.getpid(), signal.SIGKILL)
    """
    environment = dict(os.environ)
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=environment)
    assert done.returncode == -signal.SIGKILL
    np.testing.assert_array_equal(SpikeTrains.from_sonata(tmp_path / "s.h5").times, [1.0, 2.0])
