"""Ctrl-C that waits for the end of a batch."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from neurosim.bridge.training.history import History


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C during `fit`: the message says what the model holds and how to go on.

    Attributes
    ----------
    history : History
        The finished epochs.
    """

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history


@contextlib.contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Hold the first Ctrl-C back; yields a function that tells whether there was one.

    The second one interrupts at once. In threads other than the main one nothing is held back.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    received = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: FrameType | None) -> None:
        if received.is_set():
            raise KeyboardInterrupt
        received.set()

    signal.signal(signal.SIGINT, note)
    try:
        yield received.is_set
    finally:
        signal.signal(signal.SIGINT, before)
