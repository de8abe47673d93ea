"""What the C library does with memory that is freed, where that library is glibc."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
DEFAULT_TRIM_THRESHOLD, DEFAULT_MMAP_MAX = 128 * 1024, 65536
LARGEST_INT = 2**31 - 1


def keep_freed_memory() -> None:
    """Let the C library keep what one step frees for the next; without glibc, do nothing.

    Every step, or tile, asks for the same large maps. By default each is given back to the
    system and comes back page by page, cleared by the kernel: a tenth of a training step, a
    fifth to a third of a tile.
    """
    library = _glibc()
    if library is not None:
        library.mallopt(M_MMAP_MAX, 0)
        library.mallopt(M_TRIM_THRESHOLD, LARGEST_INT)


@contextmanager
def memory_kept() -> Iterator[None]:
    """The same within the block, for the whole process; then all is given back."""
    keep_freed_memory()
    try:
        yield
    finally:
        library = _glibc()
        if library is not None:
            library.mallopt(M_MMAP_MAX, DEFAULT_MMAP_MAX)
            library.mallopt(M_TRIM_THRESHOLD, DEFAULT_TRIM_THRESHOLD)
            library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    return library if hasattr(library, "mallopt") else None
