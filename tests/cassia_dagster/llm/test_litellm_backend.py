"""Tests of the way to real providers' formats, against a server that others wrote."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from cassia_dagster.errors import ModelError
from cassia_dagster.llm import litellm_backend
from cassia_dagster.llm.backend import Take
from cassia_dagster.llm.door import Door, Question
from cassia_dagster.llm.errors import CutShort, Rejected, Unavailable
from cassia_dagster.llm.litellm_backend import COMPROMISED, LiteLLMBackend, refuse_compromised
from cassia_dagster.llm.question import Usage
from cassia_dagster.llm.retry import MOST_LIMITS
from cassia_dagster.llm.schema import response_format
from cassia_dagster.llm.store import Store
from cassia_dagster.records import Annotation
from tests.servers.aimock import AIMock

KEY = "sk-test-0123456789abcdefABCDEFwxyz"


class Listener:
    """A server that refuses everything, and keeps it byte for byte: what aimock leaves out of its journal."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.hangs_up = False
        heard, listener = self.heard, self

        class Refuse(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                heard.append(str(self.headers).strip() + "\n\n" + body)
                if listener.hangs_up:
                    self.connection.shutdown(socket.SHUT_RDWR)
                else:
                    self.send_error(400)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Refuse)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def listener() -> Iterator[Listener]:
    """Run a listener on a free port."""
    listening = Listener()
    thread = Thread(target=listening.server.serve_forever)
    thread.start()
    yield listening
    listening.server.shutdown()
    thread.join()
    listening.server.server_close()


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_API_KEY", KEY)


def backend(provider: str, model: str, api_base: str, **more: Any) -> LiteLLMBackend:
    return LiteLLMBackend(provider, model, api_base=api_base, api_key_env="TEST_API_KEY", timeout=20, **more)


def says(content: str | None, **more: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "input_tokens": 100, "output_tokens": 20}
    return {"match": {"userMessage": "INS"}, "response": {"content": content, "usage": usage, **more}}


def fails(status: int, message: str, **more: Any) -> dict[str, Any]:
    return {
        "match": {},
        "response": {"error": {"message": message, "type": "error"}, "status": status, **more},
    }


def test_an_openai_compatible_server_is_asked_with_the_schema_and_only_once(
    aimock: AIMock, store: Store, question: Question[Annotation], beta_cell: str
) -> None:
    aimock.play(says(beta_cell))
    door = Door(backend("openai", "gpt-4.1", f"{aimock.url}/v1"), store)
    bought, again = door.ask(question), door.ask(question)
    assert bought.reply.label == again.reply.label == "type B pancreatic cell"
    (request,) = aimock.requests()
    assert request["path"] == "/v1/chat/completions"
    assert [message["content"] for message in request["body"]["messages"]] == [question.system, question.user]
    assert request["body"]["max_tokens"] == 2048
    assert {"temperature", "top_p", "stream"}.isdisjoint(request["body"])
    assert "subtypes" in request["body"]["response_format"]["json_schema"]["schema"]["properties"]
    paid, cached = store.calls()
    assert (paid.state, paid.input_tokens, paid.output_tokens) == ("done", 100, 20)
    assert paid.usd == pytest.approx(100 * 2e-6 + 20 * 8e-6)
    assert (cached.state, again.cached, again.usd) == ("cached", True, 0.0)


def test_claude_is_asked_in_the_format_of_anthropic(
    aimock: AIMock, store: Store, question: Question[Annotation], beta_cell: str
) -> None:
    aimock.play(says(beta_cell))
    door = Door(backend("anthropic", "claude-sonnet-4-5", aimock.url), store)
    bought, again = door.ask(question), door.ask(question)
    assert bought.reply == again.reply
    (request,) = aimock.requests()
    assert request["path"] == "/v1/messages"
    assert request["headers"]["anthropic-beta"].startswith("structured-outputs")
    assert request["body"]["max_tokens"] == 2048
    paid, cached = store.calls()
    assert (paid.input_tokens, paid.output_tokens, cached.state) == (100, 20, "cached")
    assert paid.usd == pytest.approx(100 * 3e-6 + 20 * 15e-6)


def test_an_older_claude_gets_the_schema_as_a_tool(
    aimock: AIMock, store: Store, question: Question[Annotation], beta_cell: str
) -> None:
    aimock.play(
        {
            "match": {"toolName": "json_tool_call"},
            "response": {"toolCalls": [{"name": "json_tool_call", "arguments": beta_cell}]},
        }
    )
    answer = Door(backend("anthropic", "claude-3-7-sonnet-20250219", aimock.url), store).ask(question)
    assert answer.reply.label == "type B pancreatic cell"
    (tool,) = aimock.requests()[0]["body"]["tools"]
    assert tool["function"]["parameters"]["properties"]["subtypes"]["items"]["type"] == "string"


def test_openrouter_is_told_to_keep_to_the_schema(
    aimock: AIMock, store: Store, question: Question[Annotation], beta_cell: str
) -> None:
    aimock.play(says(beta_cell))
    answer = Door(backend("openrouter", "some/unknown-model", f"{aimock.url}/api/v1"), store).ask(question)
    assert aimock.requests()[0]["body"]["provider"] == {"require_parameters": True}
    assert answer.usd is None, "an unknown price is not a price of zero"


def test_gemini_is_asked_in_its_own_format(
    aimock: AIMock, store: Store, question: Question[Annotation], beta_cell: str
) -> None:
    aimock.play(says(beta_cell))
    answer = Door(backend("gemini", "gemini-2.5-pro", f"{aimock.url}/v1beta"), store).ask(question)
    assert answer.reply.label == "type B pancreatic cell"
    (request,) = aimock.requests()
    assert request["path"].endswith("/models/gemini-2.5-pro:generateContent")
    assert answer.usage.input_tokens > 0
    assert answer.usd


def test_ollama_is_asked_in_its_own_format_and_is_free(
    aimock: AIMock, store: Store, question: Question[Annotation], beta_cell: str
) -> None:
    aimock.play(says(beta_cell))
    answer = Door(LiteLLMBackend("ollama_chat", "llama3", api_base=aimock.url, timeout=20), store).ask(question)
    assert answer.reply.label == "type B pancreatic cell"
    (request,) = aimock.requests()
    assert request["path"] == "/api/chat"
    assert answer.usd == 0.0


WIRE_FORMATS = {
    "openai": ("openai", "gpt-4.1", "/v1"),
    "anthropic": ("anthropic", "claude-sonnet-4-5", "/anthropic"),
    "gemini": ("gemini", "gemini-2.5-pro", "/gemini/v1beta"),
    "mistral": ("mistral", "mistral-large-latest", "/mistral/v1"),
    "cohere": ("cohere_chat", "command-a-03-2025", "/cohere/v2/chat"),
    "together": ("together_ai", "meta-llama/Llama-3.3-70B-Instruct-Turbo", "/together/v1"),
    "perplexity": ("perplexity", "sonar", "/perplexity/v1"),
    "ai21": ("ai21", "jamba-large", "/ai21/v1"),
    "xai": ("xai", "grok-4", "/xai/v1"),
}
"""Of llmock's, all but Groq's: its replies lack the `service_tier` that LiteLLM reads from Groq's."""


def test_a_stranger_s_verdict_on_how_limits_and_outages_are_met_in_every_wire_format(
    llmock: Any, store: Store, question: Question[Annotation], beta_cell: str
) -> None:
    llmock.reply(beta_cell, times=None)
    for name in WIRE_FORMATS:
        llmock.rate_limit(retry_after=0.2, provider=name).fail(503, provider=name)

    def ask(name: str) -> str | None:
        provider, model, base = WIRE_FORMATS[name]
        door = Door(backend(provider, model, f"{llmock.url}{base}"), store)
        return door.ask(replace(question, user=f"{name}: INS")).reply.label

    with ThreadPoolExecutor(len(WIRE_FORMATS)) as pool:
        labels = dict(zip(WIRE_FORMATS, pool.map(ask, WIRE_FORMATS), strict=True))
    assert all(labels.values())
    assert {request.provider for request in llmock.requests} == set(WIRE_FORMATS)
    assert len(llmock.requests) == 3 * len(WIRE_FORMATS)
    llmock.assert_resilient(strict=True)


def test_a_worst_case_is_no_less_than_the_true_cost(aimock: AIMock, question: Question[Annotation]) -> None:
    asked = backend("openai", "gpt-4.1", f"{aimock.url}/v1", max_tokens=100)
    listed, given = asked.reservation(question, Take()), asked.reservation(question, Take(room=2))
    sent = len(f"{question.system}{question.user}") + len(json.dumps(response_format(Annotation)))
    assert listed.usd is not None
    assert listed.usd > sent * 2e-6 + 100 * 8e-6
    assert given.usd == pytest.approx(listed.usd + 100 * 8e-6)
    assert listed.tokens > 100


def test_a_given_price_goes_before_the_listed_one_and_helps_where_there_is_none(
    aimock: AIMock, question: Question[Annotation], beta_cell: str
) -> None:
    aimock.play(says(beta_cell))
    prices = {"usd_per_million_input": 1000.0, "usd_per_million_output": 10000.0}
    for model in ("gpt-4.1", "a-model-of-ours"):
        priced = backend("openai", model, f"{aimock.url}/v1", **prices)
        assert priced.answer(question).usd == pytest.approx(100 * 0.001 + 20 * 0.01)
    assert backend("openai", "a-model-of-ours", f"{aimock.url}/v1").reservation(question, Take()).usd is None


def test_a_reply_that_does_not_come_may_have_been_paid_for(
    llmock: Any, store: Store, question: Question[Annotation], pauses: list[float]
) -> None:
    llmock.delay(10, times=1)
    impatient = LiteLLMBackend("openai", "gpt-4.1", api_base=llmock.base_url(), api_key_env="TEST_API_KEY", timeout=1)
    Door(impatient, store).ask(question)
    assert [call.state for call in store.calls()] == ["lost", "done"]


def test_a_cut_reply_is_asked_for_with_twice_the_room_and_never_mended(
    aimock: AIMock, store: Store, question: Question[Annotation], beta_cell: str
) -> None:
    aimock.play(says(beta_cell[:40], finishReason="length"))
    with pytest.raises(CutShort):
        Door(backend("openai", "gpt-4.1", f"{aimock.url}/v1", max_tokens=50), store).ask(question)
    assert [request["body"]["max_tokens"] for request in aimock.requests()] == [50, 100]


def test_an_invalid_reply_goes_back_to_the_model_with_the_complaint(
    aimock: AIMock, store: Store, question: Question[Annotation], beta_cell: str
) -> None:
    aimock.play(
        {"match": {"turnIndex": 0}, "response": {"content": '{"subtypes": "beta"}'}},
        {"match": {"turnIndex": 1, "userMessage": "subtypes: "}, "response": {"content": beta_cell}},
    )
    answer = Door(backend("openai", "gpt-4.1", f"{aimock.url}/v1"), store).ask(question)
    assert answer.reply.label == "type B pancreatic cell"
    roles = [message["role"] for message in aimock.requests()[1]["body"]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]


def test_a_busy_provider_is_called_once_an_attempt_and_its_pause_is_kept(
    aimock: AIMock, store: Store, question: Question[Annotation], pauses: list[float]
) -> None:
    aimock.play(fails(429, "slow down", retryAfter=7))
    with pytest.raises(Unavailable):
        Door(backend("openai", "gpt-4.1", f"{aimock.url}/v1"), store).ask(question)
    assert len(aimock.requests()) == 1 + MOST_LIMITS
    assert all(7.0 < pause < 9.0 for pause in pauses)
    assert [call.attempt for call in store.calls()] == list(range(1, 2 + MOST_LIMITS))


@pytest.mark.parametrize("provider", ["openai", "anthropic", "openrouter", "hosted_vllm"])
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, Rejected),
        (401, ModelError),
        (402, ModelError),
        (404, ModelError),
        (503, Unavailable),
        (529, Unavailable),
    ],
)
def test_every_provider_s_errors_mean_the_same(
    aimock: AIMock, question: Question[Annotation], provider: str, status: int, expected: type[Exception]
) -> None:
    aimock.play(fails(status, f"broken: {KEY[:12]}*********wxyz"))
    bases = {"anthropic": aimock.url, "openrouter": f"{aimock.url}/api/v1"}
    with pytest.raises(expected) as caught:
        backend(provider, "model-1", bases.get(provider, f"{aimock.url}/v1")).answer(question)
    assert type(caught.value) is expected
    assert len(aimock.requests()) == 1
    shown = "".join(traceback.format_exception(caught.value))
    assert "broken" in shown
    assert "wxyz" not in shown
    assert caught.value.__context__ is None


def test_a_server_that_is_not_there_is_unavailable(question: Question[Annotation]) -> None:
    with pytest.raises(Unavailable):
        backend("hosted_vllm", "m", "http://127.0.0.1:9/v1").answer(question)
    with pytest.raises(Unavailable) as caught:
        backend("openai", "m", "http://127.0.0.1:9/v1").answer(question)
    assert not caught.value.unanswered, "nothing was sent, and nothing can be on a bill"


@pytest.mark.parametrize(("provider", "base"), [("openai", "/v1"), ("anthropic", ""), ("hosted_vllm", "/v1")])
def test_a_connection_that_breaks_after_the_question_may_have_been_paid_for(
    listener: Listener, question: Question[Annotation], provider: str, base: str
) -> None:
    listener.hangs_up = True
    with pytest.raises(Unavailable) as caught:
        backend(provider, "m", f"{listener.url}{base}").answer(question)
    assert caught.value.unanswered
    assert len(listener.heard) == 1


def test_a_missing_key_is_named_before_anything_is_sent(
    aimock: AIMock, question: Question[Annotation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEST_API_KEY")
    with pytest.raises(ModelError, match=r"TEST_API_KEY is not set\. Set it"):
        backend("openai", "gpt-4.1", f"{aimock.url}/v1").answer(question)
    assert aimock.requests() == []


def test_a_server_of_one_s_own_is_not_sent_a_key_that_lies_around(
    listener: Listener, question: Question[Annotation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with pytest.raises(Rejected):
        LiteLLMBackend("openai", "local", api_base=f"{listener.url}/v1", timeout=20).answer(question)
    assert KEY not in listener.heard[0]


def test_a_key_is_sent_to_the_provider_that_it_is_for(listener: Listener, question: Question[Annotation]) -> None:
    with pytest.raises(Rejected):
        backend("openai", "gpt-4.1", f"{listener.url}/v1").answer(question)
    assert KEY in listener.heard[0]


def test_without_a_name_the_key_is_where_the_provider_s_own_tools_look(
    listener: Listener, question: Question[Annotation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_BASE", f"{listener.url}/v1")
    with pytest.raises(Rejected):
        LiteLLMBackend("openai", "gpt-4.1", timeout=20).answer(question)
    assert KEY in listener.heard[0]


def test_a_provider_without_a_key_is_told_which_variable_it_wants(
    aimock: AIMock, question: Question[Annotation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("OPENAI_API_BASE", f"{aimock.url}/v1")
    with pytest.raises(ModelError, match="OPENAI_API_KEY"):
        LiteLLMBackend("openai", "gpt-4.1", timeout=20).answer(question)
    assert aimock.requests() == []


def test_a_newer_claude_gets_the_schema_as_the_format_of_its_output(
    listener: Listener, question: Question[Annotation]
) -> None:
    with pytest.raises(Rejected):
        backend("anthropic", "claude-sonnet-4-5", listener.url).answer(question)
    body = json.loads(listener.heard[0].partition("\n\n")[2])
    assert body["output_format"]["type"] == "json_schema"
    assert "subtypes" in body["output_format"]["schema"]["properties"]


def test_the_identity_holds_the_messages_the_parameters_and_the_host_but_no_key(
    question: Question[Annotation], monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = backend("openai", "gpt-4.1", "https://user:secret@host:8443/v1/", temperature=0.2).identity(question)
    assert identity["api_host"] == "host:8443/v1"
    assert (identity["provider"], identity["model"], identity["temperature"]) == ("openai", "gpt-4.1", 0.2)
    assert question.user in str(identity["messages"])
    assert "secret" not in str(identity)
    assert KEY not in str(identity)


def test_an_address_in_the_environment_is_part_of_the_identity(
    question: Question[Annotation], monkeypatch: pytest.MonkeyPatch
) -> None:
    default = LiteLLMBackend("ollama", "llama3").identity(question)
    monkeypatch.setenv("OLLAMA_API_BASE", "http://gpu-1:11434")
    assert LiteLLMBackend("ollama", "llama3").identity(question) == {**default, "api_host": "gpu-1:11434"}


def test_replicates_and_time_limits_do_not_change_the_identity(question: Question[Annotation]) -> None:
    patient = LiteLLMBackend("openai", "gpt-4.1", timeout=600)
    hasty = LiteLLMBackend("openai", "gpt-4.1", timeout=5)
    assert patient.identity(question) == hasty.identity(replace(question, replicate=1))


def test_tokens_and_a_free_price_come_from_a_server_of_one_s_own(
    aimock: AIMock, question: Question[Annotation], beta_cell: str
) -> None:
    aimock.play(says(beta_cell))
    raw = backend("hosted_vllm", "any", f"{aimock.url}/v1").answer(question)
    assert (raw.usage, raw.usd) == (Usage(100, 20), 0.0)


@pytest.mark.parametrize("version", sorted(COMPROMISED))
def test_a_compromised_litellm_is_refused_before_any_of_it_runs(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match=rf"LiteLLM {version} was compromised"):
        refuse_compromised(version)
    monkeypatch.setattr(litellm_backend, "version", lambda _: version)
    monkeypatch.setitem(sys.modules, "litellm", None)  # importing it now would raise another error
    with pytest.raises(ModelError, match="compromised"):
        litellm_backend._litellm()


def test_importing_the_room_does_not_import_litellm() -> None:
    program = """
import importlib, pkgutil, sys
import cassia_dagster.llm
for module in pkgutil.iter_modules(cassia_dagster.llm.__path__):
    importlib.import_module(f"cassia_dagster.llm.{module.name}")
from cassia_dagster.llm.litellm_backend import LiteLLMBackend
LiteLLMBackend("openai", "gpt-4.1")
print([name for name in ("litellm", "openai", "dagster") if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
