"""Which genes would tell a cell type from its rivals, and for which of them the answers speak."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cassia_dagster.knowledge.belief import Floats, TypeModel, load_model
from cassia_dagster.knowledge.markers import tells_identity
from cassia_dagster.records import Expression, GeneLookup, Species

_TELLS = 0.02  # least difference of weights

_VOICES = {Expression.UP: 1.0, Expression.NOT_DIFFERENT: 0.0, Expression.DOWN: -1.0, Expression.NOT_DETECTED: -1.0}


def deciding_genes(
    species: Species | TypeModel, cl_id: str, rivals: Sequence[str], n_genes: int = 8
) -> tuple[str, ...]:
    """The genes that a type shows and its rivals do not, the most telling first.

    Parameters
    ----------
    species
        Whose symbols to give, or the model that a cluster is weighed with, which may know a lab's own markers.
    cl_id, rivals
        Cell Ontology terms.
    n_genes
        How many to give at most.
    """
    model = _model(species)
    advantage = _advantage(model, cl_id, rivals)
    best = sorted(np.flatnonzero(advantage > _TELLS), key=lambda row: (-advantage[row], row))
    symbols = (model.knowledge.symbols[row] for row in best)
    return tuple(symbol for symbol in symbols if tells_identity(symbol))[:n_genes]


def leaning(species: Species | TypeModel, lookups: Sequence[GeneLookup], cl_id: str, rivals: Sequence[str]) -> float:
    """How far the answers speak for a type and against its rivals: 1 if all its deciding genes are up.

    It is -1 if none of them is. Genes that are not measured say nothing; 0 where no answer is about a deciding gene.
    """
    model = _model(species)
    advantage = _advantage(model, cl_id, rivals)
    heard = [
        (float(advantage[row]), _VOICES[one.expression])
        for one in lookups
        if one.expression in _VOICES and (row := model.knowledge.row(one.gene)) is not None and advantage[row] > _TELLS
    ]
    weight = sum(loudness for loudness, _ in heard)
    return sum(loudness * voice for loudness, voice in heard) / weight if weight else 0.0


def _model(species: Species | TypeModel) -> TypeModel:
    return species if isinstance(species, TypeModel) else load_model(species)


def _advantage(model: TypeModel, cl_id: str, rivals: Sequence[str]) -> Floats:
    """How much more each gene speaks for the term than for any of its rivals."""
    own = _profile(model, cl_id)
    return own - np.max([_profile(model, rival) for rival in rivals], axis=0) if rivals else own


def _profile(model: TypeModel, cl_id: str) -> Floats:
    """Weights of the genes: the term's own, or what its kinds have on average where it has none."""
    types, weights = model.knowledge.types, model.knowledge.weights
    kinds = [cl_id == one for one in types] if cl_id in types else [cl_id in model.ontology.ancestors(t) for t in types]
    profile: Floats = weights[:, kinds].sum(axis=1) / max(sum(kinds), 1)
    return profile
