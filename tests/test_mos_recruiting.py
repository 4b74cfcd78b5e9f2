"""Open links with quotas, subsets, attention and repeated items, opening and closing."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from mos_helpers.orders import violations
from mos_helpers.serving import serving
from mos_helpers.studies import finish_practice, make_study, small_toml
from sqlalchemy import text
from test_mos_cli import refused, run

from mos_app.db.credentials import UnknownInviteError
from mos_app.db.journal import now_ms
from mos_app.db.raters import Registry
from mos_app.db.studies import add_raters
from mos_app.db.tables import rating_votes, read_answers, read_raters
from mos_app.db.votes import VoteService
from mos_app.files.archive import export_files
from mos_app.files.workspace import Workspace, open_workspace
from mos_app.study.display import Ballot, DisplayRecord
from mos_app.study.order import Item, rater_items, study_order, subset_images
from mos_app.study.progress import Kind
from mos_app.study.quality import rater_quality
from mos_app.study.studyfile import parse_study
from repro.core.errors import UserError
from repro.core.paths import Results

MORE = """
[subset]
images = { Set5 = 3 }

[repeats]
count = 2
minimum_distance = 4

[attention]
count = 2

[recruiting]
quota = 3
dropout_hours = 1
completion_code = "C1 2/3"
completion_url = "https://panel.example/done?cc={code}"
"""
TOML = small_toml(raters=1, images=7, blocks=2, distance=2, calibration=4, check_items=4, more=MORE).replace(
    "[title]", "closing_comment = true\n\n[title]"
)
HOUR = 3_600_000


class Clock:
    def __init__(self) -> None:
        self.now = now_ms()

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    _, opened = make_study(tmp_path, TOML)
    yield opened
    opened.close()


def start(registry: Registry, invite: str) -> None:
    registry.consent(invite, "en")
    registry.answer_questions(invite, "25-34", "corrected", "desktop")
    registry.check_viewing(invite, {"patches": 8})
    registry.instructed(invite)


def rate_all(workspace: Workspace, invite: str, clock: Clock, score: int = 3) -> None:
    finish_practice(workspace, invite)
    vote_service = VoteService(workspace.database, workspace.study, clock)
    state = vote_service.state(invite)
    while state.current is not None:
        clock.now += 1000
        press = Ballot(
            item=state.current.item,
            nonce=f"{state.done:04d}{invite[:20]}",
            score=score,
            response_ms=900,
            display=DisplayRecord(surface="plain"),
        )
        assert vote_service.vote(invite, press).verdict == "saved"
        state = vote_service.state(invite)


def test_subsets_cover_the_images_evenly() -> None:
    config = parse_study(TOML, "x")
    images = [f"img_{k:03d}" for k in range(1, 8)]
    seen: Counter[str] = Counter()
    for form in range(40):
        hand = subset_images(config, "Set5", images, form)
        assert len(set(hand)) == 3
        seen.update(hand)
        assert max(seen[name] for name in images) - min(seen[name] for name in images) <= 1
    assert subset_images(config, "other", images, 5) == images


def test_a_raters_items_keep_every_guarantee() -> None:
    config = parse_study(TOML, "x")
    design = [
        Item("Set5", f"img_{k:03d}", method)
        for k in range(1, 8)
        for method in ("nearest", "bicubic", "SRGAN-VGG54", "HR")
    ]
    calibration = [f"cal_{k:03d}" for k in range(1, 5)]
    attention = set()
    for rater in range(1, 30):
        items = rater_items(config, design, calibration, rater=rater, form=rater - 1)
        assert len(items) == 3 * 4 + 2 + 2
        assert sum(item.repeat for item in items) == 2
        placed = study_order(config, items, rater)
        assert violations(placed, items, blocks=2, minimum_distance=2, repeat_distance=4) == []
        attention |= {item for item in items if item.dataset == "BSD300-calibration"}
    assert {item.method for item in attention} == {"nearest", "HR"}


def test_attention_items_are_no_votes_but_are_judged(workspace: Workspace) -> None:
    clock = Clock()
    registry = Registry(workspace.database, workspace.study, clock)
    invite = registry.join("p1")
    assert invite is not None
    start(registry, invite)
    rate_all(workspace, invite, clock, score=3)
    registry.comment(invite, " too many birds ")
    answers = read_answers(workspace.database)
    votes, attention = rating_votes(answers, workspace.study.config)
    assert (len(votes), len(attention)) == (14, 2)
    table = rater_quality(votes, workspace.study.per_rater, workspace.study.config, attention)
    assert table["done"].tolist() == [1.0]
    assert "attention" in table["warnings"][0].split(", ")
    files = export_files(workspace.database, workspace.study)
    assert b"BSD300-calibration" not in files["ratings.csv"]
    assert files["calibration.csv"].count(b",attention,") == 2
    assert b"too many birds" in files["raters.csv"]
    assert not any(b"p1" in line.split(b",") for data in files.values() for line in data.splitlines())


def test_the_quota_holds_and_dropouts_are_replaced(workspace: Workspace) -> None:
    clock = Clock()
    registry = Registry(workspace.database, workspace.study, clock)
    first = registry.join("p1")
    assert first is not None
    # the same participant is the same rater, on any visit
    again = registry.join("p1")
    assert again is not None
    vote_service = VoteService(workspace.database, workspace.study, clock)
    assert vote_service.state(first).code == vote_service.state(again).code
    start(registry, first)
    rate_all(workspace, first, clock)
    assert vote_service.state(first).screen.kind == Kind.THANKS
    dropout = registry.join("p2")
    assert dropout is not None
    clock.now += 30 * 60_000
    assert registry.join("p3") is not None
    assert registry.join("p4") is None  # one through, two at it
    clock.now += 40 * 60_000
    assert registry.join("p4") is not None  # p2 has dropped out
    states = {participant: state for participant, _, state in registry.panel()}
    assert states == {"p1": "completed", "p2": "dropped out", "p3": "at it", "p4": "at it"}
    with pytest.raises(UnknownInviteError):  # or both would go on, above the quota
        vote_service.state(dropout)
    # who dropped out and was replaced comes too late; who is through gets to the thanks
    assert registry.join("p2") is None
    assert registry.join("p1") is not None
    # the replacement has the subset of the one who dropped out, or the smallest that is free
    raters = read_raters(workspace.database).set_index("code")
    assert raters.loc["r05", "form"] == raters.loc["r03", "form"]
    assert len(set(raters["form"].drop("r03"))) == 4
    clock.now += 2 * HOUR
    registry.exclude("r02", "random answers", "admin")
    assert registry.join("p5") is not None


def test_who_comes_back_takes_the_place_of_another_dropout(workspace: Workspace) -> None:
    clock = Clock()
    registry = Registry(workspace.database, workspace.study, clock)
    vote_service = VoteService(workspace.database, workspace.study, clock)
    tokens = {}
    for minute, participant in ((0, "a"), (90, "b"), (0, "c"), (0, "d"), (90, "b"), (0, "c"), (0, "a")):
        clock.now += minute * 60_000
        tokens[participant] = registry.join(participant)
    assert all(tokens.values())  # d has a's place since a was silent; now a has that of d, who is silent
    for participant, token in tokens.items():
        assert token is not None
        if participant == "d":
            with pytest.raises(UnknownInviteError):
                vote_service.state(token)
        else:
            assert vote_service.state(token).screen.kind == Kind.CONSENT


def test_a_crowd_at_the_open_link_does_not_pass_the_quota(workspace: Workspace) -> None:
    registry = Registry(workspace.database, workspace.study)
    with ThreadPoolExecutor(12) as pool:
        tokens = list(pool.map(registry.join, [f"p{k}" for k in range(12)]))
    assert sum(token is not None for token in tokens) == 3


def test_the_open_link_over_http(tmp_path: Path) -> None:
    _, workspace = make_study(tmp_path, TOML)
    workspace.close()
    with serving(tmp_path, "small") as server, httpx.Client(base_url=server.base) as client:
        assert client.get("/mos/join").status_code == 400
        assert client.get("/mos/join?PROLIFIC_PID=" + "x" * 101).status_code == 400
        joined = client.get("/mos/join?PROLIFIC_PID=5f1a&STUDY_ID=9")
        assert (joined.status_code, joined.headers["location"]) == (303, "/")
        assert client.get("/mos/state").json()["state"]["key"] == "consent"  # the cookie opens it
        for participant in ("b", "c"):
            assert httpx.get(f"{server.base}/mos/join?PROLIFIC_PID={participant}").status_code == 303
        full = httpx.get(f"{server.base}/mos/join?PROLIFIC_PID=d")
        assert full.status_code == 200
        assert "All places of this study are taken" in full.text


def test_closing_and_dates(workspace: Workspace) -> None:
    clock = Clock()
    registry = Registry(workspace.database, workspace.study, clock)
    vote_service = VoteService(workspace.database, workspace.study, clock)
    invite = registry.join("p1")
    assert invite is not None
    registry.close(True, "command")
    assert vote_service.state(invite).screen.kind == Kind.CLOSED
    assert registry.join("p2") is None
    registry.close(False, "command")
    assert vote_service.state(invite).screen.kind == Kind.CONSENT
    dates = """
[schedule]
opens = 2023-11-14T00:00:00Z
closes = 2023-11-16T00:00:00+01:00
"""
    study = replace(workspace.study, config=parse_study(TOML + dates, "x"))
    timed = VoteService(workspace.database, study, clock)
    for at, kind in ((1_699_919_000_000, Kind.CLOSED), (1_699_930_000_000, Kind.CONSENT)):
        clock.now = at
        assert timed.state(invite).screen.kind == kind
    clock.now = 1_700_089_200_000  # 2023-11-15 23:00 UTC: the first moment that is too late
    assert timed.state(invite).screen.kind == Kind.CLOSED
    with pytest.raises(UserError, match="opens"):
        parse_study(TOML + dates.replace("T00:00:00Z", "T00:00:00"), "x")


def test_close_remove_renew_and_sheets_by_command(tmp_path: Path) -> None:
    make_study(tmp_path / "results", TOML)[1].close()
    first = run(tmp_path, "invite").stdout.splitlines()[1]
    renewed = run(tmp_path, "invite", "--renew", "--sheet", "sheet.html").stdout.splitlines()
    assert len(renewed) == 2
    with open_workspace(Results(tmp_path / "results"), "small") as opened:
        knows = VoteService(opened.database, opened.study).knows
        assert [knows(line.partition("#")[2]) for line in (first, renewed[1])] == [False, True]
    sheet = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    assert sheet.count("<svg") == 1
    assert renewed[1].partition(",")[2] in sheet
    assert (tmp_path / "sheet.html").stat().st_mode & 0o777 == 0o600
    assert "is closed" in run(tmp_path, "close").stdout
    assert "is open" in run(tmp_path, "close", "--reopen").stdout
    assert list(csv.reader(run(tmp_path, "panel").stdout.splitlines())) == [["participant", "rater", "state"]]
    assert "no study 'x'" in refused(tmp_path, "remove", "--study", "x")
    assert run(tmp_path, "remove", "--study", "small", "--yes").code == 0
    assert not (tmp_path / "results/studies/small").exists()


def test_an_added_rater_gets_the_next_form(workspace: Workspace) -> None:
    add_raters(workspace.database, workspace.study, 1)
    with workspace.database.read() as connection:
        forms = connection.execute(text("SELECT form FROM rater ORDER BY number")).scalars().all()
    assert forms == [0, 1]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("Set5 = 3", "Set5 = 8", "subset: Set5 has 7 images"),
        ("Set5 = 3", "Set14 = 3", "subset: Set14 has 0 images"),
        ("[attention]\ncount = 2", "[attention]\ncount = 5", "attention: 5 items, 4 images"),
        ("https://panel", "http://panel", "completion_url"),
        ("quota = 3", "quota = 0", "quota"),
    ],
)
def test_impossible_designs_are_refused(old: str, new: str, told: str) -> None:
    assert old in TOML
    with pytest.raises(UserError) as refused_file:
        parse_study(TOML.replace(old, new), "x")
    assert told in refused_file.value.got
