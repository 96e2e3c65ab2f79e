"""Asks the same questions once more, independently of what was answered before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cassia_dagster.llm.door import Door

if TYPE_CHECKING:
    from pydantic import BaseModel

    from cassia_dagster.llm.question import Answer, Question


@dataclass(slots=True)
class Repetition(Door):
    """A door whose questions are the n-th repetition of themselves.

    Parameters
    ----------
    door
        Who is asked.
    replicate
        Number of the repetition; 0 is the question as it is always asked, so that its reply may be there already.
    """

    door: Door
    replicate: int

    def ask[R: BaseModel](self, question: Question[R]) -> Answer[R]:
        """Ask a question that has a reply of its own for every repetition."""
        return self.door.ask(replace(question, replicate=self.replicate))
