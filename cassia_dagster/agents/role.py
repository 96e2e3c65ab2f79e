"""What every role has: a name, a prompt template, a typed request and a typed reply."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, Undefined

from cassia_dagster.llm.door import Answer, Door, Question
from cassia_dagster.records import ClusterEvidence, Exchange, Record


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
            question=question.user,
            reply=answer.text,
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


def _inert(value: Any) -> str:
    """Encode data for a prompt, so that no text in it can close the block that it stands in."""
    if isinstance(value, Undefined):
        str(value)  # raises, and names what the template asked for
    if isinstance(value, Record):
        value = _shown(value)
    elif isinstance(value, list | tuple):
        value = [_shown(item) if isinstance(item, Record) else item for item in value]
    encoded = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return encoded.replace("<", "\\u003c").replace(">", "\\u003e")


def _shown(record: Record) -> dict[str, Any]:
    """Return what a model sees of a record: of a cluster all but its id, which may be the user's own name for it."""
    ids: Any = {"cluster": True, "nearest": {"__all__": {"cluster"}}}
    hidden = ids if isinstance(record, ClusterEvidence) else None
    return record.model_dump(mode="json", exclude_defaults=True, exclude=hidden)


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
    environment.filters["inert"] = _inert
    return environment


@cache
def _template(file: str) -> Template:
    return _environment().get_template(file)


@cache
def _template_hash(file: str) -> str:
    source = files("cassia_dagster.agents").joinpath("prompts", file).read_bytes()
    return hashlib.sha256(source).hexdigest()[:12]
