"""Ctrl-C and SIGTERM: stop between steps, not within one."""

import contextlib
import signal
import threading
import types
from collections.abc import Iterator

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """Training was asked to stop, and has saved its state.

    Attributes:
        signal: the signal's number.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.signal = number


class Request:
    """Whether a signal has asked training to stop.

    Attributes:
        signal: the signal's number, or None.
    """

    def __init__(self) -> None:
        self.signal = None
        self._before = {}

    def note(self, number: int, frame: types.FrameType | None = None) -> None:
        """Records a signal; a second one has its usual, immediate effect."""
        self.signal = number
        self.restore()

    def install(self) -> None:
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, self.note)

    def restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}


@contextlib.contextmanager
def requests() -> Iterator[Request]:
    """Records SIGINT and SIGTERM within the block instead of obeying them.

    Yields:
        A `Request`. Outside of the main thread it never receives any.
    """
    request = Request()
    if threading.current_thread() is threading.main_thread():
        request.install()
    try:
        yield request
    finally:
        request.restore()
