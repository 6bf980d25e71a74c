"""What is lent to one call at a time, such as a stream of a GPU."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from vithybrid_cli.engines.pool import Pool

WAIT = 20.0  # seconds until a test that waits for another thread gives up


class Stream:
    """Something that must not be used twice at a time."""

    def __init__(self) -> None:
        self.uses, self._in_use = 0, threading.Lock()

    def use(self) -> None:
        assert self._in_use.acquire(blocking=False)
        self.uses += 1
        self._in_use.release()


def test_calls_from_ever_new_threads_need_no_more_streams_than_there_are() -> None:
    streams = [Stream(), Stream()]
    pool = Pool(streams)

    def call(number: int) -> None:
        with pool.one() as stream:
            stream.use()

    for _ in range(5):  # as each call of `classify` makes threads of its own
        with ThreadPoolExecutor(3) as threads:
            list(threads.map(call, range(8)))
    assert sum(stream.uses for stream in streams) == 40


def test_as_many_calls_run_at_once_as_there_are_streams_and_another_waits() -> None:
    pool = Pool([Stream(), Stream()])
    meeting = threading.Barrier(2)  # nobody goes on before two have a stream
    third = threading.Event()

    def call() -> None:
        with pool.one():
            meeting.wait(WAIT)
            assert third.wait(WAIT)

    def late() -> str:
        with pool.one():
            return "its turn"

    with ThreadPoolExecutor(3) as threads:
        first = [threads.submit(call) for _ in range(2)]
        waiting = threads.submit(late)
        assert not waiting.done()
        third.set()
        assert waiting.result(WAIT) == "its turn"
        for done in first:
            done.result(WAIT)


def test_what_a_failing_call_had_is_free_again() -> None:
    pool = Pool(["stream"])
    for _ in range(2):
        with pytest.raises(ValueError, match="within"), pool.one():
            raise ValueError("within")
    with pool.one() as stream:
        assert stream == "stream"
