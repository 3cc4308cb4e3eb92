"""DVS128 Gesture: hand and arm gestures seen by an event camera."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from neurosim.datasets.formats.aedat3 import read_aedat3
from neurosim.datasets.formats.structured import VISION, Events, make_events
from neurosim.datasets.sets.base import FileSet
from neurosim.datasets.sets.remote import Piece
from neurosim.errors import FileFormatError

CLASSES = (
    "hand_clapping",
    "right_hand_wave",
    "left_hand_wave",
    "right_arm_clockwise",
    "right_arm_counter_clockwise",
    "left_arm_clockwise",
    "left_arm_counter_clockwise",
    "arm_roll",
    "air_drums",
    "air_guitar",
    "other_gestures",
)
#: The gestures cut out as npy files; the publisher of these gives MD5 sums only. The original
#: DvsGesture.tar.gz (MD5 8a5c71fb11e24e5ca5b11866ca6c00a1) is behind a page that needs a browser.
PIECES = {
    split: Piece(
        names=(name,),
        file=f"{name}.tar.gz",
        urls=(
            f"https://figshare.com/ndownloader/files/{number}",
            f"https://ndownloader.figshare.com/files/{number}",
        ),
        member=name,
        md5=md5,
    )
    for split, name, number, md5 in (
        ("train", "ibmGestureTrain", "38022171", "3a8f0d4120a166bac7591f77409cb105"),
        ("test", "ibmGestureTest", "38020584", "56070e45dadaa85fff82e0fbfbc06de5"),
    )
}
_LAYOUT = (
    "the original files (trials_to_train.txt, user01_fluorescent.aedat, "
    "user01_fluorescent_labels.csv, ...), there or in a folder DvsGesture; or the gestures cut "
    "out, ibmGestureTrain/user01_fluorescent/0.npy ... and ibmGestureTest/..."
)


class _Gesture(NamedTuple):
    file: Path
    target: int
    start: int  # us, of original files
    end: int


class DVS128Gesture(FileSet):
    """DVS128 Gesture: 11 classes, 29 people, 128 x 128 pixels, some 6 s a recording.

    Parameters
    ----------
    root : str or Path
        Folder with the original files, of which the label tables cut the gestures (1,176 to train,
        288 to test), or with the gestures cut out as npy files (1,077 and 264).
    split : {"train", "test"}, default "train"
        People 1 to 23 and 24 to 29.
    download : bool, default False
        Fetch and unpack the npy files if neither is there. The original files
        must be fetched by hand from https://research.ibm.com/interactive/dvsgesture/.
    transform, target_transform : callable, optional
        Applied to the events and to the class.

    Raises
    ------
    FileNotFoundError
        If files are missing and not downloaded.
    FileFormatError
        If a table of labels or (when it is read) a recording is damaged.

    Notes
    -----
    Amir et al. 2017, CVPR, "A low power, fully event-based gesture recognition system"; CC BY 4.0.
    Times of the original files are given from the start of the gesture, those of npy files as they
    are. Cutting reads the whole original file, 0.1 s and more an item: wrap the data set in
    `DiskCache`.
    """

    layout = _LAYOUT
    sensor_size = (128, 128, 2)
    classes = CLASSES
    dtype = VISION

    def _open(self, root: Path, split: str, download: bool) -> tuple[ArrayLike, tuple[Path, ...]]:
        lists = [root / f"trials_to_{split}.txt"]
        lists.append(lists[0].parent / "DvsGesture" / lists[0].name)
        original = next((path for path in lists if path.is_file()), None)
        if original is not None:
            self._gestures = _original(original)
        else:
            (folder,) = self._locate(root, [PIECES[split]], download)
            self._gestures = _cut_out(folder)
        files = tuple(dict.fromkeys(gesture.file for gesture in self._gestures))
        return [gesture.target for gesture in self._gestures], files

    def read(self, index: int) -> Events:
        """Return the events of gesture `index`."""
        gesture = self._gestures[index]
        if gesture.file.suffix == ".npy":
            return _read_npy(gesture.file)
        events = read_aedat3(gesture.file, sensor_size=self.sensor_size)
        inside = (events["t"] >= gesture.start) & (events["t"] < gesture.end)
        cut = events[inside]
        cut["t"] -= gesture.start
        return cut


def _original(trials: Path) -> list[_Gesture]:
    """Return the gestures that the label tables of the listed recordings name."""
    gestures = []
    for line in trials.read_text().split():
        file = trials.parent / line
        table = file.with_name(f"{file.stem}_labels.csv")
        for needed in (file, table):
            if not needed.is_file():
                raise FileNotFoundError(
                    f"DVS128Gesture: {needed} is missing, which {trials.name} names. Expected: "
                    f"{_LAYOUT}."
                )
        with open(table, newline="") as rows:
            for number, row in enumerate(csv.reader(rows)):
                if number == 0 or not row:
                    continue  # class, startTime_usec, endTime_usec
                if len(row) != 3 or not all(cell.strip().isdecimal() for cell in row):
                    raise FileFormatError(
                        f"{table} is damaged: line {number + 1} is {','.join(row)!r}; class, start "
                        "and end [us] are expected."
                    )
                target, start, end = map(int, row)
                if not (1 <= target <= len(CLASSES) and start < end):
                    raise FileFormatError(
                        f"{table} is damaged: line {number + 1} has class {target} (1 to 11) from "
                        f"{start} to {end} us."
                    )
                gestures.append(_Gesture(file, target - 1, start, end))
    if not gestures:
        raise FileFormatError(f"{trials} names no recording with gestures.")
    return gestures


def _cut_out(folder: Path) -> list[_Gesture]:
    """Return the gestures of the npy files <person>/<class>.npy."""
    gestures = []
    for file in sorted(folder.glob("*/*.npy")):
        if not file.stem.isdecimal() or int(file.stem) >= len(CLASSES):
            raise FileFormatError(f"{file}: a name from 0.npy to {len(CLASSES) - 1}.npy is needed.")
        gestures.append(_Gesture(file, int(file.stem), 0, 0))
    if not gestures:
        raise FileFormatError(f"{folder} has no recordings. Expected: {_LAYOUT}.")
    return gestures


def _read_npy(path: Path) -> Events:
    """Read a (n, 4) array of x, y, polarity, time [ms]."""
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise FileFormatError(f"{path} is damaged or no npy file ({error}).") from error
    if values.ndim != 2 or values.shape[1] != 4 or values.dtype.kind not in "fiu":
        raise FileFormatError(
            f"{path} holds {values.dtype} of shape {values.shape}; (n, 4) numbers are expected: "
            "x, y, polarity, time [ms]."
        )
    x, y, p, t = values.T
    inside = (x >= 0) & (x < 128) & (y >= 0) & (y < 128) & np.isfinite(t)
    if not inside.all():
        bad = int(np.argmin(inside))
        raise FileFormatError(f"{path} is damaged: event {bad} is {values[bad].tolist()}.")
    return make_events(t=np.rint(t * 1000.0), x=x, y=y, p=p)
