"""Every data set through small files in its exact layout, written here or by our writers."""

import gzip
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import wavfile

from neurosim import datasets
from neurosim.datasets import (
    AUDIO,
    CIFAR10DVS,
    MNIST,
    NMNIST,
    NTIDIGITS,
    SHD,
    SSC,
    VISION,
    DVS128Gesture,
    FashionMNIST,
    LogMel,
    SmallNMNIST,
    SpeechCommands,
)
from neurosim.datasets.sets import cifar10_dvs, dvs_gesture, heidelberg, mnist, nmnist
from neurosim.datasets.sets.speech_commands import WORDS, read_wav
from neurosim.errors import FileFormatError, ParameterError, UnknownNameError

SHARED = Path(__file__).parents[3] / "shared/data"


def needs(folder):
    return pytest.mark.skipif(
        not (SHARED / folder).exists(), reason=f"../shared/data/{folder} is absent"
    )


def camera_events(seed, n=20, size=34):
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, 300_000, n))
    x, y = rng.integers(0, size, (2, n))
    return datasets.make_events(t=t, x=x, y=y, p=rng.integers(0, 2, n))


def spikes(seed, n=20, channels=700):
    rng = np.random.default_rng(seed)
    return datasets.make_events(
        t=np.sort(rng.integers(0, 900_000, n)), x=rng.integers(0, channels, n)
    )


# ---- MNIST


def write_idx(path, array):
    head = b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    data = head + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@pytest.mark.parametrize("suffix", [".gz", ""])
@pytest.mark.parametrize("cls", [MNIST, FashionMNIST])
def test_images(tmp_path, cls, suffix):
    images = np.arange(3 * 28 * 28).reshape(3, 28, 28) % 256
    write_idx(tmp_path / f"t10k-images-idx3-ubyte{suffix}", images)
    write_idx(tmp_path / f"t10k-labels-idx1-ubyte{suffix}", np.array([7, 0, 9]))
    data = cls(tmp_path, "test", transform=lambda image: image.astype(int) + 1)
    image, target = data[2]
    np.testing.assert_array_equal(image, images[2] + 1)
    assert (target, len(data), data.sensor_size, data.ordering) == (9, 3, (28, 28, 1), "")


@needs("mnist")
def test_the_real_images():
    data = MNIST(SHARED / "mnist")
    counts = "5923 6742 5958 6131 5842 5421 5918 6265 5851 5949"  # README of the data
    assert np.bincount(data.targets).tolist() == [int(n) for n in counts.split()]
    assert data.images.mean() / 255 == pytest.approx(0.1307, abs=1e-4)
    clothes = FashionMNIST(SHARED / "fashion_mnist", "test")
    assert np.bincount(clothes.targets).tolist() == [1000] * 10


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\0\0\x08\x01\0\0\0\x05abc", "holds 3 values, its head says 5"),
        (b"\0\0\x09\x01\0\0\0\x01a", "no idx file of bytes"),
        (b"\0\0\x08\x03\0\0", "no idx file"),
        (b"", "no idx file"),
    ],
)
def test_damaged_images(tmp_path, data, message):
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(FileFormatError, match=message):
        mnist.read_idx(tmp_path / "x")
    packed = gzip.compress(b"x" * 1000)
    (tmp_path / "x.gz").write_bytes(packed[:-5])
    with pytest.raises(FileFormatError, match="no complete gzip file"):
        mnist.read_idx(tmp_path / "x.gz")


def test_images_and_labels_that_differ(tmp_path):
    write_idx(tmp_path / "train-images-idx3-ubyte", np.zeros((3, 28, 28)))
    for labels, message in ((np.zeros(2), r"\(2,\)"), (np.array([1, 2, 10]), "label 10")):
        write_idx(tmp_path / "train-labels-idx1-ubyte", labels)
        with pytest.raises(FileFormatError, match=message):
            MNIST(tmp_path)


def test_hashes_are_of_the_right_files():
    # the sizes of SHA-256 and MD5, and that no name is missing or twice the same
    assert mnist.MNIST_SHA256.keys() == mnist.FASHION_MD5.keys()
    sums = [*mnist.MNIST_SHA256.values(), *mnist.FASHION_MD5.values(), *heidelberg.MD5.values()]
    sums += [md5 for _, md5 in cifar10_dvs.FILES.values()]
    for piece in (*nmnist.PIECES.values(), *dvs_gesture.PIECES.values()):
        sums.append(piece.md5)
    assert len(set(sums)) == len(sums) == 27
    assert {len(s) for s in sums} == {32, 64}


def test_a_root_that_is_no_folder(tmp_path):
    file = tmp_path / "train-images-idx3-ubyte"
    write_idx(file, np.zeros((3, 28, 28)))
    for download in (False, True):
        with pytest.raises(ParameterError, match=r"MNIST: root = .* is a file; give the folder"):
            MNIST(file, download=download)
    with pytest.raises(ParameterError, match="SHD: root = None; the path of a folder is needed"):
        SHD(None)


def test_a_broken_download_says_what_to_do(tmp_path):
    write_idx(tmp_path / "train-images-idx3-ubyte.gz", np.zeros((3, 28, 28)))
    write_idx(tmp_path / "train-labels-idx1-ubyte.gz", np.zeros(3))
    file = tmp_path / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(FileFormatError, match=r"images.*gzip.*delete this file of MNIST and fetch"):
        MNIST(tmp_path)
    (tmp_path / "shd_train.h5").write_bytes(b"<html>")
    with pytest.raises(FileFormatError, match=r"shd_train\.h5 cannot.*delete this file of SHD"):
        SHD(tmp_path)


@pytest.mark.parametrize("name", ["transform", "target_transform"])
def test_transforms_are_functions(tmp_path, name):
    with pytest.raises(ParameterError, match=f"SpokenDigits: {name} = 'frames' cannot be called"):
        datasets.SpokenDigits("test", **{name: "frames"})


# ---- N-MNIST


def make_nmnist(root, part="Test", per_class=2):
    for digit in range(10):
        (root / part / str(digit)).mkdir(parents=True)
        for i in range(per_class):
            datasets.write_nmnist(
                root / part / str(digit) / f"{i:05d}.bin", camera_events(digit * 10 + i)
            )


@pytest.mark.parametrize("part", ["Test", "test"])
def test_nmnist(tmp_path, part):
    make_nmnist(tmp_path, part)
    data = NMNIST(tmp_path, "test")
    assert data.targets.tolist() == sorted(list(range(10)) * 2)
    events, target = data[7]
    np.testing.assert_array_equal(events, camera_events(31))
    assert (target, data.ordering, data.dtype) == (3, "xytp", VISION)


def test_incomplete_nmnist(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"NMNIST: Train not found.*Train/0/\*\.bin"):
        NMNIST(tmp_path)
    make_nmnist(tmp_path)
    with pytest.raises(FileNotFoundError, match=rf"They are in {tmp_path}: give that as root"):
        NMNIST(tmp_path / "Test", "test")
    for file in (tmp_path / "Test" / "4").iterdir():
        file.unlink()
    with pytest.raises(FileFormatError, match=r"Test/4 has no file \*\.bin"):
        NMNIST(tmp_path, "test")
    (tmp_path / "Test" / "4" / "x.bin").write_bytes(b"123")
    data = NMNIST(tmp_path, "test")
    with pytest.raises(FileFormatError, match=r"4/x\.bin"):
        data[8]


@needs("events/nmnist_small")
def test_small_nmnist():
    path = SHARED / "events/nmnist_small/nmnist_small.npz"
    train, test = SmallNMNIST(path), SmallNMNIST(path, "test")
    assert (len(train), len(test)) == (1000, 100)
    assert np.bincount(test.targets).tolist() == [8, 14, 8, 11, 14, 7, 10, 15, 2, 11]
    n = sum(len(data.read(i)) for data in (train, test) for i in range(len(data)))
    assert n == 4_518_827  # README of the data
    raw = datasets.read_nmnist(path.parent / "raw" / "00003.bin")
    np.testing.assert_array_equal(train[3][0], raw)


def test_wrong_small_nmnist(tmp_path):
    with pytest.raises(FileNotFoundError, match="not a file"):
        SmallNMNIST(tmp_path)
    path = tmp_path / "x.npz"
    path.write_bytes(b"no npz")
    with pytest.raises(FileFormatError, match="no npz file with the arrays"):
        SmallNMNIST(path)
    arrays = {name: np.zeros(5, np.uint8) for name in "txyp"}
    arrays |= {"labels": np.zeros(2, int), "split": np.zeros(2, int)}
    np.savez(path, **arrays, offsets=np.array([0, 3, 5]))
    assert [len(events) for events, _ in SmallNMNIST(path)] == [3, 2]
    np.savez(path, **arrays, offsets=np.array([0, 6, 5]))
    with pytest.raises(FileFormatError, match="do not fit together"):
        SmallNMNIST(path)


# ---- CIFAR10-DVS, DVS128 Gesture


def test_cifar10_dvs(tmp_path):
    names = tuple(cifar10_dvs.FILES)
    for target, name in enumerate(names):
        (tmp_path / name).mkdir()
        for i in range(20):
            file = tmp_path / name / f"cifar10_{name}_{i}.aedat"
            datasets.write_aedat2(file, camera_events(100 * target + i, size=128))
    train, test, everything = (CIFAR10DVS(tmp_path, split) for split in ("train", "test", "all"))
    assert [len(data) for data in (train, test, everything)] == [180, 20, 200]
    # by number, not by name: 18 and 19 come last
    np.testing.assert_array_equal(test[3][0], camera_events(119, size=128))
    assert test[3][1] == 1 and test.classes[1] == "automobile"
    assert not {*train.files} & {*test.files}
    (tmp_path / "dog" / "stranger.aedat").touch()
    with pytest.raises(FileFormatError, match="stranger"):
        CIFAR10DVS(tmp_path)


def make_gesture(root):
    root.mkdir(exist_ok=True)
    events = camera_events(5, 3000, 128)
    datasets.write_aedat3(root / "user01_lab.aedat", events, sensor_size=(128, 128))
    (root / "trials_to_train.txt").write_text("user01_lab.aedat\n")
    table = root / "user01_lab_labels.csv"
    table.write_text("class,startTime_usec,endTime_usec\n1,1000,50000\n11,60000,290000\n")
    return events


@pytest.mark.parametrize("folder", ["", "DvsGesture"])
def test_original_gestures(tmp_path, folder):
    events = make_gesture(tmp_path / folder)
    data = DVS128Gesture(tmp_path)
    assert data.targets.tolist() == [0, 10]
    cut = events[(events["t"] >= 60_000) & (events["t"] < 290_000)]
    found, target = data[1]
    np.testing.assert_array_equal(found["t"], cut["t"] - 60_000)
    np.testing.assert_array_equal(found["x"], cut["x"])
    assert target == 10 and len(found) > 1000


@pytest.mark.parametrize("row", ["12,1,2", "1,5,5", "1,2", "a,1,2"])
def test_wrong_label_tables(tmp_path, row):
    make_gesture(tmp_path)
    (tmp_path / "user01_lab_labels.csv").write_text(f"class,start,end\n{row}\n")
    with pytest.raises(FileFormatError, match=r"labels\.csv is damaged: line 2"):
        DVS128Gesture(tmp_path)
    (tmp_path / "user01_lab_labels.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"labels\.csv is missing"):
        DVS128Gesture(tmp_path)


def test_gestures_cut_out(tmp_path):
    folder = tmp_path / "ibmGestureTest" / "user24_led"
    folder.mkdir(parents=True)
    values = np.array([[3, 100, 1, 0.5], [127, 0, 0, 20.0]])  # x, y, polarity, ms
    np.save(folder / "10.npy", values)
    data = DVS128Gesture(tmp_path, "test")
    events, target = data[0]
    assert events.tolist() == [(3, 100, 500, True), (127, 0, 20_000, False)]
    assert data.classes[target] == "other_gestures"
    np.save(folder / "10.npy", values + [0, 28, 0, 0])
    with pytest.raises(FileFormatError, match="event 0 is"):
        data[0]
    np.save(folder / "10.npy", values[:, :3])
    with pytest.raises(FileFormatError, match=r"\(n, 4\)"):
        data[0]
    with pytest.raises(FileNotFoundError, match=r"trials_to_train\.txt.*ibmGestureTrain"):
        DVS128Gesture(tmp_path)


# ---- Heidelberg sets


def test_shd(tmp_path):
    recordings = [spikes(i) for i in range(6)]
    words = [f"w{i}" for i in range(20)]
    datasets.write_shd(
        tmp_path / "shd_test.h5", recordings, range(6), classes=words, speakers=[4] * 6
    )
    data = SHD(tmp_path, "test", groups=140)
    events, target = data[5]
    np.testing.assert_array_equal(events["x"], recordings[5]["x"] // 5)
    np.testing.assert_array_equal(events["t"], recordings[5]["t"])
    assert (target, data.sensor_size, data.classes) == (5, (140, 1, 1), tuple(words))
    assert data.speakers.tolist() == [4] * 6 and data.dtype == AUDIO
    same = SHD(tmp_path / "shd_test.h5")  # a file, whatever its name
    np.testing.assert_array_equal(same[2][0], recordings[2])
    with pytest.raises(ParameterError, match="groups = 64 does not divide the 700"):
        SHD(tmp_path, "test", groups=64)
    with pytest.raises(ParameterError, match=r"groups = 3\.5: a whole number"):
        SHD(tmp_path, "test", groups=3.5)
    with pytest.raises(FileNotFoundError, match=r"SHD: shd_train\.h5 not found"):
        SHD(tmp_path)


def test_ssc(tmp_path):
    datasets.write_shd(tmp_path / "ssc_valid.h5", [spikes(0), spikes(1)], [34, 0])
    data = SSC(tmp_path, "validation")
    assert data.targets.tolist() == [34, 0] and len(data.classes) == 35
    assert data.speakers is None
    datasets.write_shd(tmp_path / "ssc_test.h5", [spikes(0)], [35])
    with pytest.raises(FileFormatError, match="label 35; 0 to 34"):
        SSC(tmp_path, "test")
    with pytest.raises(UnknownNameError, match="train, validation, test"):
        SSC(tmp_path, "valid")


@needs("fsdd_spikes")
def test_any_file_of_the_layout(tmp_path):
    packed = (SHARED / "fsdd_spikes/fsdd_test.h5.gz").read_bytes()
    (tmp_path / "fsdd_test.h5").write_bytes(gzip.decompress(packed))
    data = SHD(tmp_path / "fsdd_test.h5", "test", groups=70)
    shipped = datasets.SpokenDigits("test")
    np.testing.assert_array_equal(data.targets, shipped.targets)
    np.testing.assert_array_equal(
        np.bincount(data[9][0]["x"], minlength=70), np.bincount(shipped[9][0]["x"], minlength=70)
    )


def test_ntidigits(tmp_path):
    keys = ["man-ae-a-z", "woman-bf-b-12", "man-ae-b-o", "boy-aa-a-9"]
    with h5py.File(tmp_path / "n-tidigits.hdf5", "w") as file:
        file["test_labels"] = [key.encode() for key in keys]
        for i, key in enumerate(keys):
            events = spikes(i, channels=64)
            file[f"test_timestamps/{key}"] = events["t"] * 1e-6
            file[f"test_addresses/{key}"] = events["x"]
    data = NTIDIGITS(tmp_path, "test")
    assert data.targets.tolist() == [0, 10, 9]  # zero, oh, nine; "12" is left out
    assert data.speakers.tolist() == [1, 1, 0]
    np.testing.assert_array_equal(data[2][0], spikes(3, channels=64))
    with pytest.raises(FileNotFoundError, match=r"n-tidigits\.hdf5 not found"):
        NTIDIGITS(tmp_path / "elsewhere")


# ---- Speech Commands


def tone(frequency, n=16000):
    return (10000 * np.sin(2 * np.pi * frequency * np.arange(n) / 16000)).astype(np.int16)


@pytest.fixture
def commands(tmp_path):
    root = tmp_path / "speech_commands_v0.02"
    for i, word in enumerate(WORDS):
        (root / word).mkdir(parents=True)
        for speaker in ("aa", "bb", "cc"):
            wavfile.write(root / word / f"{speaker}_nohash_0.wav", 16000, tone(200 + 40 * i))
    (root / "validation_list.txt").write_text("yes/bb_nohash_0.wav\nbed/bb_nohash_0.wav\n")
    (root / "testing_list.txt").write_text("bed/cc_nohash_0.wav\n")
    return root


def test_official_lists(commands):
    train = SpeechCommands(commands)
    validation = SpeechCommands(commands.parent, "validation")
    test = SpeechCommands(commands, "test")
    assert [len(data) for data in (train, validation, test)] == [102, 2, 1]
    assert validation.targets.tolist() == [WORDS.index("bed"), WORDS.index("yes")]
    assert not {*train.files} & {*validation.files, *test.files}
    assert set(train.speakers) == {0, 1, 2} and validation.speakers.tolist() == [0, 0]
    assert len(WORDS) == 35 and list(WORDS) == sorted(WORDS)


def test_sound_spectrogram_and_spikes(commands):
    sound, _ = SpeechCommands(commands, "test", spectrogram=None, encoder=None)[0]
    expected = tone(240) / 32768.0
    np.testing.assert_allclose(sound, expected, atol=1e-7)
    mel, _ = SpeechCommands(commands, "test", encoder=None)[0]
    assert mel.shape == (101, 140) and mel.dtype == np.float32
    data = SpeechCommands(commands, "test")
    events, _ = data[0]
    assert events.dtype == AUDIO and data.sensor_size == (140, 1, 2)
    # the tone is steady: changes at its ends only
    assert events.size and np.isin(events["t"] // 100_000, [0, 8, 9, 10]).all()
    own = SpeechCommands(commands, "test", encoder=lambda spectrogram: spectrogram > 0)
    assert own[0][0].shape == (101, 140)
    with pytest.raises(ParameterError, match="an encoder needs a spectrogram"):
        SpeechCommands(commands, spectrogram=None)
    with pytest.raises(UnknownNameError, match="delta"):
        SpeechCommands(commands, encoder="rate")


def test_log_mel_finds_the_band_of_a_tone():
    mel = LogMel(n_mels=40, f_max=4000.0)
    assert not mel.silent_bands().size
    corners = np.linspace(2595 * np.log10(1 + 50 / 700), 2595 * np.log10(1 + 4000 / 700), 42)
    for frequency in (500.0, 1000.0, 3000.0):
        sound = np.sin(2 * np.pi * frequency * np.arange(8000) / 8000)
        place = 2595 * np.log10(1 + frequency / 700)
        loudest = mel(sound)[50].argmax()
        assert abs(corners[loudest + 1] - place) <= corners[1] - corners[0]


def test_log_mel_power_of_a_tone():
    # A sine on frequency k of the transform: |X| is n/4 at k and n/8 at its neighbours (Hann).
    n, k = 256, 40
    mel = LogMel(n_mels=20, f_min=0.0, f_max=4000.0)
    sound = np.sin(2 * np.pi * k * np.arange(8000) / n)
    power = 10 ** (mel(sound)[50].astype(float) / 10)
    corner = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 4000 / 700), 22) / 2595) - 1)
    f = np.arange(k - 1, k + 2) * 8000 / n
    weight = np.array(
        [np.interp(f, corner[i : i + 3], [0.0, 1.0, 0.0], left=0, right=0) for i in range(20)]
    )
    expected = weight @ (np.array([n / 8, n / 4, n / 8]) ** 2)
    assert np.argmax(power) == np.argmax(expected)
    found = expected > 1.0
    assert found.sum() >= 1
    np.testing.assert_allclose(power[found], expected[found], rtol=1e-3)


def test_the_published_setting_has_silent_bands():
    silent = LogMel().silent_bands()
    assert LogMel()(np.ones(8000)).shape == (101, 140)
    # above 4 kHz: 140 bands between 50 and 14000 Hz on the mel scale
    corner = np.linspace(77.76, 3428.0, 142)[:-2]
    assert set(np.flatnonzero(corner > 2595 * np.log10(1 + 4000 / 700))) <= set(silent)
    for wrong in ({"hop": 0}, {"f_min": 9e9}, {"n_mels": 1.5}):
        with pytest.raises(ParameterError, match="LogMel"):
            LogMel(**wrong)
    with pytest.raises(ParameterError, match="too short"):
        LogMel()(np.zeros(128))


def test_wav_files(tmp_path):
    path = tmp_path / "x.wav"
    wavfile.write(path, 16000, tone(300, 9000))
    sound = read_wav(path)
    assert sound.size == 16000 and not sound[9000:].any() and sound[:9000].any()
    wavfile.write(path, 16000, tone(300, 20000))
    assert read_wav(path).size == 16000
    whole = path.read_bytes()
    for damaged in (whole[:3000], whole[:20], b"", b"RIFFxxxx", whole[100:]):
        path.write_bytes(damaged)
        with pytest.raises(FileFormatError, match=r"x\.wav is damaged or no wav file"):
            read_wav(path)
    wavfile.write(path, 8000, tone(300))
    with pytest.raises(FileFormatError, match="at 8000 Hz"):
        read_wav(path)
    wavfile.write(path, 16000, np.zeros((5, 2), np.int16))
    with pytest.raises(FileFormatError, match=r"shape \(5, 2\)"):
        read_wav(path)


def test_incomplete_speech_commands(commands):
    (commands / "testing_list.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"testing_list\.txt is missing"):
        SpeechCommands(commands)
    (commands / "testing_list.txt").write_text("hello/x.wav\n")
    with pytest.raises(FileFormatError, match="hello"):
        SpeechCommands(commands, "test")
    for file in (commands / "cat").iterdir():
        file.unlink()
    with pytest.raises(FileFormatError, match="cat has no wav files"):
        SpeechCommands(commands)
    with pytest.raises(FileNotFoundError, match=r"validation_list\.txt, testing_list\.txt"):
        SpeechCommands(commands / "dog")
