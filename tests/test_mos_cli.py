"""The commands: what they print, and how they refuse."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from mos_helpers.serving import free_port
from mos_helpers.studies import as_of, fill_store, make_study, practised, small_toml

from mos_app.cli.main import main
from mos_app.db.raters import Registry
from mos_app.db.votes import VoteService
from mos_app.files.workspace import open_workspace
from mos_app.study.display import Ballot, DisplayRecord
from mos_app.study.studyfile import parse_study
from repro.core.paths import Results


@dataclass(frozen=True)
class Done:
    code: int
    stdout: str
    stderr: str


def run(folder: Path, *arguments: str) -> Done:
    """A command in this process (a new one would import for seconds), in ``folder``."""
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.chdir(folder)
        patch.setenv("COLUMNS", "160")
        patch.delenv("MOS_DATABASE", raising=False)
        patch.setattr(sys, "argv", ["mos_app", *arguments])
        try:
            main()
            code = 0
        except SystemExit as left:
            code = int(left.code or 0)
    return Done(code, out.getvalue(), err.getvalue())


def refused(folder: Path, *arguments: str) -> str:
    done = run(folder, *arguments)
    assert done.code == 2
    assert done.stdout == ""
    return done.stderr


def test_errors_end_the_process_with_code_2_and_no_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mos_app", "export"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("no study in results")


def test_a_reader_that_goes_away_is_no_error() -> None:
    """As `python -m mos_app order --rater r01 | head` does."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "mos_app", "texts"], stdout=pipe, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr) == (1, "")


def test_a_study_from_init_to_export_by_commands(tmp_path: Path) -> None:
    toml = tmp_path / "mine.toml"
    toml.write_text(small_toml(), encoding="utf-8")
    fill_store(Results(tmp_path / "results"), parse_study(toml.read_text(encoding="utf-8"), "x"))
    made = run(tmp_path, "init", "--config", "mine.toml")
    assert made.code == 0, made.stderr
    assert "3 raters x 24 ratings" in made.stdout
    invited = run(tmp_path, "invite", "--base-url", "https://rate.example")
    links = list(csv.DictReader(io.StringIO(invited.stdout)))
    assert [row["rater"] for row in links] == ["r01", "r02", "r03"]
    assert all(re.fullmatch(r"https://rate\.example/mos/enter#[\w-]{32}", row["link"]) for row in links)
    # everybody has a link now
    assert run(tmp_path, "invite").stdout.strip() == "rater,link"
    assert "r01: 1 links ended" in run(tmp_path, "invite", "--revoke", "--rater", "r01").stdout
    order = run(tmp_path, "order", "--rater", "r02").stdout
    rows = list(csv.DictReader(io.StringIO(order)))
    assert [int(row["position"]) for row in rows] == list(range(1, 25))
    assert run(tmp_path, "order", "--rater", "r02").stdout == order
    assert "excluded" in run(tmp_path, "exclude", "--rater", "r03", "--reason", "no show").stdout
    status = run(tmp_path, "status").stdout
    assert "0 of 72 ratings" in status
    assert "excluded" in status
    assert run(tmp_path, "exclude", "--rater", "r03", "--reason", "came", "--undo").code == 0
    exported = run(tmp_path, "export")
    assert exported.code == 0, exported.stderr
    assert (tmp_path / "results" / "studies" / "small" / "export" / "ratings.csv").is_file()
    path = "results/studies/small/export.zip"
    assert run(tmp_path, "import", path, "--name", "copy").code == 0
    assert run(tmp_path, "backup", "saved", "--study", "small").code == 0
    assert run(tmp_path, "restore", "saved", "--name", "back").code == 0
    assert "studies: back, copy, small" in run(tmp_path, "status").stderr


def test_commands_refuse_with_what_to_do_next(tmp_path: Path) -> None:
    assert "init" in refused(tmp_path, "export")
    assert "no study 'x'" in refused(tmp_path, "status", "--study", "x")
    assert "template 'x'" in refused(tmp_path, "init", "--template", "x")
    told = refused(tmp_path, "init")
    assert "consent.controller is empty" in told
    assert "--show > mine.toml" in told
    assert "cannot be read" in refused(tmp_path, "init", "--config", "none.toml")
    assert "not an export" in refused(tmp_path, "import", "none.zip")
    assert "study '../x'" in refused(tmp_path, "export", "--study", "../x")
    (tmp_path / "bad.toml").write_text("name = 3", encoding="utf-8")
    assert "bad.toml" in refused(tmp_path, "init", "--config", "bad.toml")
    make_study(tmp_path / "results", small_toml())[1].close()
    assert "nobody was named" in refused(tmp_path, "invite", "--revoke")
    assert "no rater 'r9'" in refused(tmp_path, "order", "--rater", "r9")
    next((tmp_path / "results/studies/small/stimuli").iterdir()).unlink()
    assert "stimuli are missing or damaged" in refused(
        tmp_path, "serve", "--study", "small", "--port", str(free_port())
    )
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert "cannot listen" in refused(tmp_path, "serve", "--study", "small", "--port", port)


def test_links_and_databases_are_private(tmp_path: Path) -> None:
    make_study(tmp_path / "results", small_toml())[1].close()
    database = tmp_path / "results/studies/small/study.db"
    assert database.stat().st_mode & 0o777 == 0o600
    database.chmod(0o644)
    assert run(tmp_path, "invite", "--output", "links.csv").code == 0
    assert database.stat().st_mode & 0o777 == 0o600
    links = tmp_path / "links.csv"
    assert links.stat().st_mode & 0o777 == 0o600
    assert len(links.read_text(encoding="utf-8").splitlines()) == 4
    assert "cannot be made" in refused(tmp_path, "invite", "--rater", "r01", "--output", "links.csv")
    # never into a repository, neither by the option nor by the shell
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    inside = tmp_path / "repository" / "links.csv"
    assert "git repository" in refused(tmp_path, "invite", "--rater", "r01", "--output", str(inside))
    assert "this computer only" in run(tmp_path, "invite").stderr
    assert run(tmp_path, "invite", "--base-url", "https://rate.example").stderr == ""
    with inside.open("wb") as stream:
        done = subprocess.run(
            [sys.executable, "-m", "mos_app", "invite", "--rater", "r01"],
            cwd=tmp_path,
            stdout=stream,
            stderr=subprocess.PIPE,
        )
    assert done.returncode == 2
    assert b"git repository" in done.stderr
    assert inside.read_bytes() == b""
    inside.unlink()
    sure = ("invite", "--rater", "r01", "--output", str(inside), "--inside-repository")
    assert run(tmp_path, *sure).code == 0


def test_erase_takes_a_rater_out(tmp_path: Path) -> None:
    _, workspace = make_study(tmp_path / "results", small_toml())
    practised(workspace, "r02")
    Registry(workspace.database, workspace.study).note("server", "login_failed", client="192.0.2.1")
    workspace.close()
    assert "backups" in run(tmp_path, "erase", "--rater", "r02", "--yes").stdout
    assert run(tmp_path, "export").code == 0
    folder = tmp_path / "results/studies/small/export"
    raters = {row["code"]: row for row in csv.DictReader((folder / "raters.csv").open(encoding="utf-8"))}
    assert raters["r02"]["erased_ms"]
    assert raters["r02"]["age_band"] == ""
    assert len((folder / "answers.csv").read_text(encoding="utf-8").splitlines()) == 1
    log = (folder / "events.csv").read_text(encoding="utf-8")
    assert "erased" in log
    assert "192.0.2.1" not in log
    assert "login_failed" in log
    # an import brings the same back
    assert run(tmp_path, "import", str(folder.parent / "export.zip"), "--name", "copy").code == 0


def test_plan_and_show_print(tmp_path: Path) -> None:
    plan = run(tmp_path, "plan").stdout
    assert "26 raters x 1128 ratings = 29,328 ratings" in plan
    assert "Set5" in plan
    assert "cannot decide" in plan
    shown = run(tmp_path, "init", "--template", "pilot", "--show").stdout
    assert parse_study(shown, "shown").pilot is not None


def test_simulated_pilot_gets_its_report(tmp_path: Path) -> None:
    assert run(tmp_path, "simulate", "--template", "pilot").code == 0
    report = run(tmp_path, "pilot", "--study", "pilot-synthetic").stdout
    assert report.startswith("synthetic ratings")
    assert "quadratic weighted kappa" in report
    assert re.search(r"^(GO|NO GO): ", report, re.MULTILINE)


@pytest.mark.timeout(120)
def test_serve_makes_the_demo_study_by_itself(tmp_path: Path) -> None:
    """What `make mos` does after cloning: a working study, its links printed, on loopback only."""
    port = free_port()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MOS_")}
    server = subprocess.Popen(
        [sys.executable, "-m", "mos_app", "serve", "--results", "results", "--port", str(port)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert server.stdout is not None
    try:
        lines = []
        for line in server.stdout:
            lines.append(line)
            if "stop:" in line:
                break
        told = "".join(lines)
        link = re.search(r"rate: +(http://127\.0\.0\.1:\d+/mos/enter#([\w-]+))", told)
        assert link is not None, told
        assert "password for this run" in told
        for _ in range(100):
            try:
                reply = httpx.get(
                    f"http://127.0.0.1:{port}/mos/state", headers={"Authorization": f"Bearer {link.group(2)}"}
                )
                break
            except httpx.HTTPError:
                time.sleep(0.1)
        assert reply.json()["state"]["key"] == "consent"
        assert httpx.get(link.group(1)).status_code == 200
        addresses = Path("/proc/net/tcp").read_text(encoding="ascii").split() if os.name == "posix" else []
        listening = [entry for entry in addresses if entry.endswith(f":{port:04X}")]
        assert all(entry.startswith("0100007F:") for entry in listening if entry != "00000000:0000")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=30)
        server.stdout.close()


def test_an_old_database_is_upgraded_and_its_links_go_on(tmp_path: Path) -> None:
    """Rows as the first schema held them: refused by name, upgraded by the command, votes go on."""
    _, workspace = make_study(tmp_path / "results", small_toml())
    invite = practised(workspace, "r01")
    folder = workspace.folder
    workspace.close()
    as_of(workspace, tmp_path / "old.db", "0001")
    for path in folder.path.glob("study.db*"):
        path.unlink()
    (tmp_path / "old.db").rename(folder.database)
    assert "schema 0001" in refused(tmp_path, "status", "--study", "small")
    assert "current" in run(tmp_path, "upgrade", "--study", "small").stdout
    again = open_workspace(Results(tmp_path / "results"), "small")
    vote_service = VoteService(again.database, again.study)
    state = vote_service.state(invite)
    assert state.screen.phase == "rating"
    assert state.current is not None
    ballot = Ballot(
        item=state.current.item,
        nonce="n" * 22,
        score=3,
        response_ms=900,
        display=DisplayRecord(surface="plain"),
    )
    assert vote_service.vote(invite, ballot).verdict == "saved"
    again.close()
    assert run(tmp_path, "export", "--study", "small").code == 0


def test_upgrade_makes_no_database_where_the_study_has_another(tmp_path: Path) -> None:
    """Who forgets --database is told so; an empty file would be taken for the study's later."""
    (tmp_path / "elsewhere").mkdir()
    url = f"sqlite:///{tmp_path / 'elsewhere' / 'votes.db'}"
    _, workspace = make_study(tmp_path / "results", small_toml(), url=url)
    workspace.close()
    assert "MOS_DATABASE" in refused(tmp_path, "upgrade", "--study", "small")
    assert not workspace.folder.database.exists()
    assert "no study 'x'" in refused(tmp_path, "upgrade", "--study", "x")
    assert "current" in run(tmp_path, "upgrade", "--study", "small", "--database", url).stdout


def test_an_unknown_rater_ends_nobodys_link(tmp_path: Path) -> None:
    make_study(tmp_path / "results", small_toml())[1].close()
    before = run(tmp_path, "invite", "--rater", "r01").stdout.strip().rpartition("#")[2]
    told = refused(tmp_path, "invite", "--renew", "--rater", "r01", "--rater", "r99", "--output", "links.csv")
    assert "no rater 'r99'" in told
    assert not (tmp_path / "links.csv").exists()
    (tmp_path / "taken.html").touch()
    again = ("invite", "--renew", "--rater", "r01", "--output", "links.csv", "--sheet", "taken.html")
    assert "taken.html" in refused(tmp_path, *again)
    assert not (tmp_path / "links.csv").exists()
    with open_workspace(Results(tmp_path / "results"), "small") as workspace:
        assert VoteService(workspace.database, workspace.study).knows(before)


def test_plan_counts_what_one_rater_sees(tmp_path: Path) -> None:
    more = "\n[subset]\nimages = { Set5 = 3 }\n[attention]\ncount = 2\n"
    more += "[repeats]\ncount = 1\nminimum_distance = 2\n"
    (tmp_path / "mine.toml").write_text(small_toml(images=6, distance=2, more=more), encoding="utf-8")
    told = run(tmp_path, "plan", "--config", "mine.toml").stdout
    assert "3 raters x 15 ratings = 45 ratings" in told  # 3 images x 4 methods, 2 and 1 more
    everybody = run(tmp_path, "plan", "--config", "mine.toml", "--raters", "1")
    assert everybody.code == 2
    assert "2 raters" in everybody.stderr
    (tmp_path / "one.toml").write_text(small_toml(images=1, blocks=1, distance=1), encoding="utf-8")
    assert "one image" in run(tmp_path, "plan", "--config", "one.toml").stdout


def test_container_file_has_a_health_check_and_no_torch() -> None:
    text = (Path(__file__).resolve().parents[1] / "mos_app" / "Containerfile").read_text(encoding="utf-8")
    assert "HEALTHCHECK" in text
    assert "/mos/health" in text
    assert "USER rating" in text
    assert not re.search(r"\btorch\b", text.replace("no torch", ""))
