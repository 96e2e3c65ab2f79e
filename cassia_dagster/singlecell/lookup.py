"""Answers what the data says of a gene in a cluster: from sums over many cells, never by the value of one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cassia_dagster.records import ClusterEvidence, Comparison, Expression, GeneLookup, rounded
from cassia_dagster.singlecell.expression_sums import GroupSums, log2_fold, sum_groups, together

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from cassia_dagster.singlecell.stored import StoredCells

type LookUp = Callable[[Sequence[str]], tuple[GeneLookup, ...]]
"""Says of each gene how it stands in one cluster; a gene that is named twice is answered once."""

FEWEST_CELLS = 2
"""Cells that a mean must be of: the mean of one cell is its value."""

NEAREST_COMPARED = 2

_DETECTED = 0.01  # fraction of the cells
_LEAST_LOG2FC = 0.25  # as for a marker
# Genes are asked for by name, to decide a question: there is no genome to correct for.
_LARGEST_P = 0.01


@dataclass(frozen=True, slots=True)
class ExpressionSums:
    """Sums of expression over the cells of each cluster; get them from `sum_expression`."""

    _names: tuple[str, ...]
    _columns: dict[str, int]
    """Column of each gene by its name."""
    _any_case: dict[str, int]
    """Column of each gene by its name in lower case, where only one gene has that."""
    clusters: dict[str, GroupSums]
    """The sums of each cluster, by its id."""
    _all: GroupSums

    def look_up(
        self, evidence: ClusterEvidence, genes: Sequence[str], namesakes: tuple[str, ...] = ()
    ) -> tuple[GeneLookup, ...]:
        r"""Look genes up in one cluster.

        A gene is *not detected* if fewer than 1 % of the cluster's cells have it; *up* or *down* if it is a marker,
        or if Welch's t-test of the log-normalised values says so (:math:`p \le 0.01`) and the fold change is at least
        :math:`2^{0.25}`; and *not different* else.

        Parameters
        ----------
        evidence
            The cluster, with its markers and the clusters most like it.
        genes
            Symbols; upper and lower case matter only where two genes differ in nothing else.
        namesakes
            Clusters that it is compared with, all as one, before those most like it.

        Returns
        -------
        tuple of GeneLookup
            In the order of ``genes``. A cluster that is compared with fewer than two cells, or has fewer itself,
            is answered for by its markers alone.

        Raises
        ------
        KeyError
            If the cluster is none of those that were summed.
        """
        cluster = self.clusters[evidence.cluster]
        rest = self._all.without(cluster)
        if min(cluster.n, rest.n) < FEWEST_CELLS:
            return look_up_markers(evidence, genes)
        others = [namesakes] if namesakes else []
        others += [(near.cluster,) for near in evidence.nearest if (near.cluster,) != namesakes]
        held = [(" and ".join(each), together(self.clusters[one] for one in each)) for each in others]
        compared = [("", rest), *[one for one in held if one[1].n >= FEWEST_CELLS][:NEAREST_COMPARED]]
        markers = {marker.gene for marker in evidence.markers}
        found: dict[str, GeneLookup] = {}
        for asked in genes:
            column = self._columns.get(asked, self._any_case.get(asked.casefold()))
            one = self._one(column, cluster, compared, markers) if column is not None else _not_measured(asked)
            found.setdefault(one.gene, one)
        return tuple(found.values())

    def _one(
        self, gene: int, cluster: GroupSums, compared: list[tuple[str, GroupSums]], markers: set[str]
    ) -> GeneLookup:
        rest, *nearest = (_compare(gene, cluster, cells, against) for against, cells in compared)
        name = self._names[gene]
        if name in markers:
            # The rank test that chose the markers is the better one; the two must not contradict each other.
            rest = rest.model_copy(update={"expression": Expression.UP})
        return GeneLookup(
            gene=name,
            mean=rounded(cluster.moments(gene)[0]),
            pct=rounded(cluster.pct(gene)),
            rest=rest,
            nearest=tuple(nearest),
        )


def sum_expression(adata: AnnData | StoredCells, labels: pd.Series) -> ExpressionSums:
    """Sum the expression of every gene over the cells of every cluster.

    Parameters
    ----------
    adata
        Log-normalised values of all genes in ``X``, cells × genes, in memory or on disk. Not changed.
    labels
        Cell id → cluster id (strings).
    """
    clusters = sum_groups(adata, labels)
    names = tuple(map(str, adata.var_names))
    columns = {name: column for column, name in enumerate(names)}
    return ExpressionSums(names, columns, _any_case(names), clusters, together(clusters.values()))


def look_up_markers(evidence: ClusterEvidence, genes: Sequence[str]) -> tuple[GeneLookup, ...]:
    """Look genes up where there is no matrix: markers are up, and of all others nothing is known."""
    markers = {marker.gene.casefold(): marker for marker in evidence.markers}
    found: dict[str, GeneLookup] = {}
    for asked in genes:
        marker = markers.get(asked.casefold())
        rest = Comparison(
            against="",
            expression=Expression.UP if marker else Expression.NOT_LISTED,
            log2FC=marker.avg_log2FC if marker else None,
            mean=None,
            pct=marker.pct_2 if marker else None,
        )
        gene = marker.gene if marker else asked
        found.setdefault(gene, GeneLookup(gene=gene, pct=marker.pct_1 if marker else None, rest=rest))
    return tuple(found.values())


def _any_case(names: tuple[str, ...]) -> dict[str, int]:
    lower = [name.casefold() for name in names]
    counts = Counter(lower)
    return {name: column for column, name in enumerate(lower) if counts[name] == 1}


def _not_measured(gene: str) -> GeneLookup:
    unknown = Comparison(against="", expression=Expression.NOT_MEASURED, log2FC=None, mean=None, pct=None)
    return GeneLookup(gene=gene, rest=unknown)


def _compare(gene: int, cluster: GroupSums, others: GroupSums, against: str) -> Comparison:
    mean, other_mean = cluster.moments(gene)[0], others.moments(gene)[0]
    fold = float(log2_fold(mean, other_mean))
    if cluster.pct(gene) < _DETECTED:
        expression = Expression.NOT_DETECTED
    elif abs(fold) < _LEAST_LOG2FC or _p_value(gene, cluster, others) > _LARGEST_P:
        expression = Expression.NOT_DIFFERENT
    else:
        expression = Expression.UP if fold > 0 else Expression.DOWN
    return Comparison(
        against=against,
        expression=expression,
        log2FC=rounded(fold) if cluster.detected[gene] and others.detected[gene] else None,
        mean=rounded(other_mean),
        pct=rounded(others.pct(gene)),
    )


def _p_value(gene: int, cluster: GroupSums, others: GroupSums) -> float:
    """Welch's test; where no cell differs from its group, the means alone decide."""
    from scipy.stats import ttest_ind_from_stats

    (mean, deviation), (other_mean, other_deviation) = cluster.moments(gene), others.moments(gene)
    if deviation == other_deviation == 0:
        return float(mean == other_mean)
    test = ttest_ind_from_stats(mean, deviation, cluster.n, other_mean, other_deviation, others.n, equal_var=False)
    return float(test.pvalue)
