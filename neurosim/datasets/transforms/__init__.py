"""Functions of one recording of events: to arrays, cropping, augmentation, clean-up.

Each is a frozen dataclass called as ``transform(events)`` or ``transform(events, rng)``; `Compose`
chains them. They work on cameras and on cochleas (sensor ``(channels, 1, 1)``, no field ``y``).
"""

from neurosim.datasets.transforms.base import Transform
from neurosim.datasets.transforms.compose import Compose
from neurosim.datasets.transforms.dense import ToFrames, ToTimeSurface, ToVoxelGrid
from neurosim.datasets.transforms.noise import Denoise, DropEvents
from neurosim.datasets.transforms.space import (
    CropSpace,
    Downsample,
    FlipPolarity,
    FlipX,
    FlipY,
    GroupChannels,
    SpaceJitter,
)
from neurosim.datasets.transforms.time import CropTime, ScaleTime, TimeJitter

__all__ = [
    "Compose",
    "CropSpace",
    "CropTime",
    "Denoise",
    "Downsample",
    "DropEvents",
    "FlipPolarity",
    "FlipX",
    "FlipY",
    "GroupChannels",
    "ScaleTime",
    "SpaceJitter",
    "TimeJitter",
    "ToFrames",
    "ToTimeSurface",
    "ToVoxelGrid",
    "Transform",
]
