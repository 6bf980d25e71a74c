"""A program on a terminal of its own, for which the test answers and reads."""

import fcntl
import os
import pty
import select
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence

WAIT = 100.0  # seconds; far above what anything here takes


class Terminal:
    """``command`` runs on a new terminal that controls it; only its stderr is a pipe."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self.ours, self.theirs = pty.openpty()
        self.process = subprocess.Popen(
            command,
            stdin=self.theirs,
            stdout=self.theirs,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
            preexec_fn=_take_control,
        )

    def read_until(self, text: bytes) -> bytes:
        """All that is shown until ``text`` is."""
        found = b""
        end = time.monotonic() + WAIT
        while text not in found and time.monotonic() < end:
            if select.select([self.ours], [], [], 0.1)[0]:
                found += os.read(self.ours, 65536)
        return found

    def answer(self, text: bytes) -> None:
        """What the terminal, or who sits at it, sends."""
        os.write(self.ours, text)

    def error_line(self) -> bytes:
        """The next line on stderr."""
        assert self.process.stderr is not None
        return self.process.stderr.readline()

    def left(self) -> bytes:
        """End the program. What a shell would read next; its settings have to be as they were."""
        flags = termios.tcgetattr(self.theirs)
        assert flags[3] & termios.ECHO
        assert flags[3] & termios.ICANON
        flags[3] &= ~termios.ICANON
        flags[6][termios.VMIN] = flags[6][termios.VTIME] = 0
        termios.tcsetattr(self.theirs, termios.TCSANOW, flags)
        kept = os.read(self.theirs, 4096)
        self.process.kill()
        self.process.communicate()
        os.close(self.theirs)
        os.close(self.ours)
        return kept


def _take_control() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
