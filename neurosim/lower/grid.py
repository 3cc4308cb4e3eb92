"""Times to steps of the grid."""

from __future__ import annotations

import numpy as np

from neurosim.errors import ParameterError

#: A time counts as on the grid within this fraction of a step.
TOLERANCE = 1e-6


def to_steps(
    times: np.ndarray, dt: float, what: str, *, exact: bool, remedy: str = ""
) -> np.ndarray:
    """Return times as numbers of steps.

    Parameters
    ----------
    times : array
        Times [ms].
    dt : float
        Step [ms].
    what : str
        Names the times in the error message.
    exact : bool
        Raise for a time off the grid; otherwise round to the nearest step.
    remedy : str
        An option that allows rounding, for the message.

    Raises
    ------
    ParameterError
        If a time is off the grid and `exact`.
    """
    quotient = np.asarray(times, dtype=float) / dt
    steps = np.rint(quotient)
    off = np.abs(quotient - steps) > TOLERANCE
    if exact and off.any():
        first = int(np.flatnonzero(off)[0])
        hint = f", or pass {remedy}" if remedy else ""
        raise ParameterError(
            f"{what}: {int(off.sum())} of {off.size} are not multiples of dt = {dt:g} ms (first: "
            f"{np.asarray(times)[first]:g} ms); use multiples of dt{hint}."
        )
    return steps.astype(np.int64)


def to_step(time: float, dt: float, what: str, *, at_least: int = 0) -> int:
    """Return one time as a number of steps.

    Raises
    ------
    ParameterError
        If it is off the grid or below `at_least` steps.
    """
    steps = round(time / dt)
    if steps < at_least or abs(time / dt - steps) > TOLERANCE:
        smallest = f", at least {at_least * dt:g} ms" if at_least else ""
        raise ParameterError(
            f"{what} = {time:g} ms; a multiple of dt = {dt:g} ms is needed{smallest}."
        )
    return steps
