"""Who wants to watch is told of every call: by lines of JSON, and by OpenTelemetry's measures."""

import json
import logging

import pytest
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from cassia_dagster.llm import watched
from cassia_dagster.llm.door import Door
from cassia_dagster.llm.errors import Rejected
from cassia_dagster.log_lines import JsonLines

KEY = "sk-test-0123456789abcdef"


@pytest.fixture
def told(caplog):
    caplog.set_level(logging.INFO, "cassia_dagster.calls")
    return lambda: [record.call for record in caplog.records]


def test_a_call_a_hit_and_a_failure_are_told_with_their_fields(store, script, question, beta_cell, told):
    Door(script(beta_cell), store).ask(question)
    Door(script(), store).ask(question)
    with pytest.raises(Rejected):
        Door(script(Rejected(f"400 {KEY}")), store).ask(type(question)(**vars_of(question) | {"user": "another"}))
    done, cached, failed = told()
    dataset, resolution, cluster = question.subject.split("/")
    assert (done["dataset"], done["resolution"], done["cluster"]) == (dataset, resolution, cluster)
    assert (done["role"], done["provider"], done["model"]) == (question.role, "script", "script-1")
    assert (done["state"], cached["state"], failed["state"]) == ("done", "cached", "failed")
    assert cached["usd"] == 0.0
    assert done["seconds"] >= 0
    assert failed["error"] == "Rejected"
    assert KEY not in json.dumps(failed)


def vars_of(question):
    return {name: getattr(question, name) for name in question.__dataclass_fields__}


def test_nobody_is_told_who_did_not_ask(store, script, question, beta_cell, caplog):
    Door(script(beta_cell), store).ask(question)
    assert caplog.records == []


def test_a_record_is_one_line_whatever_it_says(capsys):
    record = logging.makeLogRecord(
        {"msg": "a\nb \x1b[2J %s", "args": ("ü",), "levelname": "INFO", "call": {"usd": None}}
    )
    line = JsonLines().format(record)
    assert "\n" not in line
    assert "\x1b" not in line
    assert json.loads(line)["message"] == "a\nb \x1b[2J ü"
    assert "usd" not in json.loads(line)


def test_calls_are_measured_under_the_names_of_opentelemetry(store, script, question, beta_cell, monkeypatch):
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    monkeypatch.setattr(metrics, "get_meter", provider.get_meter)
    watched._instruments.cache_clear()
    try:
        Door(script(beta_cell), store).ask(question)
        Door(script(), store).ask(question)
    finally:
        watched._instruments.cache_clear()
    (resource,) = reader.get_metrics_data().resource_metrics
    measured = {metric.name: metric for scope in resource.scope_metrics for metric in scope.metrics}
    (point,) = measured["gen_ai.client.operation.duration"].data.data_points
    assert point.count == 1, "the second answer came from the cache"
    assert point.attributes["gen_ai.request.model"] == "script-1"
    assert point.attributes["cassia.role"] == question.role
