"""Adapter: what the C library keeps of the memory that a program frees."""

import ctypes

_MMAP_THRESHOLD = -3
"""glibc's M_MMAP_THRESHOLD."""
_LARGE = 1_000_000


def keep_nothing_large() -> None:
    """From now on pieces of a megabyte and more go back to the system as they are freed, where the
    C library can be told so (glibc): it keeps them, each thread its own, and what threads have had
    at different times adds up. Every use of such a piece costs its pages anew."""
    tell = getattr(ctypes.CDLL(None), "mallopt", None)
    if tell is not None:
        tell(_MMAP_THRESHOLD, _LARGE)
