"""What an operator lives through with automation on, told once and played on every kind of installation."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import anndata
import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from cassia_dagster.agents.annotate import ANNOTATOR
from cassia_dagster.agents.merge import MergeReply
from cassia_dagster.agents.score import ScoreReply
from cassia_dagster.records import Annotation, BoostedCluster, Grouping, Rubric, Verdict
from resources.places import artifact_root
from resources.storage import stored_table
from tests.installation import MADE, TOOLS

if TYPE_CHECKING:
    from tests.installation import Installation
    from tests.servers.aimock import AIMock

TYPES = ("alpha", "beta", "ductal")
CLUSTERS = [str(number) for number in range(len(TYPES))]
RESOLUTION = "0.4"
ALL = Counter(key.to_user_string() for key in MADE)
BELOW_THE_PROMPT = Counter(
    ["annotations", "scores", "boosted", "reviewed", "merged", "report", "annotated_adata", "review"]
)
QUESTIONS = {
    "annotate": "is this cluster?",
    "validate": "Does the annotation hold?",
    "score": "Rate this label.",
    "merge": "Group these clusters",
}
"""What each role is asked, as it stands in the prompts."""


class Story:
    """The story's places and people.

    Parameters
    ----------
    site
        The installation, with an empty catalog and automation switched on.
    provider
        Who answers for a provider of models, and counts what it is asked.
    cells
        The islets.
    """

    def __init__(self, site: Installation, provider: AIMock, cells: Path) -> None:
        self.site, self.provider = site, provider
        self.cells = anndata.read_h5ad(cells)

    def nothing_is_there_and_nothing_is_done(self) -> None:
        self.site.wait_until_quiet(looks=1)
        assert not self.site.instance.get_dynamic_partitions("dataset")
        assert not self.site.instance.get_runs_count()

    def a_dataset_is_annotated_without_a_click(self) -> None:
        self.answer(Annotation(general_celltype="epithelial cell"), grouped_as="islet cell")
        self.add("first", self.write("first"))
        self.site.wait_until(lambda: self.made("first")["annotated_adata"], "the first dataset is annotated")
        self.site.wait_until_quiet()
        assert self.made("first") == ALL
        assert self.asked() == {"annotate": 3, "validate": 3, "score": 3, "merge": 1}
        assert self.labels("first") == ["epithelial cell"] * 3
        assert (self.site.output / "first" / "first_annotated.h5ad").exists()

    def after_a_changed_prompt_only_what_follows_is_redone_and_only_changed_questions_are_asked(self) -> None:
        before = self.made("first")
        gene = self.best_gene("first", "1")
        (template,) = (self.site.code / "cassia_dagster" / "agents" / "prompts").glob(f"{ANNOTATOR.name}.v*.j2")
        said = template.read_text()
        with_hint = "is this cluster? Its best marker is {{ request.evidence.markers[0].gene }}."
        assert QUESTIONS["annotate"] in said
        template.write_text(said.replace(QUESTIONS["annotate"], with_hint))
        # The new prompt has one of the clusters named otherwise, and the others as before.
        self.provider.reset()
        self.play(f"Its best marker is {gene}.", Annotation(general_celltype="endocrine cell"))
        self.answer(Annotation(general_celltype="epithelial cell"), grouped_as="islet or duct cell")
        self.site.take_changed_code()
        self.site.wait_until(lambda: self.made("first")["review"] > before["review"], "what follows is redone")
        self.site.wait_until_quiet()
        assert self.made("first") - before == BELOW_THE_PROMPT
        assert self.asked() == {"annotate": 3, "validate": 1, "score": 1, "merge": 1}
        assert self.labels("first") == ["epithelial cell", "endocrine cell", "epithelial cell"]

    def what_is_made_again_or_touched_and_is_the_same_starts_nothing_and_asks_nobody(self) -> None:
        before = self.made("first")
        self.provider.reset()
        options = ("--select", "annotations", "--partition", f"first|{RESOLUTION}", "-m", "cassia_dagster.definitions")
        self.site.command(TOOLS / "dagster", "asset", "materialize", *options)
        (self.site.output.parent / "first.h5ad").touch()
        self.site.wait_until_quiet(looks=3)
        assert self.made("first") - before == Counter(["annotations"])
        assert self.provider.requests() == []

    def a_broken_file_fails_its_check_and_touches_no_other(self) -> None:
        before = self.made("first")
        whole = self.write("second")
        whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        self.add("second", whole, "--no-check", "--max-workers", "1")
        self.site.wait_until(lambda: self.failed_checks("second"), "the check of the broken file fails")
        self.site.wait_until_quiet()
        assert self.made("first") == before
        assert self.made("second") == Counter()
        assert self.provider.requests() == []
        assert "second.h5ad" in self.failed_checks("second")[0]

    def what_is_killed_in_a_run_ends_well_and_pays_for_nothing_twice(self) -> None:
        before = self.made("first")
        self.answer(Annotation(general_celltype="epithelial cell"), grouped_as="islet cell")
        self.provider.slow_down(4000)
        self.write("second")
        site = self.site
        site.wait_until(lambda: len(site.calls("second", "done")) >= 2, "two questions are answered")
        site.wait_until(lambda: site.calls("second", "sent"), "a third question is asked")
        site.break_down()
        self.provider.slow_down(0)
        site.wait_until(lambda: self.made("second")["annotated_adata"], "the second dataset is annotated")
        site.wait_until_quiet()
        assert self.made("second") == ALL
        assert self.made("first") == before
        paid = Counter(call.key for call in site.calls("second", "done"))
        assert set(paid.values()) == {1}
        # What was under way at the kill is asked again; whether the provider had noted it, nobody knows.
        lost = Counter(call.role for call in site.calls("second", "lost"))
        # The merger was asked the same of the first dataset before its prompt was changed, and that was paid then.
        once = Counter({"annotate": 3, "validate": 3, "score": 3})
        assert lost.total() == 1
        assert self.asked() in (once, once + lost)
        assert all(run.is_finished for run in site.instance.get_runs())
        pool = site.instance.event_log_storage
        site.wait_until(lambda: not pool.get_concurrency_info("llm").claimed_slots, "the places in the pool are free")

    def write(self, name: str) -> Path:
        """Write the cells of a dataset as a pipeline does that puts its file there at once."""
        among = slice(0, 60) if name == "first" else slice(60, 120)
        types = self.cells.obs["cell_type"]
        chosen = [cell for one in TYPES for cell in types.index[types == one][among]]
        path = self.site.output.parent / f"{name}.h5ad"
        self.cells[chosen].write_h5ad(path.with_suffix(".part"))
        return path.with_suffix(".part").replace(path)

    def add(self, name: str, path: Path, *more: str) -> None:
        """Add a dataset to the catalog."""
        options = ("--name", name, "--tissue", "pancreas", "--species", "human", "--resolution", RESOLUTION)
        command = ("-m", "cassia_dagster.cli", "datasets", "add", path, *options, "--output", self.site.output)
        self.site.command(sys.executable, *command, "--model", "openai/gpt-4o-mini", *more)

    def play(self, question: str, reply: object) -> None:
        """Have the provider answer a question so."""
        response = {"content": reply.model_dump_json(), "usage": {"prompt_tokens": 1000, "completion_tokens": 100}}
        self.provider.play({"match": {"userMessage": question}, "response": response})

    def answer(self, annotation: Annotation, grouped_as: str) -> None:
        """Have the provider answer the questions of all roles so; the first answer that was given holds."""
        rubric = Rubric(identity=9, specificity=9, balance=9, alternatives=9)
        groupings = [
            Grouping(cluster=one, broad="epithelial cell", intermediate=grouped_as, detailed=f"{grouped_as} {one}")
            for one in CLUSTERS
        ]
        self.play(QUESTIONS["annotate"], annotation)
        self.play(QUESTIONS["validate"], Verdict(accepted=True, reasons="The genes fit."))
        self.play(QUESTIONS["score"], ScoreReply(rubric=rubric, reasoning="The genes fit."))
        self.play(QUESTIONS["merge"], MergeReply(groupings=groupings))

    def asked(self) -> Counter[str]:
        """Count what the provider was asked, by role."""
        texts = [json.dumps(request["body"]["messages"][-1]["content"]) for request in self.provider.requests()]
        return Counter(next(role for role, asked in QUESTIONS.items() if asked in text) for text in texts)

    def made(self, dataset: str) -> Counter[str]:
        """Count how often each asset of a dataset was made."""
        return Counter({asset: n for (of, asset), n in self.site.made().items() if of == dataset})

    def labels(self, dataset: str) -> list[str]:
        """Return the labels of the clusters."""
        rows = self.table("boosted", dataset).records(BoostedCluster)
        return [str(row.annotation and row.annotation.label) for row in rows]

    def best_gene(self, dataset: str, cluster: str) -> str:
        """Return the gene that speaks most for a cluster."""
        markers = self.table("marker_table", dataset).read()
        return str(markers.loc[markers["cluster"] == cluster, "gene"].iloc[0])

    def table(self, asset: str, dataset: str):
        """Return what an asset made."""
        root = artifact_root(self.site.environment.get("CASSIA_ARTIFACTS") or str(self.site.home.artifacts))
        return stored_table(root, asset, dataset, RESOLUTION)

    def failed_checks(self, dataset: str) -> list[str]:
        """Say what was wrong with a dataset's file."""
        key = dg.AssetCheckKey(dg.AssetKey("normalized_adata"), "file_can_be_annotated")
        records = self.site.instance.event_log_storage.get_asset_check_execution_history(key, limit=20)
        return [
            str(record.event.dagster_event.asset_check_evaluation_data.metadata["trouble"].value)
            for record in records
            if record.status is AssetCheckExecutionRecordStatus.FAILED and record.partition == dataset
        ]


def play(site: Installation, provider: AIMock, cells: Path) -> None:
    """Play the whole story."""
    story = Story(site, provider, cells)
    story.nothing_is_there_and_nothing_is_done()
    story.a_dataset_is_annotated_without_a_click()
    story.after_a_changed_prompt_only_what_follows_is_redone_and_only_changed_questions_are_asked()
    story.what_is_made_again_or_touched_and_is_the_same_starts_nothing_and_asks_nobody()
    story.a_broken_file_fails_its_check_and_touches_no_other()
    story.what_is_killed_in_a_run_ends_well_and_pays_for_nothing_twice()
