"""Do the next things in threads while the present one is used."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
SECONDS_BETWEEN_LOOKS = 0.1


def ahead(items: Iterable[T], depth: int = 1) -> Generator[T, None, None]:
    """The same items in the same order, up to ``depth`` of them made before they are asked for.

    All of ``items`` runs in one thread, so what it opens has one owner. An error is raised
    where its item would have come. Closing this iterator ends the thread.
    """
    made: Queue[Future[T] | None] = Queue(depth)
    stop = Event()
    thread = Thread(target=_fill, args=(items, made, stop), daemon=True)
    thread.start()
    try:
        while (item := made.get()) is not None:
            yield item.result()
    finally:
        stop.set()
        while thread.is_alive():
            _drain(made)
            thread.join(SECONDS_BETWEEN_LOOKS)


def _fill(items: Iterable[T], made: Queue[Future[T] | None], stop: Event) -> None:
    """Put each item, or the error that came in its place, and at the end ``None``."""
    iterator = iter(items)
    try:
        for item in iterator:
            if not _put(made, _done(item), stop):
                return
        _put(made, None, stop)
    except BaseException as error:  # raised again by the thread that asks
        failed: Future[T] = Future()
        failed.set_exception(error)
        _put(made, failed, stop)
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()


def _done(item: T) -> Future[T]:
    future: Future[T] = Future()
    future.set_result(item)
    return future


def _put(made: Queue[T], entry: T, stop: Event) -> bool:
    while not stop.is_set():
        try:
            made.put(entry, timeout=SECONDS_BETWEEN_LOOKS)
            return True
        except Full:
            continue
    return False


def _drain(made: Queue[T]) -> None:
    try:
        while True:
            made.get_nowait()
    except Empty:
        return


@contextmanager
def side_by_side(
    lanes: int, *, begin: Callable[[], None]
) -> Iterator[Callable[[Callable[[T], R], Iterable[T]], Iterator[R]]]:
    """Yield what ``map`` is, with up to ``lanes`` calls at a time, their results in order.

    Items are taken in the thread that asks, no more than a few ahead.

    Args:
        begin: called once in each thread.
    """

    def run(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        waiting: deque[Future[R]] = deque()
        for item in items:
            waiting.append(executor.submit(function, item))
            if len(waiting) > lanes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    executor = ThreadPoolExecutor(lanes, initializer=begin)
    try:
        yield run
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def behind() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Yield a function that runs jobs in another thread, in order, at most one waiting.

    A job's error is raised by the next call, or at the end of the block.
    """
    pending: list[Future[None]] = []

    def later(job: Callable[[], None]) -> None:
        while pending:
            pending.pop().result()
        pending.append(executor.submit(job))

    with ThreadPoolExecutor(max_workers=1) as executor:
        yield later
        while pending:
            pending.pop().result()
