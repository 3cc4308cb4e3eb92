"""Which populations sleep: decided from event counts at fixed steps, never from time or threads."""

from __future__ import annotations

#: Work on a neuron that an event reaches, relative to a neuron stepped in a vector loop
#: (measured: 15 to 30 ns against 0.2 to 0.5 ns).
EVENT_COST = 50.0
#: A population changes back only if that saves a third.
_HYSTERESIS = 1.5
#: Decisions are made at these steps and then at every multiple of the last.
_DECISIONS = (64, 256, 1024, 2048)
#: Steps between two decisions in the end.
PERIOD = _DECISIONS[-1]


def next_decision(step: int) -> int:
    """Return the first step after `step` at which strategies are reconsidered.

    Examples
    --------
    >>> [next_decision(s) for s in (0, 64, 300, 1024, 5000)]
    [64, 256, 1024, 2048, 6144]
    """
    for decision in _DECISIONS:
        if step < decision:
            return decision
    return (step // PERIOD + 1) * PERIOD


def last_decision(step: int) -> int:
    """Return the last step up to `step` at which strategies are reconsidered; 0 before the first.

    Examples
    --------
    >>> [last_decision(s) for s in (0, 64, 300, 1024, 5000)]
    [0, 64, 256, 1024, 4096]
    """
    if step >= PERIOD:
        return step // PERIOD * PERIOD
    return max((d for d in _DECISIONS if d <= step), default=0)


def should_sleep(sleeping: bool, n: int, reached: float) -> bool:
    """Return whether a population of n neurons should use the event strategy.

    Parameters
    ----------
    sleeping : bool
        What it does now.
    n : int
    reached : float
        Neurons reached by input, or awake, in a step (mean).
    """
    cost = reached * EVENT_COST
    return cost < n * _HYSTERESIS if sleeping else cost * _HYSTERESIS < n


def most_reached(n: int) -> int:
    """Return below how many events in a period n sleeping neurons surely go on sleeping.

    Examples
    --------
    >>> most_reached(100_000), should_sleep(True, 100_000, most_reached(100_000) / PERIOD - 1e-3)
    (6144000, True)
    """
    return int(n * _HYSTERESIS / EVENT_COST * PERIOD)
