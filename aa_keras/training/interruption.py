"""Signals that ask a run to stop: it finishes its step, saves, and ends."""

import signal
import threading

# The exit status: as after a kill, and "try again later" of sysexits.h, for schedulers
# that requeue a job.
STATUS = {signal.SIGTERM: 143, signal.SIGINT: 130}
if hasattr(signal, "SIGUSR1"):  # not on Windows
    STATUS[signal.SIGUSR1] = 75


class Interrupted(RuntimeError):
    """A signal ended the run after it was saved. `status` is that of the process.

    Args:
        number: int, the number of the signal.
        moment: str, what was finished and saved before.
    """

    def __init__(self, number, moment):
        name = signal.Signals(number).name
        super().__init__(
            f"stopped by {name} after {moment}; the same command resumes there"
        )
        self.status = STATUS[number]


class Signals:
    """A context in which signals of `STATUS` are noted in `received`, no more.

    A second Ctrl-C acts as usual.

    Outside of the main thread Python allows no handlers: they act as usual there.
    """

    def __init__(self):
        self.received = None
        self._previous = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for number in STATUS:
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error):
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number, frame):
        self.received = number
        if number == signal.SIGINT:
            signal.signal(number, self._previous[number])
