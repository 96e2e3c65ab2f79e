"""The examples of docs/observability.md work as they stand."""

import json
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import dagster as dg
import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "observability.md").read_text(encoding="utf-8")
RUN = """
import sys
import dagster as dg
from cassia_dagster.llm.backend import RawReply
from cassia_dagster.llm.door import Door, Question
from cassia_dagster.llm.question import Usage
from cassia_dagster.records import Grouping, Record
from resources.llm import ModelStore

class Asked(Record):
    cluster: str

class Lab:
    provider, model = "lab", "lab-1"
    def identity(self, question):
        return {"user": question.user}
    def answer(self, question):
        row = Grouping(cluster="7", broad="leukocyte", intermediate="T cell", detailed="CD8 T cell")
        return RawReply(row.model_dump_json(), "stop", self.model, Usage(11, 5), usd=0.01)

pairs = dg.MultiPartitionsDefinition({
    "dataset": dg.StaticPartitionsDefinition(["islets"]), "resolution": dg.StaticPartitionsDefinition(["0.4"])})

@dg.asset(partitions_def=pairs)
def merged(context: dg.AssetExecutionContext, model_store: ModelStore) -> None:
    context.log.info("two\\nlines")
    with model_store.session(context) as store:
        question = Question("merge", "islets/0.4/7", Asked(cluster="7"), "", "secret prompt", Grouping, "t")
        Door(Lab(), store).ask(question)

with dg.DagsterInstance.from_config(sys.argv[1]) as instance:
    dg.materialize(
        [merged],
        resources={"model_store": ModelStore(path=sys.argv[1] + "/models.sqlite")},
        instance=instance,
        partition_key=dg.MultiPartitionKey({"dataset": "islets", "resolution": "0.4"}),
    )
"""


def example(language):
    (text,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return text


def test_a_run_writes_lines_of_json_with_dataset_resolution_and_cluster(tmp_path):
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n" + example("yaml"))
    command = [sys.executable, "-W", "ignore", "-c", RUN, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    (call,) = [line for line in lines if "cluster" in line]
    assert (call["dataset"], call["resolution"], call["cluster"]) == ("islets", "0.4", "7")
    assert (call["role"], call["model"], call["usd"], call["state"]) == ("merge", "lab-1", 0.01, "done")
    assert (call["input_tokens"], call["output_tokens"], call["step"]) == (11, 5, "merged")
    assert len({line["run"] for line in lines if "run" in line}) == 1
    assert "STEP_SUCCESS" in {line.get("event") for line in lines}
    (own,) = [line for line in lines if line["message"] == "two\nlines"]
    assert (own["step"], own["dataset"], own["resolution"]) == ("merged", "islets", "0.4")
    assert "secret prompt" not in done.stderr


@pytest.fixture
def webhook(monkeypatch):
    posted = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("SLACK_WEBHOOK", f"http://127.0.0.1:{server.server_port}/hook")
    yield posted
    server.shutdown()
    server.server_close()


def test_the_example_tells_a_webhook_of_a_run_that_failed(webhook):
    names = {}
    exec(compile(example("python"), "docs/observability.md", "exec"), names)  # noqa: S102 - our own page

    @dg.asset(partitions_def=dg.StaticPartitionsDefinition(["islets"]))
    def merged() -> None:
        raise dg.Failure("no such file")

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([merged], partition_key="islets", instance=instance, raise_on_error=False)
        context = dg.build_run_status_sensor_context(
            sensor_name="tell_slack",
            dagster_instance=instance,
            dagster_run=result.dagster_run,
            dagster_event=result.get_run_failure_event(),
        ).for_run_failure()
        names["tell_slack"](context)
    assert [post["text"] for post in webhook] == ["__ephemeral_asset_job__ failed for islets in merged."]
