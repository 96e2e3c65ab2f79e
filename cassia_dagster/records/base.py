"""What every record is made of: names, fractions, rounded numbers, and the record itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

type Species = Literal["human", "mouse"]
SPECIES: tuple[Species, ...] = ("human", "mouse")
type Fraction = Annotated[float, Field(ge=0, le=1)]
type Percent = Annotated[float, Field(ge=0, le=100)]


def _printable(text: str) -> str:
    # A NUL cannot be written to HDF5, and an escape sequence would speak to the terminal that shows it.
    if not text.isprintable():
        raise ValueError("a name must not hold control characters or line breaks")
    return text


# Not a `type` statement: that would be a reference in JSON schemas, which not every provider follows.
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_printable)
]
"""What something is called: never empty, one line, and safe to print."""

Prose = Annotated[str, StringConstraints(max_length=4000)]
"""What a model may say in its own words; longer is no answer but a runaway."""

MOST_GENES = 40
"""Genes that a reply may list in one place."""

Genes = Annotated[tuple[Name, ...], Field(max_length=MOST_GENES)]


def rounded(value: Any) -> float:
    """Keep three significant digits: more differ between machines, and a prompt that differs is paid twice.

    Examples
    --------
    >>> rounded(0.0123456)
    0.0123
    """
    return float(f"{float(value):.3g}")


def natural_order(clusters: Iterable[str]) -> list[str]:
    """Sort cluster ids as a person would: numbers by value, then names by letter.

    Examples
    --------
    >>> natural_order(["10", "T cells", "2"])
    ['2', '10', 'T cells']
    """
    return sorted(
        clusters,
        key=lambda cluster: (not cluster.isdecimal(), int(cluster) if cluster.isdecimal() else 0, cluster),
    )


class Record(BaseModel):
    """An immutable value whose fields are all known and whose numbers are all finite."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)
