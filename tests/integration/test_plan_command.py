"""`mixserve plan` as a process, on what somebody may name by mistake or on purpose: it answers and never dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
POOL = (ROOT / "examples" / "quickstart" / "pool.yaml").read_text()


def plan(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    """A minute is much more than it needs; without a terminal and in a narrow environment, as in CI."""
    command = [str(Path(sys.executable).with_name("mixserve")), "plan", *arguments]
    environment = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=60, cwd=ROOT, check=False, env=environment)
    return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.mark.parametrize("example", sorted(path.name for path in (ROOT / "examples").iterdir() if path.is_dir()))
def test_every_example_is_valid_and_has_a_best_variant(example: str) -> None:
    done = plan("-f", f"examples/{example}", "-o", "json")

    assert (done.returncode, done.stderr) == (0, "")
    assert all(pool["best_variant"] for pool in json.loads(done.stdout)["pools"])


def test_a_table_off_a_terminal_has_no_colours() -> None:
    assert "\x1b" not in plan("-f", "examples").stdout


def hostile(name: str) -> bytes:
    """Built when it is needed: some of them are large."""
    levels = "".join(f"l{n}: &l{n} [{','.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 30))
    return {
        "not YAML": b"a: [1",
        "binary": bytes(range(256)) * 100,
        "10 MB": b"a" * 10**7,
        "deep": b"[" * 10**6,
        "deep in blocks": b"- " * 10**6,
        "billion laughs": b"l0: &l0 lol\n" + levels.encode(),
        "in itself": b"a: &a {b: *a}",
        "NaN": POOL.replace("layers: 24", "layers: .nan").encode(),
        "infinite": POOL.replace("layers: 24", "layers: 1e999").encode(),
        "negative": POOL.replace("layers: 24", "layers: -24").encode(),
        "huge": POOL.replace("layers: 24", f"layers: {'9' * 4000}").encode(),
        "twice": f"{POOL}\n---\n{POOL}".encode(),
        "no object": b"- 1\n- 2\n",
        "template": b"{{ .Values.pool }}",
        "code": b"a: !!python/object/apply:os.system [exit]",
    }[name]


@pytest.mark.parametrize(
    "name",
    [
        *("not YAML", "binary", "10 MB", "deep", "deep in blocks", "billion laughs", "in itself", "NaN", "infinite"),
        *("negative", "huge", "twice", "no object", "template", "code"),
    ],
)
def test_a_hostile_manifest_is_a_violation_in_words(name: str) -> None:
    done = plan("-f", "-", "-o", "json", stdin=hostile(name))

    assert (done.returncode, done.stderr) == (1, "")
    assert len(done.stdout) < 10_000
    report = json.loads(done.stdout)
    assert report["valid"] is False
    assert any(one["violations"] for one in (*report["pools"], *report["refused"]))


def test_one_bad_file_does_not_hide_the_good_ones(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("[")
    (tmp_path / "good.yaml").write_text(POOL)

    report = json.loads(plan("-f", str(tmp_path), "-o", "json").stdout)

    assert [pool["variants"][0]["fits"] for pool in report["pools"]] == [True]
    assert [Path(one["file"]).name for one in report["refused"]] == ["bad.yaml"]


@pytest.mark.parametrize("content", ["", "apiVersion: v1\nkind: Service\n"])
def test_a_directory_without_pools_is_a_usage_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "other.yaml").write_text(content)

    done = plan("-f", str(tmp_path))

    assert (done.returncode, done.stdout) == (2, "")
    assert "there is nothing of Mixserve in" in done.stderr


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    assert plan("-f", str(tmp_path / "none.yaml")).returncode == 2
