"""Missing, changed and surplus files."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import repro.cli.data
from repro.core.errors import UserError
from repro.data.sources import DataFile, Registry, Source, load_registry
from repro.data.verify import Problem, State, verify

ONE = Source("one", "owner/name", "a" * 40, "name/one", "none", "test")
TWO = Source("two", "owner/name", "a" * 40, "name/two", "none", "test")


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    files = []
    for source in (ONE, TWO):
        (tmp_path / source.folder).mkdir(parents=True)
        for name in ("a.png", "b.png", "c.png"):
            data = f"{source.name} {name}".encode()
            (tmp_path / source.folder / name).write_bytes(data)
            sha256 = hashlib.sha256(data).hexdigest()
            files.append(DataFile(f"{source.folder}/{name}", sha256, len(data), source))
    return Registry((ONE, TWO), tuple(files))


def states(registry: Registry, root: Path) -> list[tuple[str, str]]:
    return [(str(problem.state), problem.path) for problem in verify(registry, root)]


def test_intact(registry: Registry, tmp_path: Path) -> None:
    seen: list[DataFile] = []
    assert verify(registry, tmp_path, seen.append) == []
    assert tuple(seen) == registry.files


def test_every_fault_is_named(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "name/one/a.png").unlink()
    (tmp_path / "name/one/b.png").write_bytes(b"one b.pnG")  # same size
    (tmp_path / "name/two/a.png").write_bytes(b"longer than it was")
    (tmp_path / "name/two/c.png").unlink()
    (tmp_path / "name/two/c.png").mkdir()
    (tmp_path / "name/one/new.png").write_bytes(b"")
    (tmp_path / "name/two/tmpab12_xyz").write_bytes(b"")
    (tmp_path / "name/two/folder").mkdir()
    (tmp_path / "name/elsewhere").mkdir()
    (tmp_path / "README").write_text("mine")
    assert states(registry, tmp_path) == [
        ("missing", "name/one/a.png"),
        ("changed", "name/one/b.png"),
        ("surplus", "name/one/new.png"),
        ("changed", "name/two/a.png"),
        ("changed", "name/two/c.png"),
        ("surplus", "name/two/folder"),
        ("surplus", "name/two/tmpab12_xyz"),
    ]


def test_details_tell_what_was_found(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "name/one/a.png").write_bytes(b"x")
    (problem,) = verify(registry, tmp_path)
    assert problem == Problem(State.CHANGED, "name/one/a.png", "one", "1 bytes, not 9")


def test_a_dangling_link_is_a_missing_file(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "name/one/a.png").unlink()
    (tmp_path / "name/one/a.png").symlink_to(tmp_path / "nowhere")
    assert states(registry, tmp_path) == [("missing", "name/one/a.png")]


def test_only_the_chosen_sources_are_looked_at(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "name/one/a.png").unlink()
    (tmp_path / "name/one/new.png").write_bytes(b"")
    assert verify(registry.select(["two"]), tmp_path) == []
    assert len(verify(registry.select(["one"]), tmp_path)) == 2


def test_a_missing_data_root_is_an_error(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        verify(registry, tmp_path / "nothing")


def test_the_command_exits_with_1_and_names_the_faults(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repro.cli.data, "load_registry", lambda: registry)
    runner = CliRunner()
    arguments = ["verify", "--data", str(tmp_path)]
    assert runner.invoke(repro.cli.data.app, arguments).exit_code == 0
    (tmp_path / "name/one/a.png").unlink()
    result = runner.invoke(repro.cli.data.app, arguments)
    assert result.exit_code == 1
    assert "missing: name/one/a.png" in result.stdout
    assert "5 of 6 files" in result.stdout
    result = runner.invoke(repro.cli.data.app, [*arguments, "--json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "ok": False,
        "files": 6,
        "intact": 5,
        "problems": [{"state": "missing", "path": "name/one/a.png", "source": "one"}],
    }


@pytest.mark.data
def test_the_data_root_of_the_tests_is_as_listed(data_root: Path) -> None:
    problems = verify(load_registry(), data_root)
    assert [problem for problem in problems if problem.state is not State.SURPLUS] == []


def test_names_that_the_terminal_cannot_show(tmp_path: Path) -> None:
    """A folder with an umlaut and brackets, in a terminal of ASCII: told, not a traceback, nor markup."""
    folder = tmp_path / "dü[red]x"
    folder.mkdir()
    for command in (["list"], ["verify"], ["pack", "--dry-run", "--results", str(folder)]):
        run = subprocess.run(
            [sys.executable, "-m", "repro", "data", *command, "--data", str(folder)],
            capture_output=True, text=True, check=False, env=os.environ | {"PYTHONIOENCODING": "ascii"},
        )  # fmt: skip
        assert "Traceback" not in run.stderr
        assert run.returncode == (1 if command == ["verify"] else 0), run.stderr
        assert "[red]x" in run.stdout
