from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mixserve_devcluster import go_build
from mixserve_devcluster.errors import BuildError, PlatformError
from support.fake_go import FakeGo, tiny_program
from support.processes import is_alive
from support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

BUILDER = """
import sys
from pathlib import Path
from mixserve_devcluster import go_build
from support.fake_go import tiny_program
print(go_build.build(tiny_program(Path(sys.argv[1])), Path(sys.argv[2])))
"""


def start_builder(tmp_path: Path) -> subprocess.Popen[str]:
    """Another process that builds the tiny program of `tmp_path` into its cache."""
    return subprocess.Popen(
        [sys.executable, "-c", BUILDER, str(tmp_path / "module"), str(tmp_path / "cache")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": f"{tmp_path / 'fake-go'}:/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)},
    )


def test_a_program_is_built_once(tmp_path: Path, fake_go: FakeGo) -> None:
    program = tiny_program(tmp_path / "module")
    built = [go_build.build(program, tmp_path / "cache") for _ in range(2)]
    assert built == [program.cached(tmp_path / "cache")] * 2
    assert subprocess.run([built[0]], check=False).returncode == 0
    assert len(fake_go.builds) == 1


def test_a_module_that_changes_is_another_program(tmp_path: Path) -> None:
    program = tiny_program(tmp_path / "module")
    before = program.cached(tmp_path)
    (program.module / "go.sum").write_text("another version")
    assert program.cached(tmp_path) != before


def test_the_version_is_the_one_that_the_module_requires(tmp_path: Path) -> None:
    program = tiny_program(tmp_path / "module")
    assert program.version == "local"
    (program.module / "go.mod").write_text("module m\n\ngo 1.26\n\nrequire example.com/x v1.36.1\n")
    assert program.version == "v1.36.1"
    assert program.cached(tmp_path).parent.name.startswith("v1.36.1-")


def test_kubernetes_programs_are_told_their_version(tmp_path: Path) -> None:
    tiny = tiny_program(tmp_path / "module")
    (tiny.module / "go.mod").write_text("module m\n\nrequire k8s.io/kubernetes v1.36.1\n")
    program = go_build.GoProgram(name="k", module=tiny.module, package="p", version_package="v")
    flags = program.command(tmp_path / "go", tmp_path / "k")
    assert "-X v.gitVersion=v1.36.1 -X v.gitMajor=1 -X v.gitMinor=36" in flags[flags.index("-ldflags") + 1]


def test_of_two_builders_the_second_waits_for_the_first(tmp_path: Path, fake_go: FakeGo) -> None:
    fake_go.hold()
    with start_builder(tmp_path) as first:
        eventually(lambda: fake_go.builds, "first build")
        with start_builder(tmp_path) as second:
            assert second.stderr
            assert "waiting for another build before tiny" in second.stderr.readline()
            fake_go.let_go()
            results = {builder.communicate(timeout=60)[0] for builder in (first, second)}
    assert results == {f"{tiny_program(tmp_path / 'module').cached(tmp_path / 'cache')}\n"}
    assert len(fake_go.builds) == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_build_leaves_no_program_and_the_next_one_succeeds(
    tmp_path: Path,
    fake_go: FakeGo,
    number: signal.Signals,
) -> None:
    fake_go.hold()
    with start_builder(tmp_path) as builder:
        eventually(lambda: fake_go.builds, "build")
        builder.send_signal(number)
        builder.communicate(timeout=60)
    program = tiny_program(tmp_path / "module")
    target = program.cached(tmp_path / "cache")
    assert not target.exists()
    fake_go.let_go()
    assert go_build.build(program, tmp_path / "cache") == target
    assert [path.name for path in target.parent.iterdir()] == ["tiny"]


def test_ctrl_c_during_a_build_leaves_nothing_at_all(tmp_path: Path, fake_go: FakeGo) -> None:
    fake_go.hold()
    with start_builder(tmp_path) as builder:
        eventually(lambda: fake_go.builds, "build")
        builder.send_signal(signal.SIGINT)
        builder.communicate(timeout=60)
    assert list(tiny_program(tmp_path / "module").cached(tmp_path / "cache").parent.iterdir()) == []


def test_ctrl_c_during_a_build_ends_what_go_has_started(tmp_path: Path, fake_go: FakeGo) -> None:
    fake_go.hold()
    with start_builder(tmp_path) as builder:
        child = eventually(lambda: fake_go.child, "compiler")
        builder.send_signal(signal.SIGINT)
        builder.communicate(timeout=60)
    eventually(lambda: not is_alive(child), "end of the compiler", timeout_s=5)


def test_a_build_that_fails_shows_the_end_of_what_go_says(tmp_path: Path, fake_go: FakeGo) -> None:
    fake_go.break_it()
    program = tiny_program(tmp_path / "module")
    with pytest.raises(BuildError, match="tiny cannot be built") as error:
        go_build.build(program, tmp_path / "cache")
    assert "compile error 11\n" in str(error.value)
    assert "compile error 30\n" in str(error.value)
    assert "compile error 10\n" not in str(error.value)
    assert "KUBEBUILDER_ASSETS" in str(error.value)
    assert list(program.cached(tmp_path / "cache").parent.iterdir()) == []


def test_nothing_is_written_to_the_module(tmp_path: Path, fake_go: FakeGo) -> None:
    program = tiny_program(tmp_path / "module")
    before = sorted(program.module.iterdir())
    go_build.build(program, tmp_path / "cache")
    assert sorted(program.module.iterdir()) == before
    assert f"-C {program.module} -v -trimpath -mod=readonly" in fake_go.builds[0]


def test_the_users_go_settings_stay_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOFLAGS", "-race")
    monkeypatch.setenv("GOWORK", str(tmp_path / "go.work"))
    monkeypatch.setenv("GOPROXY", "https://proxy.example")
    environment = go_build._environment(tmp_path / "scratch", tmp_path / "cache")
    assert (environment["GOFLAGS"], environment["GOWORK"]) == ("-modcacherw", "off")
    assert environment["GOPROXY"] == "https://proxy.example"


@pytest.mark.parametrize("unset", [None, ""])
def test_what_go_fetches_and_compiles_lies_in_our_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unset: str | None
) -> None:
    for name in ("GOMODCACHE", "GOCACHE"):
        monkeypatch.delenv(name, raising=False)
        if unset is not None:
            monkeypatch.setenv(name, unset)
    environment = go_build._environment(tmp_path / "scratch", tmp_path / "cache")
    assert environment["GOMODCACHE"] == str(tmp_path / "cache" / "go-modules")
    assert environment["GOCACHE"] == str(tmp_path / "cache" / "go-build")


def test_caches_that_the_user_has_chosen_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {"GOMODCACHE": "/mine/modules", "GOCACHE": "/mine/build"}
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    assert go_build._environment(tmp_path / "scratch", tmp_path / "cache").items() >= chosen.items()


def test_other_systems_are_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    with pytest.raises(PlatformError, match=r"docs/install\.md"):
        go_build.build(tiny_program(tmp_path / "module"), tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
