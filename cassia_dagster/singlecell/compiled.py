"""Lets Numba keep what libraries compile as they are imported, so that the first process alone waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from inspect import isfunction
from typing import Any


@contextmanager
def keeping_compiled() -> Iterator[None]:
    """Let functions that Numba's ``njit`` is given in the block be kept on disk once they are compiled.

    umap-learn, and pynndescent which it imports, ask Numba to keep some of what they compile; the others are compiled
    by every process anew, before the first cell is laid out. A library that was imported before stays as it is. Of a
    function that is compiled with two sets of options the first is kept, for by what is kept Numba cannot tell one from
    the other.
    """
    import numba

    njit, known = numba.njit, set()

    def compiled(function: Any, signature: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if function not in known:
            known.add(function)
            options = {"cache": True, **options}
        return njit(*signature, **options)(function)

    def keeping(*args: Any, **options: Any) -> Any:
        if args and isfunction(args[0]):
            return compiled(args[0], args[1:], options)
        return lambda function: compiled(function, args, options)

    numba.njit = keeping
    try:
        yield
    finally:
        numba.njit = njit
