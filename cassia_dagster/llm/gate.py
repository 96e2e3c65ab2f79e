"""How fast a provider may be asked: requests and tokens a minute and calls in flight, over all processes.

The ledger is the gate's memory: the rows of the last minute are the window, those under way the places. A process
that dies gives its places back, at once where its death can be seen and else when its calls expire. Times are those
of the wall clock, the only one that processes share; rows from the future, after it was set back, do not count.
"""

from __future__ import annotations

import time

from cassia_dagster.llm.backend import Quota
from cassia_dagster.llm.database import Database
from cassia_dagster.llm.errors import RateLimited
from cassia_dagster.llm.retry import LONGEST_PAUSE

SHARE = 0.9
"""Of the quota that is used: the provider's minute does not begin when ours does."""
WINDOW = 62.0
"""Seconds: a minute, and how much later one call may reach the provider than another."""
CAREFUL = 60.0
"""Seconds after a complaint of the provider in which calls are spaced out."""
POLL = 0.1
"""Seconds until a look whether a call has ended."""
_FIRST_SPACING, _MOST_SPACING = 0.25, 5.0


class Gate:
    """Lets calls pass at the pace of their provider.

    Parameters
    ----------
    database
        Where the ledger is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def wait(self, quota: Quota, tokens: int) -> float:
        """Tell how long to wait before a call may pass; call it in the transaction that writes the call down.

        Parameters
        ----------
        quota
            What the provider lets through.
        tokens
            What the call may take at worst. One that is larger than the whole quota passes alone.

        Returns
        -------
        float
            Seconds until it is worth to ask again; 0 if the call may pass now.

        Raises
        ------
        RateLimited
            If the provider asked for a pause that is too long to wait for.
        """
        now = time.time()
        return max(
            self._until_open(quota, now),
            self._until_a_place(quota),
            self._until_within_the_minute(quota, tokens, now),
        )

    def slow_down(self, quota: Quota, retry_after: float, sent: float) -> None:
        """Heed a complaint: nobody calls for as long as the provider asks, and after it one by one.

        Parameters
        ----------
        quota
            Whose lane it is.
        retry_after
            Seconds that the provider asked for; 0 if it did not say.
        sent
            When the call was sent that it complained of. Of calls that were sent together the first counts.
        """
        now = time.time()
        closed_until, spacing, slowed = self._lane(quota, now)
        if sent > slowed:
            least = 60.0 / quota.requests_per_minute if quota.requests_per_minute else _FIRST_SPACING
            spacing = min(max(2 * spacing if now - slowed < CAREFUL else 0.0, least), _MOST_SPACING)
        self._database.run(
            "INSERT INTO lanes VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE"
            " SET closed_until = excluded.closed_until, spacing = excluded.spacing, slowed = excluded.slowed",
            quota.lane,
            max(closed_until, now + retry_after),
            spacing,
            now,
        )

    def _lane(self, quota: Quota, now: float) -> tuple[float, float, float]:
        sql = "SELECT closed_until, spacing, slowed FROM lanes WHERE name = ?"
        closed_until, spacing, slowed = self._database.one(sql, quota.lane) or (0.0, 0.0, 0.0)
        return (closed_until, spacing, slowed) if slowed <= now + 1.0 else (0.0, 0.0, 0.0)

    def _until_open(self, quota: Quota, now: float) -> float:
        closed_until, spacing, slowed = self._lane(quota, now)
        closed = closed_until - now
        if closed > LONGEST_PAUSE:
            raise RateLimited(
                f"The provider of {quota.lane} asked to be left alone for {closed:.0f} more seconds. Run again later: "
                "what is finished is not asked again.",
                retry_after=closed,
            )
        wait = max(closed, 0.0)
        if now - slowed < CAREFUL:
            sql = "SELECT MAX(started) FROM calls WHERE lane = ? AND started <= ?"
            (last,) = self._database.one(sql, quota.lane, now) or (None,)
            wait = max(wait, (last or 0.0) + spacing - now)
        return wait

    def _until_a_place(self, quota: Quota) -> float:
        if quota.max_concurrency is None:
            return 0.0
        sql = "SELECT COUNT(*) FROM calls WHERE state = 'sent' AND lane = ?"
        (in_flight,) = self._database.one(sql, quota.lane) or (0,)
        return POLL if in_flight >= quota.max_concurrency else 0.0

    def _until_within_the_minute(self, quota: Quota, tokens: int, now: float) -> float:
        if quota.requests_per_minute is None and quota.tokens_per_minute is None:
            return 0.0
        requests_left = _most(quota.requests_per_minute) - 1
        tokens_left = _most(quota.tokens_per_minute) - tokens
        # Newest first: the first row that does not fit beside this call must have left the window.
        for started, taken in self._database.rows(
            "SELECT started, CASE WHEN state IN ('sent', 'lost') THEN reserved_tokens"
            " ELSE input_tokens + output_tokens END"
            " FROM calls WHERE lane = ? AND started > ? AND started <= ? ORDER BY started DESC",
            quota.lane,
            now - WINDOW,
            now + 1.0,
        ):
            requests_left -= 1
            tokens_left -= taken
            if requests_left < 0 or tokens_left < 0:
                return max(float(started) + WINDOW - now, POLL)
        return 0.0


def _most(quota: int | None) -> float:
    return float("inf") if quota is None else max(1.0, SHARE * quota)
