"""What is shipped for production: image, services, environment. No container engine runs here; it is read."""

import os
import re
import subprocess
import sys

import pytest
import yaml

from tradingbot.tests.places import PROJECT

COMPOSE = yaml.safe_load((PROJECT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
DOCKERFILE = (PROJECT / "Dockerfile").read_text(encoding="utf-8")
EXAMPLE = (PROJECT / ".env.example").read_text(encoding="utf-8")
READ = re.compile(r"""(?:envtext|envbool|envint|envlist|envjson|envlevel|envsecret)\(\s*"([A-Z_]+)\"""")


def every(*names: str):
    return pytest.mark.parametrize("name", names or sorted(SERVICES))


def test_every_part_of_the_platform_is_a_service():
    assert set(SERVICES) == {"web", "worker-trading", "worker-research", "beat", "migrate", "postgres", "redis"}


@every()
def test_service_is_hardened(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "/tmp" in service["tmpfs"]


def test_only_the_web_is_published_and_to_this_host_alone():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"web"}
    assert all(port.startswith("127.0.0.1:") for port in published["web"])


@every("postgres", "redis")
def test_store_is_on_the_inner_network_only(name):
    assert SERVICES[name]["networks"] == ["data"]
    assert COMPOSE["networks"]["data"] == {"internal": True}


@every()
def test_secrets_come_as_files_only(name):
    for variable, value in SERVICES[name].get("environment", {}).items():
        if re.search("KEY|PASSWORD|SECRET", variable):
            assert variable.endswith("_FILE")
            assert value.removeprefix("/run/secrets/") in SERVICES[name]["secrets"]
    assert all(secret["file"].startswith("deploy/secrets/") for secret in COMPOSE["secrets"].values())


@every("web", "worker-trading", "worker-research", "beat")
def test_service_waits_for_the_migrations(name):
    assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_every_queue_has_a_worker_of_its_own():
    commands = [SERVICES[name]["command"] for name in ("worker-trading", "worker-research")]
    assert [re.search(r"--queues (\S+)", command)[1] for command in commands] == ["trading", "research"]


@every("worker-trading", "worker-research", "beat")
def test_worker_has_time_to_finish_what_it_sends(name):
    assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) >= 30


def test_image_runs_as_nobody_special_and_is_probed():
    lines = DOCKERFILE.splitlines()
    assert "USER tradingbot" in lines
    assert any(line.startswith("HEALTHCHECK") and "probe.py" in line for line in lines)
    assert "--require-hashes" in DOCKERFILE
    assert not re.search(r"(?m)^(ARG|ENV) .*(SECRET|PASSWORD|ENCRYPTION)", DOCKERFILE)


def test_secrets_stay_out_of_image_and_repository():
    for file in (".dockerignore", ".gitignore"):
        lines = (PROJECT / file).read_text(encoding="utf-8").split()
        assert {".env", "deploy/secrets"} <= {line.rstrip("/") for line in lines}


def test_example_lists_every_variable_that_is_read():
    source = (PROJECT / "tradingbot" / "settings.py").read_text(encoding="utf-8")
    listed = set(re.findall(r"(?m)^#([A-Z_]+)=", EXAMPLE))
    assert set(READ.findall(source)) - listed == set()
    assert "SECRET_KEY" in listed


def test_example_sets_nothing():
    assert not re.search(r"(?m)^[A-Z_]+=", EXAMPLE)


@every("POSTGRES", "REDIS")
def test_entrypoint_builds_the_url_from_the_password_file(name, tmp_path):
    (tmp_path / "password").write_text("abc123\n")
    variable = {"POSTGRES": "DATABASE_URL", "REDIS": "REDIS_URL"}[name]
    result = subprocess.run(
        ["sh", PROJECT / "deploy" / "entrypoint.sh", "printenv", variable],
        env={"PATH": "/usr/bin:/bin", f"{name}_PASSWORD_FILE": str(tmp_path / "password")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ":abc123@" in result.stdout


def test_entrypoint_leaves_given_urls_alone():
    result = subprocess.run(
        ["sh", PROJECT / "deploy" / "entrypoint.sh", "printenv", "DATABASE_URL"],
        env={"PATH": "/usr/bin:/bin", "DATABASE_URL": "postgresql://x/y"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "postgresql://x/y"


def test_probe_fails_where_nothing_answers():
    probe = (PROJECT / "deploy" / "probe.py").read_text(encoding="utf-8").replace("8000", "9")
    assert subprocess.run([sys.executable, "-c", probe], capture_output=True, check=False).returncode == 1


def test_locks_hold_every_direct_pin():
    for source, lock in (("requirements.txt", "requirements.lock"), ("requirements-dev.txt", "requirements-dev.lock")):
        locked = set(re.findall(r"(?m)^([a-z0-9.-]+)==(\S+)", (PROJECT / lock).read_text(encoding="utf-8")))
        wanted = re.findall(
            r"(?m)^([A-Za-z0-9_.-]+)(?:\[[^]]+\])?==([^;\s]+)", (PROJECT / source).read_text(encoding="utf-8")
        )
        assert {(re.sub(r"[_.]+", "-", name).lower(), version) for name, version in wanted} - locked == set()


def test_locked_versions_are_the_same_for_running_and_for_testing():
    def locked(name: str) -> set[str]:
        return set(re.findall(r"(?m)^[a-z0-9.-]+==[^\\\n]+", (PROJECT / name).read_text(encoding="utf-8")))

    assert locked("requirements.lock") - locked("requirements-dev.lock") == set()


def test_no_file_names_a_registry():
    for name in ("requirements.lock", "requirements-dev.lock", "requirements.txt", "Dockerfile", "run.sh", "verify.sh"):
        assert "://" not in (PROJECT / name).read_text(encoding="utf-8").replace("redis://", "")


def test_platform_needs_nothing_that_only_development_installs():
    result = subprocess.run(
        [sys.executable, PROJECT / "tradingbot" / "tests" / "runtime_only.py"],
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "tradingbot.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "tradingbot.management.commands.up" in result.stdout
