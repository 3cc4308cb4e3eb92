"""The spoken digits that ship with the package, against the files that they were made from."""

import gzip
import io
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from neurosim.datasets import SpokenDigits
from neurosim.errors import ParameterError, UnknownNameError

SOURCE = Path(__file__).parents[3] / "shared/data/fsdd_spikes"
needs_source = pytest.mark.skipif(
    not SOURCE.exists(), reason="../shared/data/fsdd_spikes is absent"
)


@pytest.fixture(scope="module")
def train():
    return SpokenDigits()


@pytest.fixture(scope="module")
def test():
    return SpokenDigits("test")


def test_every_speaker_says_every_digit_equally_often(train, test):
    for data, times in ((train, 45), (test, 5)):
        pairs = np.bincount(data.speakers * 10 + data.targets, minlength=60)
        assert pairs.tolist() == [times] * 60
        assert len(data) == 60 * times == len(data.durations)
    assert len(train.speaker_names) == 6


@needs_source
def test_spikes_are_those_of_the_source(test):
    with h5py.File(io.BytesIO(gzip.decompress((SOURCE / "fsdd_test.h5.gz").read_bytes()))) as file:
        for i in range(0, 300, 23):
            times = file["spikes/times"][i].astype(float) * 1e6
            channel = file["spikes/units"][i] // 10
            events = test.read(i)
            order = np.lexsort((channel, times // 2000))
            np.testing.assert_array_equal(events["x"], channel[order])
            # the middle of the 2 ms in which the spike fell
            np.testing.assert_array_equal(events["t"], times[order] // 2000 * 2000 + 1000)
            assert test.targets[i] == file["labels"][i]
            assert (
                test.speaker_names[test.speakers[i]].encode()
                == (file["extra/speaker_names"][file["extra/speaker"][i]])
            )


def test_groups_are_sums_of_neighbours(test):
    coarse = SpokenDigits("test", groups=14)
    assert coarse.sensor_size == (14, 1, 1)
    fine = np.bincount(test.read(7)["x"], minlength=70)
    np.testing.assert_array_equal(
        np.bincount(coarse.read(7)["x"], minlength=14), fine.reshape(14, 5).sum(1)
    )


def test_ridge_regression_reaches_its_published_score(train, test):
    # 70 channels x 5 parts of the recording, log counts, penalty 100: 66.0 % (README of the data)
    x, x_test = (np.stack([_features(d, i) for i in range(len(d))]) for d in (train, test))
    mean, sd = x.mean(0), x.std(0) + 1e-9
    x, x_test = (x - mean) / sd, (x_test - mean) / sd
    y = np.eye(10)[train.targets] - 0.1
    weights = np.linalg.solve(x.T @ x + 100 * np.eye(350), x.T @ y)
    score = np.mean(np.argmax(x_test @ weights, axis=1) == test.targets)
    assert score == pytest.approx(0.66, abs=0.01)


def _features(data, index):
    events = data.read(index)
    part = np.minimum(events["t"] * 5 // data.durations[index], 4)
    return np.log1p(np.bincount(part * 70 + events["x"], minlength=350))


def test_transforms_are_applied(test):
    data = SpokenDigits("test", transform=len, target_transform=lambda digit: digit + 100)
    assert data[-1] == (len(test.read(299)), test.targets[299] + 100)
    assert sum(1 for _ in data) == 300


def test_it_needs_no_torch():
    code = (
        "import sys; from neurosim.datasets import SpokenDigits; SpokenDigits('test')[0];"
        "print('torch' in sys.modules, end='')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False"


def test_licence_is_beside_the_data():
    import neurosim.datasets.data as data

    folder = Path(data.__file__).parent
    assert "Attribution-ShareAlike 4.0" in (folder / "CC-BY-SA-4.0.txt").read_text()
    assert "free-spoken-digit-dataset" in (folder / "README.md").read_text()
    assert (folder / "spoken_digits.npz").stat().st_size < 6_000_000


def test_wrong_arguments():
    with pytest.raises(UnknownNameError, match=r"no split 'valid'.*train, test"):
        SpokenDigits("valid")
    with pytest.raises(ParameterError, match=r"groups = 40 does not divide the 70.*10, 14, 35, 70"):
        SpokenDigits(groups=40)


def test_wrong_indices(test):
    with pytest.raises(IndexError, match=r"SpokenDigits\[300\]: there are 300"):
        test[300]
    with pytest.raises(TypeError, match="whole number"):
        test[1:3]
