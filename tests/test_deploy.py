"""The files under deploy/ agree with each other and with the code; no container engine is at hand to run them."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from dagster._core.instance.config import dagster_instance_config

DEPLOY = Path(__file__).parents[1] / "deploy"
PROJECT = DEPLOY.parent
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()


def variables(tree):
    """Find what a Dagster instance reads from the environment."""
    if isinstance(tree, dict):
        if set(tree) == {"env"}:
            yield tree["env"]
        for part in tree.values():
            yield from variables(part)


def test_the_instance_finds_its_variables_in_every_service_of_dagster():
    wanted = set(variables(yaml.safe_load((DEPLOY / "dagster.yaml").read_text())))
    assert len(wanted) == 5
    for name in ("webserver", "daemon", "worker"):
        assert wanted <= set(COMPOSE["services"][name]["environment"]), name


def test_every_service_has_a_health_check_and_starts_again():
    for name, service in COMPOSE["services"].items():
        assert "healthcheck" in service or name == "webserver", name
        assert service["restart"] == "unless-stopped"
    assert "HEALTHCHECK" in DOCKERFILE, "the web server's is the image's own"


def test_services_depend_on_services_and_use_volumes_that_there_are():
    for service in COMPOSE["services"].values():
        assert set(service.get("depends_on", {})) <= set(COMPOSE["services"])
        assert {volume.partition(":")[0] for volume in service.get("volumes", [])} <= set(COMPOSE["volumes"])


def test_the_image_runs_as_nobody_of_importance_and_from_the_lock():
    assert re.search(r"^USER cassia$", DOCKERFILE, re.MULTILINE)
    assert DOCKERFILE.index("USER cassia") < DOCKERFILE.index("\nCMD")
    assert "--require-hashes" in DOCKERFILE
    copied = re.findall(r"^COPY (?:--chown=\S+ )?(\S+) \S+$", DOCKERFILE, re.MULTILINE)
    assert copied
    assert [path for path in copied if not (PROJECT / path).exists()] == []
    allowed = {line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line[0] == "!"}
    assert set(copied) <= allowed


def test_no_password_or_key_stands_in_a_file():
    for file in DEPLOY.iterdir():
        for name, value in re.findall(r"(\w*(?:password|secret|key)\w*)[:=] *(\S+)", file.read_text(), re.IGNORECASE):
            assert value.startswith(("${", "{env", "cassia-", "false")), f"{file.name}: {name}"


def test_the_chart_asks_for_the_memory_of_the_rule():
    values = yaml.safe_load((DEPLOY / "values.yaml").read_text())
    container = values["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]["containerConfig"]
    assert container["resources"]["requests"]["memory"] == container["resources"]["limits"]["memory"] == "16Gi"
    assert (1 * 2**30 + 24 * 600 * 10**6) <= 16 * 2**30
    pod = values["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]["podSpecConfig"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    (code,) = values["dagster-user-deployments"]["deployments"]
    assert code["dagsterApiGrpcArgs"] == ["-m", "cassia_dagster.definitions"]


def test_the_instance_has_no_setting_that_dagster_does_not_know(monkeypatch, tmp_path):
    (tmp_path / "dagster.yaml").write_text((DEPLOY / "dagster.yaml").read_text())
    for name in variables(yaml.safe_load((DEPLOY / "dagster.yaml").read_text())):
        monkeypatch.setenv(name, "any")
    config, _ = dagster_instance_config(str(tmp_path))  # raises if there is one
    assert config["run_launcher"]["class"] == "WatchedCeleryRunLauncher"
