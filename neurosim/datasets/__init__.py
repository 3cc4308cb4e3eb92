"""Event data: file formats, data sets, transforms, encoders, generators and loading.

A recording is a NumPy structured array of events, one element an event. Vision: ``x``, ``y``
(int16, pixels), ``t`` (int64, us), ``p`` (bool, True = brighter). Audio: ``t`` (int64, us), ``x``
(int16, channel), ``p`` (always 1). An item of a data set is ``(events, target)``.

Every name is imported on first use; nothing here imports torch before a function that needs it is
called.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

#: Public names by the module that defines them, imported on first use. One line a module.
_MODULES: dict[str, tuple[str, ...]] = {
    # file formats
    "formats.aedat2": ("read_aedat2", "write_aedat2"),
    "formats.aedat3": ("read_aedat3", "write_aedat3"),
    "formats.aedat4": ("read_aedat4", "write_aedat4"),
    "formats.dat": ("read_dat", "write_dat"),
    "formats.dispatch": ("event_format", "read_events"),
    "formats.evt2": ("read_evt2", "write_evt2"),
    "formats.evt3": ("read_evt3", "write_evt3"),
    "formats.nmnist": ("read_nmnist", "write_nmnist"),
    "formats.ntidigits": ("NTidigitsFile", "read_ntidigits"),
    "formats.shd": ("ShdFile", "read_shd", "write_shd"),
    "formats.structured": ("AUDIO", "VISION", "from_structured", "make_events", "to_structured"),
    # data sets and loading
    "loading.cache": ("DiskCache",),
    "loading.collate": ("EventBatch", "collate_dense", "collate_events"),
    "loading.loader": ("Loader", "loader"),
    "loading.split": ("Subset", "split"),
    "sets.base": ("Dataset", "Recordings"),
    "sets.cifar10_dvs": ("CIFAR10DVS",),
    "sets.dvs_gesture": ("DVS128Gesture",),
    "sets.heidelberg": ("SHD", "SSC"),
    "sets.log_mel": ("LogMel",),
    "sets.mnist": ("MNIST", "FashionMNIST"),
    "sets.nmnist": ("NMNIST", "SmallNMNIST"),
    "sets.ntidigits": ("NTIDIGITS",),
    "sets.speech_commands": ("SpeechCommands",),
    "sets.spoken_digits": ("SpokenDigits",),
    # transforms, encoders and generators
    "encoders.base": ("Encoder", "spikes_to_events"),
    "encoders.cochlea": ("BushyCell", "Cochlea", "HairCell"),
    "encoders.delta": ("DeltaEncoder",),
    "encoders.latency": ("LatencyEncoder",),
    "encoders.population": ("PopulationEncoder",),
    "encoders.rate": ("RateEncoder",),
    "generators.base": ("Generated",),
    "generators.edges": ("moving_edges",),
    "generators.motifs": ("timed_motifs",),
    "generators.patterns": ("delayed_coincidence", "poisson_patterns"),
    "generators.randman": ("randman",),
    "generators.saccades": ("saccades",),
    "generators.textures": ("moving_texture",),
    "generators.yin_yang": ("yin_yang",),
    "transforms.base": ("Transform",),
    "transforms.compose": ("Compose",),
    "transforms.dense": ("ToFrames", "ToTimeSurface", "ToVoxelGrid"),
    "transforms.noise": ("Denoise", "DropEvents"),
    "transforms.space": (
        "CropSpace",
        "Downsample",
        "FlipPolarity",
        "FlipX",
        "FlipY",
        "GroupChannels",
        "SpaceJitter",
    ),
    "transforms.time": ("CropTime", "ScaleTime", "TimeJitter"),
}
_LAZY = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(
        f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__]
    )


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


__all__ = sorted(_LAZY)
