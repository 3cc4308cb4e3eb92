"""Google Speech Commands: spoken words, as sound, spectrogram or spikes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.datasets.encoders.delta import DeltaEncoder
from neurosim.datasets.formats.structured import AUDIO
from neurosim.datasets.sets.base import Dataset, check_option
from neurosim.datasets.sets.log_mel import LogMel
from neurosim.datasets.sets.remote import Piece, locate
from neurosim.errors import FileFormatError, ParameterError

RATE = 16000  # samples a second of the files
WORDS = (
    "backward", "bed", "bird", "cat", "dog", "down", "eight", "five", "follow", "forward", "four",
    "go", "happy", "house", "learn", "left", "marvin", "nine", "no", "off", "on", "one", "right",
    "seven", "sheila", "six", "stop", "three", "tree", "two", "up", "visual", "wow", "yes", "zero",
)  # fmt: skip
_FILE = "speech_commands_v0.02.tar.gz"
PIECE = Piece(
    names=("speech_commands_v0.02",),
    file=_FILE,
    urls=(
        f"https://storage.googleapis.com/download.tensorflow.org/data/{_FILE}",
        f"https://download.tensorflow.org/data/{_FILE}",
    ),
    sha256="af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
)
_LISTS = {"validation": "validation_list.txt", "test": "testing_list.txt"}
_LAYOUT = "validation_list.txt, testing_list.txt and backward/*.wav ... zero/*.wav"


class SpeechCommands(Dataset):
    """Google Speech Commands v2: 35 words, 84,843 / 9,981 / 11,005 recordings of one second.

    The sound is cut or filled up with silence to one second, resampled to `spectrogram.rate`, and
    turned into a log-mel spectrogram; `encoder` turns that into spikes.

    Parameters
    ----------
    root : str or Path
        Folder with ``validation_list.txt``, ``testing_list.txt`` and a folder of wav files a word;
        or the folder with ``speech_commands_v0.02`` in it.
    split : {"train", "validation", "test"}, default "train"
        The official lists; what is in none of them is for training.
    spectrogram : LogMel, optional
        Default: 140 bands, every 10 ms. None (and no encoder) gives the sound, (16000,) float32,
        -1 to 1.
    encoder : callable or None, default "delta"
        A function of the (T, n_mels) spectrogram [dB]. Default: ON and OFF events whenever a band
        changed by 10 dB, ``DeltaEncoder(threshold=10.0, dt=spectrogram.dt)``. None gives the
        spectrogram itself, (101, 140) float32, as networks with real-valued input take it.
    download : bool, default False
        Fetch and unpack the set if it is missing (2.4 GB, SHA-256 checked).
    transform, target_transform : callable, optional
        Applied to the result and to the word's index.

    Attributes
    ----------
    files : list of Path
    speakers : (n,) int64
        A number a speaker, by the sorted names in the files of the split.

    Raises
    ------
    FileNotFoundError
        If files are missing and not downloaded.
    FileFormatError
        If a word has no files, or (when it is read) a recording is damaged, not of one channel,
        16 bits and 16,000 samples a second.
    ParameterError
        If there is an encoder, but no spectrogram.

    Notes
    -----
    Warden 2018, arXiv:1804.03209; CC BY 4.0.
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        *,
        spectrogram: LogMel | None = LogMel(),  # noqa: B008  (frozen)
        encoder: Callable[..., Any] | str | None = "delta",
        download: bool = False,
        transform: Callable[..., Any] | None = None,
        target_transform: Callable[[int], Any] | None = None,
    ) -> None:
        check_option("SpeechCommands", "split", split, ("train", "validation", "test"))
        self.spectrogram = spectrogram
        self.encoder = _encoder(spectrogram, encoder)
        folder = Path(root)
        if not (folder / _LISTS["validation"]).is_file():
            (folder,) = locate("SpeechCommands", root, [PIECE], fetch=download, layout=_LAYOUT)
        names = _split_names(folder, split)
        self.files = [folder / name for name in names]
        people = [name.partition("/")[2].partition("_nohash_")[0] for name in names]
        number = {person: i for i, person in enumerate(sorted(set(people)))}
        self.speakers = np.array([number[person] for person in people], np.int64)
        index = {word: i for i, word in enumerate(WORDS)}
        bands = spectrogram.n_mels if spectrogram else 1
        super().__init__(
            [index[name.partition("/")[0]] for name in names],
            sensor_size=(bands, 1, 2 if encoder == "delta" else 1),
            classes=WORDS,
            transform=transform,
            target_transform=target_transform,
            options={"split": split, "spectrogram": spectrogram, "encoder": self.encoder},
            files=tuple(self.files),
        )

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of an event (fields ``t x p``, p = 1 for louder), or float32 without an encoder."""
        return AUDIO if self.encoder is not None else np.dtype(np.float32)

    def read(self, index: int) -> NDArray[Any]:
        """Return recording `index` as events, spectrogram or sound."""
        sound = read_wav(self.files[index])
        if self.spectrogram is None:
            return sound
        result: NDArray[Any] = self.spectrogram(_resample(sound, self.spectrogram.rate))
        return result if self.encoder is None else self.encoder(result)


def _encoder(
    spectrogram: LogMel | None, encoder: Callable[..., Any] | str | None
) -> Callable[..., Any] | None:
    if isinstance(encoder, str):
        check_option("SpeechCommands", "encoder", encoder, ("delta",))
        if spectrogram is not None:
            return DeltaEncoder(threshold=10.0, dt=spectrogram.dt)
    if encoder is not None and spectrogram is None:
        raise ParameterError(
            "SpeechCommands: an encoder needs a spectrogram. For the sound itself give "
            "spectrogram=None, encoder=None."
        )
    return encoder if callable(encoder) else None


def _split_names(folder: Path, split: str) -> list[str]:
    """Return the names ``word/file.wav`` of a split, sorted."""
    lists: dict[str, list[str]] = {}
    for part, name in _LISTS.items():
        path = folder / name
        if not path.is_file():
            raise FileNotFoundError(
                f"SpeechCommands: {path} is missing. Expected in {folder}: {_LAYOUT}."
            )
        lists[part] = sorted(line for line in path.read_text().split() if line)
    if split in lists:
        wrong = [name for name in lists[split] if name.partition("/")[0] not in WORDS]
        if wrong:
            raise FileFormatError(
                f"{folder / _LISTS[split]} names {wrong[0]!r}; a line such as "
                "'yes/0a7c2a8d_nohash_0.wav' with one of the 35 words is expected."
            )
        return lists[split]
    held_out = {name for part in lists.values() for name in part}
    names = []
    for word in WORDS:
        here = sorted(f"{word}/{path.name}" for path in (folder / word).glob("*.wav"))
        if not here:
            raise FileFormatError(
                f"SpeechCommands: {folder / word} has no wav files. Is the folder complete?"
            )
        names += [name for name in here if name not in held_out]
    return names


def read_wav(path: str | Path) -> NDArray[np.float32]:
    """Read one second of sound from a wav file of Speech Commands.

    Parameters
    ----------
    path : str or Path
        One channel, 16 bits, 16,000 samples a second.

    Returns
    -------
    sound : (16000,) float32
        -1 to 1; shorter recordings end in silence, longer ones are cut.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If it is damaged or of another kind.
    """
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", wavfile.WavFileWarning)
            warnings.filterwarnings("ignore", "Chunk", wavfile.WavFileWarning)  # of other data
            rate, samples = wavfile.read(path)
    except FileNotFoundError:
        raise FileNotFoundError(f"SpeechCommands: {path} is missing.") from None
    except Exception as error:  # scipy raises struct, value and index errors of its own
        raise FileFormatError(f"{path} is damaged or no wav file ({error}).") from error
    if rate != RATE or samples.ndim != 1 or samples.dtype != np.int16:
        raise FileFormatError(
            f"{path} has {samples.dtype} samples of shape {samples.shape} at {rate} Hz; one "
            f"channel of int16 at {RATE} Hz is expected."
        )
    sound = np.zeros(RATE, np.float32)
    sound[: samples.size] = samples[:RATE] / np.float32(32768.0)
    return sound


def _resample(sound: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Return the sound at another rate (polyphase filter)."""
    if rate == RATE:
        return sound
    from scipy.signal import resample_poly

    common = math.gcd(rate, RATE)
    resampled: NDArray[np.float32] = resample_poly(sound, rate // common, RATE // common)
    return resampled
