"""Puts a provider's key where the models look for it: into the environment of this process, and nowhere else."""

from __future__ import annotations

import os
import re

from cassia_dagster.errors import ConfigurationError

OWN_SERVER_KEY = "CUSTOMIZED_API_KEY"
"""The variable in which CASSIA keeps the key of a server that is named by its address."""

_PROVIDER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def set_api_key(api_key: str, provider: str = "openai") -> None:
    """Set the key of a provider for this process.

    Parameters
    ----------
    api_key
        The key. It is written to the environment variable that the provider uses, and kept nowhere else.
    provider
        LiteLLM's name of the provider, such as ``"openrouter"``, or the address of a server of your own.

    Raises
    ------
    ConfigurationError
        If the key is empty, or the provider is no name.
    """
    if not api_key.strip() or not api_key.isprintable():
        raise ConfigurationError(f"The key for {provider!r} is empty, or has characters that no key has.")
    if is_address(provider):
        os.environ[OWN_SERVER_KEY] = api_key
    elif _PROVIDER.fullmatch(provider):
        os.environ[f"{provider.upper()}_API_KEY"] = api_key
    else:
        raise ConfigurationError(
            f"provider {provider!r} is no name of a provider, such as 'openrouter', and no address, such as "
            "'http://localhost:11434/v1'."
        )


def is_address(provider: str) -> bool:
    """Tell whether a provider is named by the address of its server."""
    return provider.startswith(("http://", "https://"))
