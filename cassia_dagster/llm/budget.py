"""What may be spent: a call's worst case is set aside before it is sent, and made good with its true cost after it.

The ledger is the account. A call under way counts with its reservation, a settled one with its cost, and a lost one
with its reservation, for ever: nobody knows what it cost. All processes that share the file share the account.
"""

from __future__ import annotations

from dataclasses import dataclass

from cassia_dagster.errors import ModelError
from cassia_dagster.llm.backend import Backend, MeteredBackend
from cassia_dagster.llm.database import Database, within
from cassia_dagster.llm.errors import BudgetExhausted

_SPENT = """
SELECT TOTAL(CASE state WHEN 'lost' THEN reserved_usd ELSE usd END) FILTER (WHERE state != 'sent'),
       TOTAL(reserved_usd) FILTER (WHERE state = 'sent')
FROM calls
"""

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be spent.

    Parameters
    ----------
    usd_per_run
        Most US dollars of one run; ``None`` for no limit.
    usd_per_subject
        Most US dollars over all runs for what is asked about `subject`; ``None`` for no limit.
    subject
        What the second limit is about, e.g. the name of a dataset.
    """

    usd_per_run: float | None = None
    usd_per_subject: float | None = None
    subject: str = ""


class Budget:
    """The limits of one run, and what is left of them.

    Parameters
    ----------
    database
        Where the ledger is.
    limits
        What may be spent.
    run
        The run that spends; of a name such as ``"4f2a/scores"`` the part before the slash.
    """

    def __init__(self, database: Database, limits: Limits, run: str) -> None:
        self._database = database
        run = run.partition("/")[0]
        self._scopes = [
            (what, most, within(f"calls.{column}", name))
            for what, most, column, name in (
                ("this run (max_usd_per_run)", limits.usd_per_run, "run", run),
                (f"dataset {limits.subject!r} (max_usd)", limits.usd_per_subject, "subject", limits.subject),
            )
            if most is not None
        ]

    def check_price(self, backend: Backend) -> None:
        """Raise `ModelError` if there is a limit and the price of a backend's calls is unknown."""
        if self._scopes and isinstance(backend, MeteredBackend) and backend.price is None:
            raise _unknown_price(backend)

    def permits(self, usd: float | None, backend: Backend) -> bool:
        """Tell whether a call may be sent now; call it in the transaction that writes the call down.

        Returns
        -------
        bool
            ``False`` if calls under way have set the rest aside, so that it is worth to wait for them.

        Raises
        ------
        BudgetExhausted
            If the call may cost more than is left even when nothing is under way.
        ModelError
            If its price is unknown.
        """
        if not self._scopes:
            return True
        if usd is None:
            raise _unknown_price(backend)
        permitted = True
        for what, most, (condition, names) in self._scopes:
            spent, under_way = self._database.one(f"{_SPENT} WHERE {condition}", *names) or (0.0, 0.0)
            if spent + usd > most + _ROUNDING:
                raise BudgetExhausted(
                    f"The budget of {what} is ${most:.4g}, of which ${spent:.4g} is spent, and this question to "
                    f"{backend.provider}/{backend.model} may cost ${usd:.4g}. Raise it and run again: "
                    "what is finished is not asked again."
                )
            permitted = permitted and spent + under_way + usd <= most + _ROUNDING
        return permitted


def _unknown_price(backend: Backend) -> ModelError:
    """Make the error that says why a model without a price is not asked under a budget."""
    return ModelError(
        f"There is a budget, and the price of {backend.provider}/{backend.model} is not known. Give it as "
        "usd_per_million_input and usd_per_million_output (0 for a server of your own), choose another model, "
        "or take the budget away."
    )
