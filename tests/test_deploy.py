"""The files under deploy/ agree with each other and with the code; no container engine is at hand to run them."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dagster import Shape
from dagster._config import process_config
from dagster._core.instance.config import dagster_instance_config

pytest.importorskip("dagster_k8s", reason="dagster-k8s is not installed: uv sync --extra k8s")

from dagster_k8s.job import UserDefinedDagsterK8sConfig
from dagster_k8s.models import k8s_model_from_dict, k8s_snake_case_dict
from kubernetes import client as kubernetes

DCLINT = Path(__file__).parent / "servers" / "node_modules" / "dclint" / "bin" / "dclint.cjs"
DEPLOY = Path(__file__).parents[1] / "deploy"
PROJECT = DEPLOY.parent
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
VALUES = yaml.safe_load((DEPLOY / "values.yaml").read_text())
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
    (user,) = re.findall(r"useradd .*--uid (\d+)", DOCKERFILE)
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == [user]
    assert DOCKERFILE.index(f"USER {user}") < DOCKERFILE.index("\nCMD")
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
    container = VALUES["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]["containerConfig"]
    assert container["resources"]["requests"]["memory"] == container["resources"]["limits"]["memory"] == "16Gi"
    assert (1 * 2**30 + 24 * 600 * 10**6) <= 16 * 2**30
    pod = VALUES["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]["podSpecConfig"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    (code,) = VALUES["dagster-user-deployments"]["deployments"]
    assert code["dagsterApiGrpcArgs"] == ["-m", "cassia_dagster.definitions"]


def test_the_instance_has_no_setting_that_dagster_does_not_know(monkeypatch, tmp_path):
    (tmp_path / "dagster.yaml").write_text((DEPLOY / "dagster.yaml").read_text())
    for name in variables(yaml.safe_load((DEPLOY / "dagster.yaml").read_text())):
        monkeypatch.setenv(name, "any")
    config, _ = dagster_instance_config(str(tmp_path))  # raises if there is one
    assert config["run_launcher"]["class"] == "WatchedCeleryRunLauncher"


def test_the_dockerfile_passes_its_linter(tmp_path):
    assert lint(DEPLOY / "Dockerfile") == []
    root = tmp_path / "Dockerfile"
    root.write_text(DOCKERFILE.replace("USER 10001", "USER root").replace("python:3.13-slim", "python"))
    assert {finding["code"] for finding in lint(root)} >= {"DL3002", "DL3006"}


def lint(dockerfile):
    command = [Path(sys.executable).with_name("hadolint"), "--format", "json", "--no-color", dockerfile]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in {0, 1}, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("there", "other"),
    [
        ("", ""),
        ("restart: unless-stopped", "restarts: unless-stopped"),
        ("condition: service_healthy", "condition: service_in_health"),
    ],
)
def test_the_compose_file_fits_the_schema_of_compose_files(there, other, tmp_path):
    file = tmp_path / "compose.yaml"
    file.write_text((DEPLOY / "compose.yaml").read_text().replace(there, other, 1))
    command = ["node", DCLINT, "--quiet", "--formatter", "json", file]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert any(found["errorCount"] for found in json.loads(done.stdout)) == bool(there), done.stdout


@pytest.mark.parametrize("password", ["", "right-one"])
def test_docker_compose_fills_in_what_the_environment_says_and_insists_on_a_password(password, tmp_path):
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("docker-compose is not installed: apt-get install --no-install-recommends docker-compose")
    (tmp_path / ".env").touch()
    file = tmp_path / "compose.yaml"
    # Debian's is older than the name of a project in its file.
    file.write_text((DEPLOY / "compose.yaml").read_text().replace(f"name: {COMPOSE['name']}\n", "", 1))
    environment = os.environ | {"POSTGRES_PASSWORD": password}
    command = [program, "--file", file, "config"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path, env=environment
    )
    assert (done.returncode == 0) == bool(password), done.stderr
    if not password:
        assert "set it in deploy/.env" in done.stderr
        return
    services = yaml.safe_load(done.stdout)["services"]
    assert set(services) == set(COMPOSE["services"])
    for name in ("webserver", "daemon", "worker"):
        said = services[name]["environment"]
        assert said["DAGSTER_POSTGRES_PASSWORD"] == said["PGPASSWORD"] == password
    assert services["postgres"]["environment"]["POSTGRES_PASSWORD"] == password
    assert "$" not in done.stdout.replace("$$HOSTNAME", ""), "everything is filled in but what the container does"


def test_the_instance_that_the_chart_makes_is_one_that_dagster_takes(tmp_path):
    """The chart turns these values into a dagster.yaml, name by name."""
    daemon = VALUES["dagsterDaemon"]
    launcher = VALUES["runLauncher"]["config"]["k8sRunLauncher"]
    instance = {
        "run_launcher": {
            "module": "dagster_k8s",
            "class": VALUES["runLauncher"]["type"],
            "config": {
                "service_account_name": "dagster",
                "instance_config_map": "dagster-instance",
                "dagster_home": "/opt/dagster/dagster_home",
                "run_k8s_config": snake(launcher["runK8sConfig"]),
            },
        },
        "run_coordinator": {
            "module": "dagster._core.run_coordinator",
            "class": daemon["runCoordinator"]["type"],
            "config": snake(daemon["runCoordinator"]["config"]["queuedRunCoordinator"]),
        },
        "run_monitoring": snake(daemon["runMonitoring"]),
        "run_retries": snake(daemon["runRetries"]),
        "telemetry": VALUES["telemetry"],
        "concurrency": {part: snake(limits) for part, limits in VALUES["concurrency"].items() if part != "enabled"},
    }
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(instance))
    config, _ = dagster_instance_config(str(tmp_path))
    ours = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())
    assert config["run_retries"] == ours["run_retries"]
    assert config["concurrency"] == ours["concurrency"]
    for section in ("run_launcher", "run_coordinator"):
        kind = getattr(importlib.import_module(instance[section]["module"]), instance[section]["class"])
        checked = process_config(Shape(kind.config_type()), instance[section]["config"])
        assert checked.success, checked.errors


def test_what_the_chart_hands_to_the_cluster_is_what_the_cluster_knows():
    settings = VALUES["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]
    known = UserDefinedDagsterK8sConfig.from_dict(snake(settings))  # raises at a field that pods do not have
    assert known.container_config["resources"]["limits"] == {"memory": "16Gi"}
    (code,) = VALUES["dagster-user-deployments"]["deployments"]
    for field, model in (
        ("resources", kubernetes.V1ResourceRequirements),
        ("podSecurityContext", kubernetes.V1PodSecurityContext),
        ("volumes", kubernetes.V1Volume),
        ("volumeMounts", kubernetes.V1VolumeMount),
        ("envSecrets", kubernetes.V1SecretEnvSource),
    ):
        parts = code[field] if isinstance(code[field], list) else [code[field]]
        assert all(k8s_model_from_dict(model, k8s_snake_case_dict(model, part)) for part in parts)
    with pytest.raises(Exception, match="Unexpected keys"):
        k8s_snake_case_dict(kubernetes.V1ResourceRequirements, {"limit": {}})


def snake(tree):
    """Write the chart's names as Dagster writes them; what is within them is Kubernetes' own."""
    return {re.sub(r"([A-Z])", r"_\1", name).lower(): value for name, value in tree.items()}
