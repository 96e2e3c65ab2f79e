from itertools import product

import pytest

from cassia_dagster.knowledge.consensus import Vote, find_consensus, is_decided, least_votes
from cassia_dagster.knowledge.ontology import load_ontology

TERMS = {
    "alpha": ("pancreatic A cell", "CL:0000171"),
    "beta": ("type B pancreatic cell", "CL:0000169"),
    "T": ("T cell", "CL:0000084"),
    "CD8": ("CD8-positive, alpha-beta T cell", "CL:0000625"),
    "CD4": ("CD4-positive, alpha-beta T cell", "CL:0000624"),
    "odd": ("cell of the third kind", None),
    "none": (None, None),
}


def votes(names):
    return [Vote(label=TERMS[name][0], cl_id=TERMS[name][1]) for name in names.split()]


def test_identical_votes_agree_fully():
    found = find_consensus(votes("beta beta beta beta beta"), 3)
    assert (found.modal_share, found.mean_pairwise_f1, found.entropy) == (1.0, 1.0, 0.0)
    assert (found.label, found.cl_id, found.support) == ("type B pancreatic cell", "CL:0000169", 5)


def test_a_planted_disagreement_has_the_planted_share():
    found = find_consensus(votes("alpha beta alpha beta alpha"), 3)
    assert (found.modal_label, found.modal_share) == ("pancreatic A cell", 0.6)
    assert found.entropy == pytest.approx(0.97095, abs=1e-5)
    alike = load_ontology().hierarchical_score("CL:0000171", "CL:0000169").f1
    assert found.mean_pairwise_f1 == pytest.approx((4 * 1 + 6 * alike) / 10)
    assert (found.label, found.support) == ("pancreatic A cell", 3)


def test_kinds_that_differ_agree_on_what_they_share():
    found = find_consensus(votes("CD8 CD4 CD8 CD4"), 3)
    assert found.cl_id == load_ontology().resolve("mature alpha-beta T cell")
    assert found.support == 4
    assert find_consensus(votes("CD8 CD4 T"), 3).cl_id == "CL:0000084"


def test_votes_that_share_only_what_names_no_type_have_no_consensus():
    found = find_consensus(votes("T beta T beta"), 3)
    assert (found.label, found.cl_id, found.support) == (None, None, 0)


def test_too_few_votes_for_a_name_abstain():
    assert find_consensus(votes("beta none none"), 2).label is None
    assert find_consensus(votes("beta none none"), 2).modal_label is None
    assert find_consensus(votes("beta none none"), 2).modal_share == pytest.approx(2 / 3)


def test_a_label_that_is_no_term_agrees_with_itself_alone():
    found = find_consensus(votes("odd odd odd beta"), 3)
    assert (found.label, found.cl_id, found.support) == ("cell of the third kind", None, 3)
    assert found.mean_pairwise_f1 == pytest.approx(3 / 6)


def test_one_vote_has_no_pairs():
    assert find_consensus(votes("beta"), 1).mean_pairwise_f1 is None


@pytest.mark.parametrize("so_far", ["beta", "beta beta", "beta beta beta", "alpha beta beta", "CD8 CD4 CD8", "none T"])
def test_decided_is_what_no_continuation_can_change(so_far):
    n, least = 5, least_votes(5, 0.6)
    left = n - len(so_far.split())
    ends = {
        find_consensus(votes(" ".join([so_far, *more])), least).label for more in product(sorted(TERMS), repeat=left)
    }
    assert is_decided(votes(so_far), left, least) == (len(ends) == 1)


def test_three_of_five_that_agree_decide():
    assert not is_decided(votes("beta beta"), 3, 3)
    assert is_decided(votes("beta beta beta"), 2, 3)
    assert not is_decided(votes("alpha beta beta"), 2, 3)
    assert is_decided(votes("alpha beta beta beta"), 1, 3)
