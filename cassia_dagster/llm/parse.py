"""From what a model wrote to what was asked for, without ever guessing the missing part.

There is no repair of broken JSON here: it invents values (a string cut off at ``"CD8`` becomes a
gene), and asking once more with the errors costs one call.
"""

from __future__ import annotations

import re

from pydantic import BaseModel, ValidationError

from cassia_dagster.llm.backend import RawReply
from cassia_dagster.llm.errors import CutShort, InvalidReply, Refused, Unavailable

_FENCED = re.compile(r"\A```(?:json)?\s*\n(.*)\n\s*```\Z", re.DOTALL)
_MOST_COMPLAINTS = 10
_LONGEST_EXCERPT = 200


def parse_reply(raw: RawReply, reply_type: type[BaseModel]) -> str:
    """Find the JSON of a complete and valid reply.

    Parameters
    ----------
    raw
        The reply.
    reply_type
        What it must validate against.

    Returns
    -------
    str
        The JSON as the model wrote it, without white space or a Markdown fence around it.

    Raises
    ------
    Unavailable
        If the provider sent no reply at all.
    Refused
        If the model or a filter declined.
    CutShort
        If the reply ended early or is empty.
    InvalidReply
        If it is complete, and not what was asked for.
    """
    if raw.finish_reason == "empty":
        raise Unavailable(f"{raw.model} sent a reply without content. Ask again later.", raw)
    if raw.finish_reason == "refusal":
        raise Refused(f"{raw.model} declined to answer: {_excerpt(raw.text) or 'no reason given'}", raw)
    if raw.finish_reason == "length" or not (raw.text or "").strip():
        raise CutShort(
            f"The reply of {raw.model} is incomplete after {raw.usage.output_tokens} tokens."
            " Allow more output (max_tokens), or choose a model that thinks less.",
            raw,
        )
    text = (raw.text or "").strip()
    fenced = _FENCED.match(text)
    text = fenced[1].strip() if fenced else text
    try:
        reply_type.model_validate_json(text)
    except ValidationError as error:
        complaint = _complaint(error)
        raise InvalidReply(
            f"The reply of {raw.model} is not what was asked for: {complaint.replace('\n', '; ')}."
            " Choose a model that follows a JSON schema.",
            raw,
            complaint=complaint,
        ) from None
    return text


def _complaint(error: ValidationError) -> str:
    """Say what is wrong, one line a place, without repeating what the model wrote."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    lines = [f"{'.'.join(map(str, problem['loc'])) or 'reply'}: {problem['msg']}" for problem in problems]
    return "\n".join(_excerpt(line) for line in lines[:_MOST_COMPLAINTS])


def _excerpt(text: str | None) -> str:
    """Shorten a stranger's text to one line."""
    line = " ".join((text or "").split())
    return line if len(line) <= _LONGEST_EXCERPT else line[: _LONGEST_EXCERPT - 1] + "…"
