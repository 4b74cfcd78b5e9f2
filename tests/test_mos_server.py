"""The server under load and under SIGKILL: every acknowledged vote is there once, and it stays quick."""

from __future__ import annotations

import os
import random
import threading
import time
from pathlib import Path

import pytest
from mos_helpers.serving import Server, serving
from mos_helpers.studies import fill_store, make_study, practised, small_toml
from mos_helpers.voters import Voter, percentile, vote_all
from sqlalchemy import text

from mos_app.db.studies import add_raters
from mos_app.files.workspace import Workspace, init_study, open_workspace
from mos_app.study.studyfile import parse_study, read_template
from repro.core.paths import Results
from repro.papers.srgan import RATERS, RATINGS_PER_RATER, RATINGS_TOTAL

pytestmark = pytest.mark.xdist_group("mos_server")


def kill_again_and_again(
    server: Server, voters: list[Voter], kills: int, seed: int, stop: threading.Event, done: list[float]
) -> None:
    """SIGKILL at random moments while votes come in, each followed by a restart on the same port."""
    moments = random.Random(seed)
    while len(done) < kills and not stop.is_set():
        before = sum(len(voter.acknowledged) for voter in voters)
        # a busy machine may take long to come to the first vote after a start
        while sum(len(voter.acknowledged) for voter in voters) == before:
            if stop.wait(0.05):
                return
        if stop.wait(moments.uniform(0.2, 2.0)):
            return
        server.kill()
        begin = time.monotonic()
        server.start()
        done.append(time.monotonic() - begin)


def rows(workspace: Workspace, statement: str) -> list[tuple[object, ...]]:
    with workspace.database.read() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def check_after_kills(workspace: Workspace, voters: list[Voter], per_rater: int) -> None:
    assert [voter.errors for voter in voters if voter.errors] == []
    total = rows(
        workspace,
        "SELECT count(*), count(DISTINCT presentation_id) FROM vote v JOIN presentation p "
        "ON p.id = v.presentation_id WHERE p.phase = 'rating'",
    )
    assert total == [(per_rater * len(voters),) * 2]
    # what was acknowledged to a rater is what is stored for it, in order
    stored = rows(
        workspace,
        "SELECT r.number, v.score FROM vote v JOIN presentation p ON p.id = v.presentation_id "
        "JOIN rater r ON r.id = p.rater_id WHERE p.phase = 'rating' ORDER BY r.number, p.position",
    )
    for number, voter in enumerate(voters, start=1):
        mine = [score for key, score in stored if key == number]
        assert [score for _, score in voter.acknowledged][-per_rater:] == mine
        assert len({item for item, _ in voter.acknowledged}) == len(voter.acknowledged)
    # nobody was sent back or on: places within each stretch count up one by one
    for voter in voters:
        for (block, place), (next_block, next_place) in zip(
            voter.positions, voter.positions[1:], strict=False
        ):
            assert (next_block, next_place) == (block, place + 1) or next_place == 1
    assert rows(workspace, "SELECT count(*) FROM event WHERE kind = 'conflict'") == [(0,)]


def run_with_kills(
    folder: Path, workspace: Workspace, invites: list[str], kills: int, study: str, url: str = ""
) -> tuple[list[Voter], list[float], float]:
    server = Server(folder, study, url=url)
    server.start()
    voters = [Voter(server.base, invite, seed=number) for number, invite in enumerate(invites)]
    stop = threading.Event()
    done: list[float] = []
    killer = threading.Thread(target=kill_again_and_again, args=(server, voters, kills, 3, stop, done))
    begin = time.monotonic()
    killer.start()
    try:
        vote_all(voters)
    finally:
        stop.set()
        killer.join()
        server.stop()
    return voters, done, time.monotonic() - begin


def test_every_acknowledged_vote_survives_sigkill(tmp_path: Path) -> None:
    """A smaller version of the full run below: 6 raters x 64 votes, killed while they vote."""
    _, workspace = make_study(tmp_path, small_toml(raters=6, images=16, blocks=3, distance=4))
    invites = [practised(workspace, f"r{number:02d}") for number in range(1, 7)]
    voters, kills, _ = run_with_kills(tmp_path, workspace, invites, 3, "small")
    check_after_kills(workspace, voters, 64)
    assert len(kills) >= 1
    assert sum(voter.retries for voter in voters) > 0
    workspace.close()


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_full_paper_run_under_fifty_kills(tmp_path: Path) -> None:
    """26 raters vote the paper's whole design over HTTP while the server is killed 50 times."""
    toml = read_template("paper")[1].replace('controller = ""', 'controller = "x"')
    toml = toml.replace('contact = ""', 'contact = "x"')
    config = parse_study(toml, "paper")
    results = Results(tmp_path)
    fill_store(results, config)
    init_study(results, config, toml, name="paper")
    workspace = open_workspace(results, "paper")
    codes = add_raters(workspace.database, workspace.study, RATERS)
    invites = [practised(workspace, code) for code in codes]
    # half an hour of rating would call for a break: votes come faster than that here
    voters, kills, seconds = run_with_kills(tmp_path, workspace, invites, 50, "paper")
    check_after_kills(workspace, voters, RATINGS_PER_RATER)
    assert len(kills) == 50
    total = rows(
        workspace,
        "SELECT count(*) FROM vote v JOIN presentation p ON p.id = v.presentation_id WHERE p.phase='rating'",
    )
    assert total == [(RATINGS_TOTAL,)]
    print(
        f"{RATINGS_TOTAL} votes, {len(kills)} kills, {sum(voter.retries for voter in voters)} retries, "
        f"{seconds:.0f} s, restart {sum(kills) / len(kills):.1f} s"
    )
    workspace.close()


def load(tmp_path: Path, raters: int, seconds: float) -> list[Voter]:
    # the demo's size of picture: 192 x 192 of noise is 110 kB, about what a photograph of 480 x 320 takes
    _, workspace = make_study(
        tmp_path, small_toml(raters=raters, images=24, blocks=3, distance=4), height=192, width=188
    )
    invites = [practised(workspace, f"r{number:02d}") for number in range(1, raters + 1)]
    with serving(tmp_path, "small", rate=40.0) as server:
        deadline = time.monotonic() + seconds
        voters = [
            Voter(server.base, invite, think_s=3.0, deadline=deadline, seed=number)
            for number, invite in enumerate(invites)
        ]
        vote_all(voters)
    counted = rows(
        workspace,
        "SELECT count(*) FROM vote v JOIN presentation p ON p.id = v.presentation_id WHERE p.phase='rating'",
    )
    assert counted == [(sum(len(voter.acknowledged) for voter in voters),)]
    workspace.close()
    return voters


def summary(voters: list[Voter]) -> dict[str, float]:
    # the first fetches of everyone at once are the crowd coming in, not rating
    votes = [value for voter in voters for value in voter.vote_s]
    images = [value for voter in voters for value in voter.image_s[4:]]
    return {
        "votes": len(votes),
        "vote_p50": 1000 * percentile(votes, 0.5),
        "vote_p95": 1000 * percentile(votes, 0.95),
        "image_p95": 1000 * percentile(images, 0.95),
        "retries": sum(voter.retries for voter in voters),
    }


def test_raters_at_once_lose_nothing(tmp_path: Path) -> None:
    """A smaller version of the load below, without its time limits: other tests run beside this one."""
    voters = load(tmp_path, 20, 6.0)
    assert [voter.errors for voter in voters if voter.errors] == []
    assert all(voter.acknowledged for voter in voters)


@pytest.mark.slow
def test_120_raters_with_three_seconds_to_think(tmp_path: Path) -> None:
    """Vote p95 under 20 ms, next image p95 under 30 ms, no error, rows counted."""
    voters = load(tmp_path, 120, 90.0)
    found = summary(voters)
    print(found, f"load average {os.getloadavg()[0]:.1f}")
    assert [voter.errors for voter in voters if voter.errors] == []
    assert found["votes"] >= 120 * 20
    assert found["vote_p95"] < 20
    assert found["image_p95"] < 30
