"""What a call costs: prices of tokens, and how many tokens a text can have."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

BYTES_PER_TOKEN = 2
"""Of prompts full of gene symbols and numbers."""

WRAPPING = 1000
"""Tokens that a provider may add around messages and a schema."""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a token read, and for a token written."""

    read: float
    written: float

    def of(self, tokens_read: int, tokens_written: int) -> float:
        """Return the price of a call in US dollars."""
        return self.read * tokens_read + self.written * tokens_written


def most_tokens(parameters: Mapping[str, Any]) -> int:
    """Bound the tokens of a request from above: no tokenizer makes more of a text than it has bytes.

    Parameters
    ----------
    parameters
        Everything that is sent and read by the model: the messages and the schema of the reply.
    """
    sent = (parameters["messages"], parameters["response_format"])
    return len(json.dumps(sent, ensure_ascii=False).encode()) + WRAPPING
