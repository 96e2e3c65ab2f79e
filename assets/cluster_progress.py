"""Says how far an asset is with its clusters: in the run's log, and from there in the terminal."""

import time
from collections.abc import Callable
from threading import Lock
from typing import Any

import dagster as dg

from cassia_dagster.llm.store import Store
from cassia_dagster.records import Status

OFTEN = 0.5
"""Seconds between two lines, so that a log of many clusters can be read."""

_DONE = (Status.OK, Status.UNRESOLVED)


class ClusterProgress:
    """Counts the clusters of one asset that are running, done and failed.

    Parameters
    ----------
    context, store
        Of the asset; what it has spent so far is in the store.
    total
        How many clusters there are.
    """

    def __init__(self, context: dg.AssetExecutionContext, store: Store, total: int) -> None:
        self._context = context
        self._store = store
        self._total = total
        self._running = self._done = self._failed = 0
        self._told = float("-inf")
        self._lock = Lock()

    def watching[T, R](self, work: Callable[[T], R]) -> Callable[[T], R]:
        """Return the work, which now counts itself when it begins and ends; safe to be called from many threads."""

        def watched(item: T) -> R:
            self._count(running=1)
            try:
                result = work(item)
            except Exception:
                self._count(running=-1, failed=1)
                raise
            good = getattr(result, "status", Status.OK) in _DONE
            self._count(running=-1, done=int(good), failed=int(not good))
            return result

        return watched

    def _count(self, **more: Any) -> None:
        with self._lock:
            self._running += more.get("running", 0)
            self._done += more.get("done", 0)
            self._failed += more.get("failed", 0)
            over = self._done + self._failed == self._total
            if not over and time.monotonic() - self._told < OFTEN:
                return
            self._told = time.monotonic()
            spent = self._store.totals(self._store.run).usd
            self._context.log.info(self._line(spent))

    def _line(self, usd: float) -> str:
        parts = [f"{self._done} of {self._total} clusters"]
        parts += [f"{self._running} running"] if self._running else []
        parts += [f"{self._failed} failed"] if self._failed else []
        parts += [f"{usd:.4f} USD"] if usd else []
        return ", ".join(parts)
