"""Readers and writers of event camera and audio spike files, one module a format."""

from neurosim.datasets.formats.aedat2 import read_aedat2, write_aedat2
from neurosim.datasets.formats.aedat3 import read_aedat3, write_aedat3
from neurosim.datasets.formats.aedat4 import read_aedat4, write_aedat4
from neurosim.datasets.formats.dat import read_dat, write_dat
from neurosim.datasets.formats.dispatch import event_format, read_events
from neurosim.datasets.formats.evt2 import read_evt2, write_evt2
from neurosim.datasets.formats.evt3 import read_evt3, write_evt3
from neurosim.datasets.formats.nmnist import read_nmnist, write_nmnist
from neurosim.datasets.formats.ntidigits import NTidigitsFile, read_ntidigits
from neurosim.datasets.formats.shd import ShdFile, read_shd, write_shd
from neurosim.datasets.formats.structured import (
    AUDIO,
    VISION,
    from_structured,
    make_events,
    to_structured,
)

__all__ = [
    "AUDIO",
    "VISION",
    "NTidigitsFile",
    "ShdFile",
    "event_format",
    "from_structured",
    "make_events",
    "read_aedat2",
    "read_aedat3",
    "read_aedat4",
    "read_dat",
    "read_events",
    "read_evt2",
    "read_evt3",
    "read_nmnist",
    "read_ntidigits",
    "read_shd",
    "to_structured",
    "write_aedat2",
    "write_aedat3",
    "write_aedat4",
    "write_dat",
    "write_evt2",
    "write_evt3",
    "write_nmnist",
    "write_shd",
]
