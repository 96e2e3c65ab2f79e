"""Works on many clusters at once, in a fixed order, and stops at what dooms them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor


def for_each[T, R](items: Sequence[T], work: Callable[[T], R], max_workers: int) -> list[R]:
    """Apply ``work`` to every item in threads; return the results in the order of the items.

    Raises
    ------
    Exception
        The first that ``work`` raises, after the work that was under way has ended; what had not begun, never does.
    """
    with ThreadPoolExecutor(max_workers=max_workers, thread_name_prefix="cluster") as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
