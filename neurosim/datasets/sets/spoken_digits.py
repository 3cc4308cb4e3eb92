"""Spoken digits as cochlea spikes: real recordings that ship with the package."""

from __future__ import annotations

import importlib.resources
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.datasets.formats.structured import AUDIO, Events
from neurosim.datasets.sets.base import Dataset, check_option, grouping

CHANNELS = 70


class SpokenDigits(Dataset):
    """3,000 spoken English digits of 6 speakers as spikes of an artificial inner ear.

    Ships with the package: 70 channels (channel 0 = highest frequency), times in steps of 2 ms
    (the middle of the step: 1, 3, 5, ... ms), 2,700 recordings to train and 300 to test, 0.14 to
    2.28 s long, 5,739 spikes on average. Several spikes of a channel in one step are as many equal
    events.

    Parameters
    ----------
    split : {"train", "test"}, default "train"
        Recordings 5 to 49 or 0 to 4 of every speaker and digit. There is no official validation
        set: make one with ``split(data, ...)``, stratified or by `speakers`.
    groups : int, default 70
        Sum neighbouring channels to this number; a divisor of 70.
    transform, target_transform : callable, optional
        Applied to the events and to the target.

    Attributes
    ----------
    speakers : (n,) int64
        Who speaks: an index into `speaker_names`. The same six speak in both splits.
    speaker_names : tuple of str
    durations : (n,) int64
        Length of each recording [us].

    Raises
    ------
    ParameterError
        If `groups` does not divide 70.
    UnknownNameError
        If `split` is another word.

    Notes
    -----
    Source: Free Spoken Digit Dataset (Z. Jackson and contributors), converted with the inner-ear
    model of the Spiking Heidelberg Digits (Cramer et al. 2020, doi:10.1109/TNNLS.2020.3044364).
    The data are under CC BY-SA 4.0; ``neurosim/datasets/data/README.md`` has the details. Ridge
    regression on the counts of 70 channels and 5 time bins reaches 66 % on the test recordings.

    Examples
    --------
    >>> digits = SpokenDigits("test")
    >>> digits
    SpokenDigits(300 recordings, split='test', groups=70)
    >>> events, digit = digits[0]
    >>> digits.ordering, len(events), digit
    ('txp', 5987, 1)
    """

    dtype = AUDIO

    def __init__(
        self,
        split: str = "train",
        *,
        groups: int = CHANNELS,
        transform: Callable[..., Any] | None = None,
        target_transform: Callable[[int], Any] | None = None,
    ) -> None:
        check_option("SpokenDigits", "split", split, ("train", "test"))
        self._channels_a_group = grouping("SpokenDigits", CHANNELS, groups)
        arrays = _load(split)
        super().__init__(
            arrays["labels"],
            sensor_size=(groups, 1, 1),
            classes=tuple("0123456789"),
            transform=transform,
            target_transform=target_transform,
            options={"split": split, "groups": groups},
            files=(),
        )
        self.speakers = arrays["speaker"].astype(np.int64)
        self.speaker_names = tuple(str(name) for name in arrays["speaker_names"])
        self.durations: NDArray[np.int64] = arrays["duration_us"]
        self._bin_us = int(arrays["bin_us"][0])
        self._filled, self._offsets = arrays["filled"], arrays["offsets"]
        self._counts, self._counts_offsets = arrays["counts"], arrays["counts_offsets"]

    def read(self, index: int) -> Events:
        """Return the spikes of recording `index`, sorted by time, then channel."""
        bins = slice(*self._offsets[index : index + 2])
        step, channel = np.nonzero(np.unpackbits(self._filled[bins], axis=1, count=CHANNELS))
        repeats = self._counts[slice(*self._counts_offsets[index : index + 2])]
        events = np.empty(int(repeats.sum(dtype=np.int64)), AUDIO)
        events["t"] = np.repeat(step * self._bin_us + self._bin_us // 2, repeats)
        events["x"] = np.repeat(channel // self._channels_a_group, repeats)
        events["p"] = 1
        return events


def _load(split: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of one split, its name taken off theirs."""
    data = importlib.resources.files("neurosim.datasets.data") / "spoken_digits.npz"
    with data.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        names = [name for name in arrays.files if not name.startswith(("train_", "test_"))]
        own = [name for name in arrays.files if name.startswith(f"{split}_")]
        return {name.removeprefix(f"{split}_"): arrays[name] for name in names + own}
