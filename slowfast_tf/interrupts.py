"""Handle signals such as Ctrl-C inside a `with` block."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def handle_signals(handler: Callable | signal.Handlers, *signals: int) -> Iterator[None]:
    """Call `handler(number, frame)` on these signals inside the block; restore the previous handlers at its end.

    Outside the main thread this does nothing, because only the main thread receives signals.

    Args:
        handler: function to call on a signal; it may raise an exception. `signal.SIG_DFL` ends the process.
        *signals: signal numbers, such as `signal.SIGINT`.

    Example:
        >>> stop = threading.Event()
        >>> with handle_signals(lambda *_: stop.set(), signal.SIGINT):
        ...     work_until(stop)
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in signals}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
