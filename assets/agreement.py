"""What the agreement with known labels says in the UI: checks, numbers and tables, for each column of labels."""

from collections.abc import Mapping

import dagster as dg

from assets.advice import advice
from cassia_dagster.evaluation.agreement import PURITY_FLOOR, Agreement
from cassia_dagster.outputs.confusion_picture import draw_confusion

AGREES = dg.AssetCheckSpec(
    "agrees_with_known_labels",
    asset="report",
    blocking=True,
    description=(
        "No cluster is named after a lineage that excludes the known label of most of its cells. A few warn; where "
        "they hold more cells than max_contradiction allows, nothing further is made."
    ),
)

COVERED = dg.AssetCheckSpec(
    "known_labels_are_covered",
    asset="report",
    description="The known labels of most cells are terms of the Cell Ontology, so that they can be compared with.",
)

LEAST_COVERAGE = 0.9

DIGITS = 4
"""After the point, of numbers that people read and plot."""


def agreement_checks(agreements: Mapping[str, Agreement], most: float) -> list[dg.AssetCheckResult]:
    """Judge the agreement with every column of known labels.

    Parameters
    ----------
    agreements
        By column.
    most
        Share of the compared cells that may be in contradicted clusters.
    """
    shares = {column: one.contradiction_share for column, one in agreements.items()}
    beyond = {column: share for column, share in shares.items() if share > most}
    contradicted = {column: list(one.contradicted) for column, one in agreements.items()}
    coverage = {column: one.coverage for column, one in agreements.items()}
    uncovered = [column for column, share in coverage.items() if share < LEAST_COVERAGE]
    return [
        dg.AssetCheckResult(
            check_name=AGREES.name,
            passed=not any(contradicted.values()),
            description=advice(AGREES.name, passed=not any(contradicted.values())),
            severity=dg.AssetCheckSeverity.ERROR if beyond else dg.AssetCheckSeverity.WARN,
            metadata={
                "contradicted clusters": dg.MetadataValue.json(contradicted),
                "share of cells in them": dg.MetadataValue.json(shares),
                "most allowed": most,
                "mixed clusters, not judged": dg.MetadataValue.json(
                    {column: list(one.mixed) for column, one in agreements.items()}
                ),
                "purity floor": PURITY_FLOOR,
                **({"trouble": dg.MetadataValue.text(_trouble(beyond, agreements, most))} if beyond else {}),
            },
        ),
        dg.AssetCheckResult(
            check_name=COVERED.name,
            passed=not uncovered,
            description=advice(COVERED.name, passed=not uncovered),
            severity=dg.AssetCheckSeverity.WARN,
            metadata={
                "coverage": dg.MetadataValue.json(coverage),
                "least": LEAST_COVERAGE,
                "labels without a term": dg.MetadataValue.json(
                    {column: list(one.unmapped) for column, one in agreements.items()}
                ),
            },
        ),
    ]


def _trouble(beyond: Mapping[str, float], agreements: Mapping[str, Agreement], most: float) -> str:
    told = "; ".join(
        f"{share:.0%} of the cells compared with {column} (clusters {', '.join(agreements[column].contradicted)})"
        for column, share in beyond.items()
    )
    return (
        f"Clusters are named after lineages that exclude their known labels: {told}. At most {most:.0%} is allowed, so "
        "the annotated file is not written. The report shows each of them. Are species, tissue and the known labels "
        "right? --max-contradiction allows more."
    )


def describe_agreement(agreements: Mapping[str, Agreement]) -> dict[str, dg.MetadataValue]:
    """Give numbers that the UI can plot, two tables and a heat map, known labels against ours, for each column."""
    metadata: dict[str, dg.MetadataValue] = {}
    for column, one in agreements.items():
        said = {name: dg.MetadataValue.float(value) for name, value in _numbers(one).items()}
        tables = {"clusters": _clusters(one), "measures": _measures(one)}
        shown: dict[str, dg.MetadataValue] = {
            name: dg.MetadataValue.table(rows) for name, rows in tables.items() if rows
        }
        if one.crossings:
            shown["known labels by ours"] = dg.MetadataValue.md(
                f"![known labels by ours]({draw_confusion(one.crossings)})"
            )
        metadata |= {f"{column}: {name}": value for name, value in (said | shown).items()}
    return metadata


def _numbers(agreement: Agreement) -> dict[str, float]:
    numbers = {
        "adjusted Rand index": agreement.adjusted_rand_index,
        "normalized mutual information": agreement.normalized_mutual_information,
        "homogeneity": agreement.homogeneity,
        "mean hierarchical F1": agreement.mean_hierarchical_f1,
        "exact or finer (share of clusters)": agreement.exact_or_finer,
        "contradicted (share of cells)": agreement.contradiction_share,
        "coverage (share of cells)": agreement.coverage,
    }
    return {name: round(float(value), DIGITS) for name, value in numbers.items() if value is not None}


def _clusters(agreement: Agreement) -> list[dg.TableRecord]:
    return [
        dg.TableRecord(
            {
                "cluster": row.cluster,
                "cells": row.n_cells,
                "known label": row.gold_label or "",
                "purity": f"{row.purity:.2f}",
                "label": row.label or "unresolved",
                "relation": "mixed" if row.is_mixed else row.relation.value,
                "hierarchical F1": "" if row.hierarchical_f1 is None else f"{row.hierarchical_f1:.2f}",
            }
        )
        for row in agreement.clusters
    ]


def _measures(agreement: Agreement) -> list[dg.TableRecord]:
    names = {
        "mean_hf1": "hierarchical F1",
        "mean_grade": "grade",
        "exact": "exact",
        "exact_or_finer": "exact or finer",
        "contradiction": "contradiction",
        "coverage": "named",
    }
    return [
        dg.TableRecord({"by": by, "n": one.n, **{shown: f"{getattr(one, name):.3f}" for name, shown in names.items()}})
        for by, one in agreement.measures.items()
    ]
