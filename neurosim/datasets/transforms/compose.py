"""Several transforms in a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurosim.datasets.transforms.base import Events, Transform
from neurosim.errors import ParameterError


@dataclass(frozen=True, init=False)
class Compose(Transform):
    """Apply transforms one after the other.

    Parameters
    ----------
    *transforms : callable
        `Transform` objects, which also receive ``rng``, or functions of the events alone.

    Raises
    ------
    ParameterError
        If one of them cannot be called.

    Examples
    --------
    >>> import numpy as np
    >>> from neurosim.datasets import transforms as tf
    >>> events = np.array([(0, 0), (900, 7)], dtype=[("t", "i8"), ("x", "i2")])
    >>> chain = tf.Compose(
    ...     tf.GroupChannels(group=4, sensor_size=(8, 1, 1)),
    ...     tf.ToFrames(sensor_size=(2, 1, 1), time_window=500),
    ... )
    >>> chain(events)
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """

    transforms: tuple[Callable[..., Any], ...]

    def __init__(self, *transforms: Callable[..., Any]) -> None:
        for position, transform in enumerate(transforms):
            if not callable(transform):
                raise ParameterError(
                    f"Compose: argument {position} ({transform!r}) cannot be called; pass the "
                    "transforms one by one, Compose(a, b, c)."
                )
        object.__setattr__(self, "transforms", transforms)

    def __call__(self, events: Events, rng: np.random.Generator | None = None) -> Any:
        """Return the recording after all transforms."""
        for transform in self.transforms:
            if isinstance(transform, Transform):
                events = transform(events, rng)
            else:
                events = transform(events)
        return events
