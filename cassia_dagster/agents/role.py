"""What every role has: a name, a prompt template, a typed request and a typed reply."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from cassia_dagster.agents.inert import FILTERS
from cassia_dagster.llm.door import Answer, Door, Question
from cassia_dagster.llm.provider_errors import redact
from cassia_dagster.records import Exchange, Record

_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD)$", re.IGNORECASE)
_SHORTEST_SECRET = 12  # so that no word of a prompt is one


@dataclass(frozen=True, slots=True)
class Role[Q: Record, R: Record]:
    """One line of the table of roles.

    Parameters
    ----------
    name
        Verb that the ledger, the cache and the reports use.
    version
        Of the prompt; the template is ``prompts/<name>.v<version>.j2``, with the blocks ``system`` and ``user``.
    request, reply
        The types of what goes in and what must come out.
    """

    name: str
    version: int
    request: type[Q]
    reply: type[R]

    @property
    def template(self) -> str:
        """Name and hash of the prompt template, as ledger and metadata show it."""
        return f"{self.name}.v{self.version}@{_template_hash(self._file)}"

    def ask(self, door: Door, request: Q, subject: str) -> tuple[R, Exchange]:
        """Put a request to a model; return its reply, and the exchange for the conversation history.

        Raises
        ------
        UnusableReply, ModelError
            As `cassia_dagster.llm.door.Door.ask` does.
        """
        question = Question(
            role=self.name,
            subject=subject,
            request=request,
            system=self.render("system", request),
            user=self.render("user", request),
            reply_type=self.reply,
            template=self.template,
        )
        answer: Answer[R] = door.ask(question)
        exchange = Exchange(
            role=self.name,
            provider=answer.provider,
            model=answer.model,
            template=self.template,
            question=_without_secrets(question.user),
            reply=_without_secrets(answer.text),
        )
        return answer.reply, exchange

    def render(self, block: str, request: Q) -> str:
        """Render one block of the role's prompt for a request."""
        template = _template(self._file)
        context = template.new_context({"request": request})
        return "".join(template.blocks[block](context)).strip()

    @property
    def _file(self) -> str:
        return f"{self.name}.v{self.version}.j2"


def _without_secrets(text: str) -> str:
    """Remove the keys that the environment holds, and all that looks like one, from what is kept for reading."""
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name) and len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, "[key]")
    return redact(text, None)


@cache
def _environment() -> Environment:
    # Prompts are plain text, not HTML; what makes data inert in them is the JSON encoding.
    environment = Environment(
        loader=PackageLoader("cassia_dagster.agents", "prompts"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    return environment


@cache
def _template(file: str) -> Template:
    return _environment().get_template(file)


@cache
def _template_hash(file: str) -> str:
    source = files("cassia_dagster.agents").joinpath("prompts", file).read_bytes()
    return hashlib.sha256(source).hexdigest()[:12]
