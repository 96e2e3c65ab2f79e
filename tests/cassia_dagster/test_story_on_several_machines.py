"""The operator's story on PostgreSQL, a bucket, and two Celery workers. Takes minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.installation import SeveralMachines
from tests.servers.aimock import AIMock
from tests.servers.moto import S3Server
from tests.story import play

pytestmark = pytest.mark.daemon


def test_the_story_of_an_operator(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    aimock: AIMock,
    islets_path: Path,
    postgres: str,
    redis_server: str,
    bucket: str,
    s3_server: S3Server,
) -> None:
    pytest.importorskip("dagster_celery", reason="dagster-celery is not installed: uv sync --extra celery")
    provider = {"OPENAI_API_BASE": f"{aimock.url}/v1", "OPENAI_API_KEY": "sk-not-a-real-key-0123456789"}
    site = SeveralMachines(tmp_path, s3_server.environment | provider, postgres, redis_server, bucket)
    for name, value in site.environment.items():
        monkeypatch.setenv(name, value)
    with site:
        play(site, aimock, islets_path)
    assert site.processes() == []
