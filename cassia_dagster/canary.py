"""A few fixed questions that are asked anew every week, to notice when a provider's model answers differently."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, override

import dagster as dg
from pydantic import BaseModel

from cassia_dagster.agents.annotate import ANNOTATOR, annotate_cluster
from cassia_dagster.agents.estimate import example_cluster
from cassia_dagster.llm.door import Door
from cassia_dagster.llm.question import Answer, Question
from cassia_dagster.llm.store import Store
from cassia_dagster.records import AnnotatedCluster, Strategy
from resources.llm import ModelResource, ModelStore
from resources.settings import AnnotationSettings

CANARY = dg.AssetKey("canary")
SUBJECT = "canary"
"""Under which name the ledger has the questions; limits for a dataset hold for it too."""

TYPES = {
    "CL:0000169": "pancreas",
    "CL:0000236": "blood",
    "CL:0000084": "blood",
    "CL:0000115": "lung",
    "CL:0000182": "liver",
}
"""Cell Ontology term of each made-up cluster, and the tissue that it is said to be from."""


@dataclass(slots=True)
class Anew(Door):
    """A door through which every question is another one each week, so that no earlier reply answers it."""

    door: Door
    week: int

    @override
    def ask[R: BaseModel](self, question: Question[R]) -> Answer[R]:
        return self.door.ask(replace(question, replicate=self.week))


def week_of(moment: datetime) -> int:
    """Number a week over all years, as ISO 8601 counts them: 202648."""
    year, week, _ = moment.isocalendar()
    return year * 100 + week


@dg.op(description="Ask the annotator a few fixed questions anew, and compare with what it said the last time.")
def ask_canary(
    context: dg.OpExecutionContext,
    annotation_llm: ModelResource,
    model_store: ModelStore,
    settings: AnnotationSettings,
) -> None:
    """Name five clusters that were made up from marker knowledge, without earlier replies.

    What comes of it is a materialization of the asset ``canary``: how many terms differ from the last time that this
    model was asked, and how many are the terms that the clusters were made from.
    """
    with Store.open(model_store.path, f"{context.run_id}/{SUBJECT}", settings.limits(SUBJECT)) as store:
        door = Anew(annotation_llm.door(store), week_of(datetime.now(UTC)))
        rows = {term: _named(term, tissue, door) for term, tissue in TYPES.items()}
        totals = store.totals(store.run)
    model = annotation_llm.title
    now = {term: _term(row) for term, row in rows.items()}
    before = _last_terms(context.instance, model)
    changed = {term: f"{before[term]} → {now[term]}" for term in now if term in before and before[term] != now[term]}
    for term, change in changed.items():
        context.log.warning("%s names the cluster made from %s differently: %s.", model, term, change)
    context.log_event(
        dg.AssetMaterialization(
            CANARY,
            description="What the annotator answers to the same few questions, week by week.",
            metadata={
                "model": dg.MetadataValue.text(model),
                "template": dg.MetadataValue.text(ANNOTATOR.template),
                "terms": dg.MetadataValue.json(now),
                "changed": len(changed),
                "changes": dg.MetadataValue.json(changed),
                "right": sum(term == said for term, said in now.items()),
                "questions": len(now),
                "calls": totals.calls,
                "usd": totals.usd,
            },
        )
    )


def _named(term: str, tissue: str, door: Door) -> AnnotatedCluster:
    evidence = example_cluster("human", tissue, term)
    return annotate_cluster(evidence, door, door, f"{SUBJECT}/{term}", Strategy.ONE_SHOT)


def _term(row: AnnotatedCluster) -> str:
    return (row.check.cl_id if row.check else None) or row.status.value


def _last_terms(instance: dg.DagsterInstance, model: str) -> dict[str, str]:
    """Return what the same model answered the last time to the same prompt; nothing if that was too long ago."""
    for record in instance.fetch_materializations(CANARY, limit=50).records:
        if made := record.asset_materialization:
            seen: dict[str, Any] = {name: value.value for name, value in made.metadata.items()}
            if (seen["model"], seen["template"]) == (model, ANNOTATOR.template):
                terms: dict[str, str] = seen["terms"]
                return terms
    return {}


@dg.job(description="Ask the annotator a few fixed questions anew, to notice that the model behind its name changed.")
def ask_canary_questions() -> None:
    """Hold the one op."""
    ask_canary()


weekly_canary = dg.ScheduleDefinition(
    name="weekly_canary",
    job=ask_canary_questions,
    cron_schedule="0 4 * * 1",
    description=(
        "Every Monday at four: asks the annotator five fixed questions without earlier replies, and counts in the "
        "asset canary how many answers differ from the last time. Costs as much as naming five clusters."
    ),
    default_status=dg.DefaultScheduleStatus.STOPPED,
)
