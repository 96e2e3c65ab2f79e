"""Works on many clusters at once, in a fixed order, and stops at what dooms them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait


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
            # In order of time, not of items: what dooms all may come while an early one is still slow.
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    failed = [future for future in futures if not future.cancelled() and future.exception()]
    return [future.result() for future in (failed or futures)]
