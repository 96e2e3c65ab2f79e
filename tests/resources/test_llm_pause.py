"""A provider that wants to be left alone for minutes: the step gives its place to others, and is tried again."""

import threading
import time

import dagster as dg
import pytest

from cassia_dagster.errors import ModelError
from cassia_dagster.llm.backend import RawReply
from cassia_dagster.llm.door import Door, Question
from cassia_dagster.llm.errors import RateLimited, UnusableReply
from cassia_dagster.llm.question import Usage
from cassia_dagster.llm.store import Store
from cassia_dagster.records import Grouping, Record
from cassia_dagster.walk import UNCAPTURED
from resources import llm
from resources.llm import MOST_RETRIES, ModelStore

PAUSE = 1.5
"""Seconds; long, as the test says."""


class Asked(Record):
    cluster: str


class Limited:
    """Answers the first cluster, and wants a pause before the second."""

    provider, model = "lab", "lab-1"

    def __init__(self, pauses, seconds=PAUSE):
        self.pauses, self.seconds, self.asked = pauses, seconds, []

    def identity(self, question):
        return {"user": question.user}

    def answer(self, question):
        cluster = question.request.cluster
        self.asked.append(cluster)
        if cluster == "1" and self.asked.count("1") <= self.pauses:
            raise RateLimited("429 come back later", retry_after=self.seconds)
        row = Grouping(cluster=cluster, broad="leukocyte", intermediate="T cell", detailed="CD8 T cell")
        return RawReply(row.model_dump_json(), "stop", self.model, Usage(1, 1), usd=0.01)


@pytest.fixture(autouse=True)
def short_patience(monkeypatch):
    monkeypatch.setattr("cassia_dagster.llm.retry.LONGEST_PAUSE", 1.0)
    monkeypatch.setattr(llm, "LONGEST_PAUSE", 1.0)
    monkeypatch.setattr(llm, "MARGIN", 0.1)


def asset_of(backend, clusters=("0", "1"), meanwhile=0.0):
    @dg.asset(pool="llm-lab")
    def merged(context: dg.AssetExecutionContext, model_store: ModelStore) -> dg.MaterializeResult:
        rows = []
        with model_store.session(context) as store:
            for cluster in clusters:
                question = Question("merge", f"a/0.4/{cluster}", Asked(cluster=cluster), "", cluster, Grouping, "t")
                try:
                    Door(backend, store).ask(question)
                    rows.append("ok")
                except UnusableReply as error:
                    rows.append(error.status.value)
            time.sleep(meanwhile)  # other clusters are answered
        return dg.MaterializeResult(metadata={"rows": rows})

    return merged


def made(backend, tmp_path, instance, **more):
    store = ModelStore(path=str(tmp_path / "models.sqlite"))
    result = dg.materialize([asset_of(backend, **more)], resources={"model_store": store}, instance=instance)
    (event,) = result.get_asset_materialization_events()
    retries = [event for event in result.all_events if event.is_step_up_for_retry]
    return event.materialization.metadata["rows"].data, retries


def test_after_the_pause_the_rest_is_asked_and_what_was_answered_is_not(tmp_path):
    backend = Limited(pauses=1)
    with dg.instance_for_test() as instance:
        rows, retries = made(backend, tmp_path, instance)
    assert rows == ["ok", "ok"]
    assert backend.asked == ["0", "1", "1"]
    (retry,) = retries
    assert PAUSE - 0.5 < retry.step_retry_data.seconds_to_wait <= PAUSE + 0.1
    with Store.open(tmp_path / "models.sqlite") as store:
        assert store.totals().usd == pytest.approx(0.02)


def test_while_it_waits_the_place_in_the_pool_is_free(tmp_path):
    backend, seen = Limited(pauses=1), []
    # Among many threads, processes that capture what a step prints may be waited for in vain, for a minute.
    with dg.instance_for_test(overrides=dict(UNCAPTURED)) as instance:
        instance.event_log_storage.set_concurrency_slots("llm-lab", 1)
        run = threading.Thread(target=made, args=(backend, tmp_path, instance), kwargs={"meanwhile": 0.4}, daemon=True)
        run.start()
        for _ in range(600):
            seen.append(
                (len(backend.asked), instance.event_log_storage.get_concurrency_info("llm-lab").active_slot_count)
            )
            if not run.is_alive():
                break
            time.sleep(0.05)
        run.join(30)
    assert not run.is_alive()
    assert (2, 0) in seen, "between the second call and the third nobody holds the place"
    assert any(held for _, held in seen), "while it asked, it did"
    assert backend.asked == ["0", "1", "1"]


def test_a_provider_that_never_comes_back_is_waited_for_a_few_times(tmp_path):
    backend = Limited(pauses=99, seconds=1.2)
    with dg.instance_for_test() as instance:
        rows, retries = made(backend, tmp_path, instance)
    assert rows == ["ok", "failed"]
    assert len(retries) == MOST_RETRIES
    assert backend.asked == ["0", *["1"] * (MOST_RETRIES + 1)]


@pytest.mark.parametrize("meanwhile", [PAUSE - 0.5, PAUSE + 0.2])
def test_what_is_left_of_a_pause_when_the_others_are_answered_may_be_short(tmp_path, meanwhile):
    backend = Limited(pauses=1)
    with dg.instance_for_test() as instance:
        rows, retries = made(backend, tmp_path, instance, meanwhile=meanwhile)
    assert rows == ["ok", "ok"]
    assert len(retries) == 1


def test_a_pause_of_hours_is_not_waited_for(tmp_path):
    with dg.instance_for_test() as instance:
        rows, retries = made(Limited(pauses=99, seconds=7200.0), tmp_path, instance)
    assert (rows, retries) == (["ok", "failed"], [])


def test_a_run_in_which_nobody_was_answered_waits_too(tmp_path):
    backend = Limited(pauses=1)

    @dg.asset
    def annotations(context: dg.AssetExecutionContext, model_store: ModelStore) -> None:
        with model_store.session(context) as store:
            question = Question("merge", "a/0.4/1", Asked(cluster="1"), "", "1", Grouping, "t")
            try:
                Door(backend, store).ask(question)
            except UnusableReply as error:
                raise ModelError(f"None of the 1 clusters got an answer. {error}") from error

    store = ModelStore(path=str(tmp_path / "models.sqlite"))
    assert dg.materialize([annotations], resources={"model_store": store}).success
    assert backend.asked == ["1", "1"]
