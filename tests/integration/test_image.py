"""What the Dockerfile does, done without Docker: the same commands, in a directory instead of a container."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
# One line per instruction; before the first FROM there are only comments.
_, BUILD, FINAL = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").split("\nFROM ")


def commands(keyword: str, stage: str) -> list[str]:
    return re.findall(rf"^{keyword} (.+)$", stage, re.MULTILINE)


@pytest.fixture(scope="module")
def opt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What /opt holds after the build stage."""
    context, made = tmp_path_factory.mktemp("src"), tmp_path_factory.mktemp("opt")
    for copied in commands("COPY", BUILD):
        *sources, target = copied.split()
        for source in sources:
            place = context / target / source if target.endswith("/") else context / target
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, place)
    arguments = dict(argument.split("=") for argument in commands("ARG", BUILD))
    for command in commands("RUN", BUILD):
        here = command.replace("/opt/", f"{made}/")
        subprocess.run(["sh", "-euc", here], cwd=context, env={**os.environ, **arguments}, check=True, timeout=300)
    return made


def run(opt: Path, *command: str) -> str:
    environment = {"PATH": f"{opt}/mixserve/bin:/usr/bin:/bin", "HOME": "/nonexistent"}
    done = subprocess.run(command, cwd="/", env=environment, check=False, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


def test_the_image_has_the_operator(opt: Path) -> None:
    assert run(opt, "mixserve", "--version").startswith("mixserve ")
    [command] = commands("CMD", FINAL)
    assert "no cluster to connect to" in run(opt, *json.loads(command))


def test_the_image_has_locked_versions_and_nothing_of_the_embedded_cluster(opt: Path) -> None:
    listed = run(opt, f"{opt}/tools/bin/uv", "pip", "list", "--python", f"{opt}/mixserve", "--format", "freeze")
    installed = dict(line.split("==") for line in listed.splitlines() if "==" in line)
    locked = dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    assert {name: version for name, version in installed.items() if name != "mixserve"}.items() <= locked.items()
    assert {"cryptography", "kopf", "kubernetes", "pydantic"} <= installed.keys()
    assert not {"matplotlib", "platformdirs", "pytest"} & installed.keys()


def test_the_chart_runs_what_the_image_does(opt: Path) -> None:
    deployment = (ROOT / "charts/mixserve/templates/deployment.yaml").read_text()
    assert "command: [mixserve, operator, run]" in deployment
    assert commands("CMD", FINAL) == ['["mixserve", "operator", "run"]']
    [user] = commands("USER", FINAL)
    assert f"runAsUser: {user.partition(':')[0]}" in (ROOT / "charts/mixserve/values.yaml").read_text()


def test_make_builds_with_the_uv_that_the_image_has() -> None:
    [argument] = commands("ARG", BUILD)
    assert argument.replace("=", " := ") in (ROOT / "Makefile").read_text()
