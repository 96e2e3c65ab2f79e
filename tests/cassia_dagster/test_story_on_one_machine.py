"""The operator's story with the web server, the daemon and the code server of one machine. Takes minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.installation import OneMachine
from tests.servers.aimock import AIMock
from tests.story import play

pytestmark = pytest.mark.daemon


def test_the_story_of_an_operator(tmp_path: Path, aimock: AIMock, islets_path: Path) -> None:
    provider = {"OPENAI_API_BASE": f"{aimock.url}/v1", "OPENAI_API_KEY": "sk-not-a-real-key-0123456789"}
    with OneMachine(tmp_path, provider) as site:
        play(site, aimock, islets_path)
    assert site.processes() == []
