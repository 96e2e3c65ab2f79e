"""Lets Numba keep what libraries compile as they are imported, so that the first process alone waits for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from inspect import isfunction
from pathlib import Path
from threading import Lock
from typing import Any

_ALONE = Lock()


@contextmanager
def keeping_compiled(libraries: Sequence[str]) -> Iterator[None]:
    """Let functions that Numba's ``njit`` is given in the block be kept on disk once they are compiled.

    umap-learn, and pynndescent which it imports, ask Numba to keep some of what they compile; the others are compiled
    by every process anew, before the first cell is laid out. A library that was imported before stays as it is. Of a
    function that is compiled with two sets of options the first is kept, for by what is kept Numba cannot tell one from
    the other.

    Parameters
    ----------
    libraries
        Names of the packages whose code is compiled. Numba tells by a function's own file whether it is another, and
        not by the files of those that it calls; so what is kept lies in a folder that is named after the versions.
    """
    import numba
    from numba.misc.appdirs import AppDirs

    with _ALONE:
        settings: Any = numba.config  # made as it is imported, from the environment
        njit, place, known = numba.njit, settings.CACHE_DIR, set()

        def compiled(function: Any, signature: tuple[Any, ...], options: dict[str, Any]) -> Any:
            if function not in known:
                known.add(function)
                options = {"cache": True, **options}
            return njit(*signature, **options)(function)

        def keeping(*args: Any, **options: Any) -> Any:
            if args and isfunction(args[0]):
                return compiled(args[0], args[1:], options)
            return lambda function: compiled(function, args, options)

        usual = place or AppDirs("numba", appauthor=False).user_cache_dir  # type: ignore[no-untyped-call]
        settings.CACHE_DIR = str(Path(usual) / "_".join(f"{name}-{version(name)}" for name in libraries))
        numba.njit = keeping
        try:
            yield
        finally:
            numba.njit, settings.CACHE_DIR = njit, place
