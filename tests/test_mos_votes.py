"""The vote service: exactly once, in order, resumable, with every refusal logged; on both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from mos_helpers.databases import new_database, postgres  # noqa: F401
from mos_helpers.studies import finish_practice, log_entries, make_study, practised, prepare, small_toml
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from mos_app.db.credentials import UnknownInviteError
from mos_app.db.engine import Database, sqlite_url
from mos_app.db.raters import Registry
from mos_app.db.studies import add_raters
from mos_app.db.tables import read_events
from mos_app.db.votes import VoteService
from mos_app.files.workspace import Workspace
from mos_app.study.display import Ballot, DisplayRecord, deviations
from mos_app.study.parts import WithdrawalPart
from mos_app.study.progress import Kind, Phase
from repro.core.errors import UserError

GOOD = DisplayRecord(
    surface="stage",
    pixel_ratio=1.25,
    rect_left=10.0,
    rect_top=20.02,
    rect_width=32.0,
    rect_height=20.01,
    zoom=1.0,
    window_width=1280,
    window_height=720,
    screen_width=1536,
    screen_height=864,
    hidden=False,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000_000

    def __call__(self) -> int:
        self.now += 1
        return self.now


# beside the other tests of PostgreSQL: one server for all of them
SERVER = [pytest.mark.postgres, pytest.mark.xdist_group("mos_server")]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=SERVER)])
def url(request: pytest.FixtureRequest) -> str | None:
    if request.param == "sqlite":
        return None
    return new_database(request.getfixturevalue("postgres"))


@pytest.fixture
def workspace(tmp_path: Path, url: str | None) -> Iterator[Workspace]:
    _, opened = make_study(tmp_path, small_toml(), url=url)
    yield opened
    opened.close()


def ballot(item: str, nonce: str, score: int = 3, response_ms: int = 900) -> Ballot:
    return Ballot(item=item, nonce=nonce.ljust(16, "x"), score=score, response_ms=response_ms, display=GOOD)


def count(workspace: Workspace, table: str, where: str = "1=1") -> int:
    with workspace.database.read() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table} WHERE {where}")).scalar_one())


def test_a_key_press_counts_once_however_often_it_is_delivered(workspace: Workspace) -> None:
    vote_service = VoteService(workspace.database, workspace.study)
    invite = practised(workspace, "r01")
    before = count(workspace, "vote")
    first = vote_service.state(invite)
    assert first.current is not None
    press = ballot(first.current.item, "one", 4)
    assert vote_service.vote(invite, press).verdict == "saved"
    again = vote_service.vote(invite, press)
    assert again.verdict == "repeated"
    assert again.state.place == 2
    # the same image, another key press: refused, logged, and the answer says where the rater is
    other = vote_service.vote(invite, ballot(first.current.item, "two", 1))
    assert other.verdict == "conflict"
    assert other.state == again.state
    # the same press with another score is no repetition
    assert vote_service.vote(invite, ballot(first.current.item, "one", 2)).verdict == "conflict"
    assert count(workspace, "vote") == before + 1
    assert count(workspace, "event", "kind = 'conflict'") == 2


def test_fifty_threads_with_different_answers_give_one_vote(workspace: Workspace) -> None:
    vote_service = VoteService(workspace.database, workspace.study)
    invite = practised(workspace, "r01")
    before = count(workspace, "vote")
    item = vote_service.state(invite).current
    assert item is not None
    barrier = threading.Barrier(50)

    def press(number: int) -> str:
        barrier.wait()
        return vote_service.vote(invite, ballot(item.item, f"thread{number}", 1 + number % 5)).verdict

    with ThreadPoolExecutor(50) as pool:
        verdicts = list(pool.map(press, range(50)))
    assert sorted(verdicts) == ["conflict"] * 49 + ["saved"]
    assert count(workspace, "vote") == before + 1


def test_nobody_answers_for_another_or_ahead(workspace: Workspace) -> None:
    vote_service = VoteService(workspace.database, workspace.study)
    one, two = practised(workspace, "r01"), practised(workspace, "r02")
    mine, theirs = vote_service.state(one), vote_service.state(two)
    assert mine.current is not None
    assert theirs.current is not None
    assert vote_service.vote(one, ballot(theirs.current.item, "a")).verdict == "conflict"
    assert vote_service.vote(one, ballot(mine.upcoming[0].item, "b")).verdict == "conflict"
    assert vote_service.stimulus(one, theirs.current.image) is None
    names = {mine.current.image, *(item.image for item in mine.upcoming)}
    assert len(names) == 4
    assert names.isdisjoint({theirs.current.image, *(item.image for item in theirs.upcoming)})
    assert all(len(vote_service.stimulus(one, name) or "") == 64 for name in names)
    for guess in ("", "../../study", "x" * 22, mine.current.item):
        assert vote_service.stimulus(one, guess) is None
    with pytest.raises(UnknownInviteError):
        vote_service.state("x" * 32)


def test_early_answers_and_wrong_labels_do_not_count(workspace: Workspace) -> None:
    vote_service = VoteService(workspace.database, workspace.study)
    invite = prepare(workspace, "r01")
    state = vote_service.state(invite)
    assert state.screen.phase == Phase.EXAMPLE
    assert state.current is not None
    assert state.current.label in (1, 5)
    assert vote_service.vote(invite, ballot(state.current.item, "a", 3)).verdict == "label"
    early = ballot(state.current.item, "b", state.current.label or 1, 299)
    assert vote_service.vote(invite, early).verdict == "early"
    assert count(workspace, "vote") == 0


def test_undo_is_logged_once_and_kills_the_old_names(workspace: Workspace) -> None:
    vote_service = VoteService(workspace.database, workspace.study)
    invite = practised(workspace, "r01")
    before = count(workspace, "vote")
    start = vote_service.state(invite)
    assert start.current is not None
    assert vote_service.undo(invite, start.current.item).verdict == "nothing"  # practice is not taken back
    press = ballot(start.current.item, "first", 2)
    after = vote_service.vote(invite, press).state
    assert after.can_undo
    assert after.current is not None
    back = vote_service.undo(invite, after.current.item)
    assert back.verdict == "saved"
    assert back.state.place == 1
    assert back.state.current is not None
    assert back.state.current.item != start.current.item
    assert not back.state.can_undo
    # neither the undo nor the old vote can come again
    assert vote_service.undo(invite, after.current.item).verdict == "nothing"
    assert vote_service.vote(invite, press).verdict == "conflict"
    assert vote_service.vote(invite, ballot(back.state.current.item, "second", 5)).verdict == "saved"
    assert count(workspace, "vote") == before + 1
    assert count(workspace, "withdrawn_vote", "score = 2") == 1
    assert count(workspace, "event", "kind = 'undo'") == 1


def answer_all(vote_service: VoteService, invite: str, until: int) -> None:
    state = vote_service.state(invite)
    while state.current is not None and state.done < until:
        state = vote_service.vote(invite, ballot(state.current.item, f"n{state.done}-{invite[:8]}")).state
        if state.current is None:
            state = vote_service.state(invite)


def test_the_whole_design_once_and_then_thanks(workspace: Workspace) -> None:
    vote_service = VoteService(workspace.database, workspace.study)
    invite = practised(workspace, "r01")
    answer_all(vote_service, invite, 24)
    assert vote_service.state(invite).screen.kind == Kind.THANKS
    assert count(workspace, "vote v JOIN presentation p ON p.id = v.presentation_id", "phase='rating'") == 24


def test_a_break_is_enforced_after_thirty_minutes(workspace: Workspace) -> None:
    clock = Clock()
    vote_service = VoteService(workspace.database, workspace.study, clock)
    registry = Registry(workspace.database, workspace.study, clock)
    invite = registry.invite("r01")
    registry.consent(invite, "de")
    registry.answer_questions(invite, "65+", "impaired", "laptop")
    registry.check_viewing(invite, {"patches": 8})
    registry.instructed(invite)
    with workspace.database.write() as connection:
        # practice has tests of its own
        connection.execute(text("DELETE FROM presentation WHERE phase <> 'rating'"))
    state = vote_service.state(invite)
    for minute in range(31):
        assert state.current is not None
        state = vote_service.vote(invite, ballot(state.current.item, f"minute{minute}")).state
        if state.screen.kind == Kind.BREAK or minute > 12:
            break
        clock.now += 3 * 60_000
    assert state.screen.kind == Kind.BREAK
    assert state.done == 11
    clock.now += 4 * 60_000
    assert vote_service.state(invite).screen.kind == Kind.BREAK
    clock.now += 60_000
    assert vote_service.state(invite).screen.kind == Kind.STAGE


def test_after_twelve_hours_instructions_and_unscored_warmups(workspace: Workspace) -> None:
    clock = Clock()
    vote_service = VoteService(workspace.database, workspace.study, clock)
    registry = Registry(workspace.database, workspace.study, clock)
    invite = practised(workspace, "r01")
    clock.now = max(
        clock.now, VoteService(workspace.database, workspace.study).state(invite).last_answer_ms or 0
    )
    warmups = min(workspace.study.config.resume.warmups, 4)
    for pause in (1, 2):  # a study of hours takes days
        answer_all(vote_service, invite, 3 * pause)
        clock.now += 12 * 3_600_000 + 60_000
        assert vote_service.state(invite).screen.kind == Kind.VIEWING
        registry.check_viewing(invite, {"patches": 8})
        assert vote_service.state(invite).screen.kind == Kind.INSTRUCTIONS
        registry.instructed(invite)
        state = vote_service.state(invite)
        for number in range(warmups):
            assert (state.screen.phase, state.screen.attempt) == (Phase.WARMUP, pause)
            assert state.current is not None
            state = vote_service.vote(invite, ballot(state.current.item, f"warm{pause}{number}")).state
        state = vote_service.state(invite)
        assert state.screen.phase == Phase.RATING
        assert state.done == 3 * pause
        ratings = count(workspace, "vote v JOIN presentation p ON p.id = v.presentation_id", "phase='rating'")
        assert ratings == 3 * pause


def test_a_failed_check_is_retried_once_then_flagged(workspace: Workspace) -> None:
    vote_service = VoteService(workspace.database, workspace.study)
    invite = prepare(workspace, "r01")
    for attempt in (1, 2):
        state = vote_service.state(invite)
        while state.screen.kind == Kind.STAGE and state.screen.phase != Phase.RATING:
            assert state.current is not None
            score = state.current.label or 3
            nonce = f"{attempt}{state.screen.phase}{state.place}"
            state = vote_service.vote(invite, ballot(state.current.item, nonce, score)).state
        if attempt == 1:
            assert state.screen.kind == Kind.RETRY
            vote_service.retry_check(invite)
    assert vote_service.state(invite).screen.phase == Phase.RATING
    assert count(workspace, "rater", "flagged") == 1
    assert count(workspace, "event", "kind = 'check_failed'") == 2
    good = practised(workspace, "r02")
    assert vote_service.state(good).screen.phase == Phase.RATING
    assert count(workspace, "rater", "flagged") == 1


def test_a_second_tab_on_the_retry_page_skips_no_attempt(workspace: Workspace) -> None:
    calibration = workspace.study.config.calibration.model_copy(update={"attempts": 3})
    config = workspace.study.config.model_copy(update={"calibration": calibration})
    study = replace(workspace.study, config=config)
    code = add_raters(workspace.database, study, 1)[0]
    vote_service = VoteService(workspace.database, study)
    invite = prepare(workspace, code)
    state = vote_service.state(invite)
    while state.current is not None:
        nonce = f"{state.screen.phase}{state.place}"
        state = vote_service.vote(invite, ballot(state.current.item, nonce, state.current.label or 3)).state
    assert state.screen.kind == Kind.RETRY
    vote_service.retry_check(invite)
    vote_service.retry_check(invite)  # the other tab's button, or the second click of two
    state = vote_service.state(invite)
    assert (state.screen.phase, state.screen.attempt, state.place) == (Phase.CHECK, 2, 1)
    finish_practice(workspace, invite)
    vote_service.retry_check(invite)  # the other tab, long after this one passed
    assert vote_service.state(invite).screen.phase == Phase.RATING


def test_two_tabs_read_the_instructions_again_at_once(workspace: Workspace) -> None:
    """Both come back after a long pause: one set of warm-ups, no error for either."""
    invite = practised(workspace, "r01")
    answer_all(VoteService(workspace.database, workspace.study), invite, 1)
    registry = Registry(workspace.database, workspace.study)
    together = threading.Barrier(4)

    def read() -> None:
        together.wait()
        registry.instructed(invite)

    with ThreadPoolExecutor(4) as tabs:
        for done in [tabs.submit(read) for _ in range(4)]:
            done.result()
    warmups = min(workspace.study.config.resume.warmups, 4)
    assert count(workspace, "presentation", "phase = 'warmup'") == warmups


def test_the_database_refuses_wrong_states(workspace: Workspace) -> None:
    invite = practised(workspace, "r01")
    answer_all(VoteService(workspace.database, workspace.study), invite, 1)
    with workspace.database.read() as connection:
        taken = connection.execute(text("SELECT max(presentation_id) FROM vote")).scalar_one()
        free = connection.execute(
            text("SELECT max(id) FROM presentation WHERE id NOT IN (SELECT presentation_id FROM vote)")
        ).scalar_one()
    vote = (
        "INSERT INTO vote (presentation_id, score, showing, nonce, response_ms, answered_ms, surface, "
        "deviations) VALUES ({}, {}, 1, 'n', {}, 1, 'stage', '')"
    )
    for statement in (
        vote.format(taken, 3, 500),
        vote.format(free, 0, 500),
        vote.format(free, 6, 500),
        vote.format(free, 3, -1),
        vote.format(10**8, 3, 500),
        "UPDATE vote SET score = 5",
        "DELETE FROM vote",
        "UPDATE event SET kind = 'nothing'",
        "DELETE FROM event",
        "UPDATE presentation SET phase = 'other'",
        "UPDATE presentation SET position = 1",
        "INSERT INTO event (at_ms, actor, kind, detail) VALUES (1, 'nobody', 'x', '{}')",
        f"DELETE FROM presentation WHERE id = {taken}",
    ):
        with pytest.raises(DBAPIError), workspace.database.write() as connection:
            connection.execute(text(statement))
    # and a good vote is taken
    with workspace.database.write() as connection:
        connection.execute(text(vote.format(free, 3, 500)))


def test_a_reader_sees_one_state(workspace: Workspace) -> None:
    invite = practised(workspace, "r01")
    with workspace.database.read() as connection:
        counted = text("SELECT count(*) FROM vote")
        before = connection.execute(counted).scalar_one()
        answer_all(VoteService(workspace.database, workspace.study), invite, 2)
        assert connection.execute(counted).scalar_one() == before
    assert count(workspace, "vote") == before + 2


@pytest.mark.parametrize("votes", ["delete", "anonymise"])
def test_who_withdraws_leaves_only_the_event(workspace: Workspace, votes: str) -> None:
    part = WithdrawalPart(votes=votes)  # type: ignore[arg-type]
    study = replace(workspace.study, config=workspace.study.config.model_copy(update={"withdrawal": part}))
    registry = Registry(workspace.database, study)
    vote_service = VoteService(workspace.database, study)
    invite, other = practised(workspace, "r01"), practised(workspace, "r02")
    answer_all(vote_service, invite, 3)
    after = vote_service.state(invite).current
    assert after is not None
    vote_service.undo(invite, after.item)
    answer_all(vote_service, other, 2)
    kept = count(workspace, "vote")
    mine = count(workspace, "vote v JOIN presentation p ON p.id = v.presentation_id", "p.rater_id = 1")
    rules = {"minimum_squares": 8, "refuse": []}
    viewing = study.config.viewing.model_copy(update=rules)
    strict = replace(study, config=study.config.model_copy(update={"viewing": viewing}))
    assert Registry(workspace.database, strict).check_viewing(invite, {"patches": 2}) == []
    assert count(workspace, "viewing_session", "problems = 'squares' AND rater_id = 1") == 1
    registry.withdraw(invite)
    assert count(workspace, "viewing_session", "rater_id = 1") == 0
    assert count(workspace, "event", "detail LIKE '%squares%'") == 0  # the log stays: it tells of no eyes
    with pytest.raises(UnknownInviteError):
        vote_service.state(invite)
    with pytest.raises(UnknownInviteError):
        registry.withdraw(invite)
    gone = mine if votes == "delete" else 0
    assert count(workspace, "vote") == kept - gone
    assert count(workspace, "withdrawn_vote") == (0 if gone else 1)
    with workspace.database.read() as connection:
        rater = connection.execute(text("SELECT * FROM rater WHERE erased_ms IS NOT NULL")).one()
    assert (rater.age_band, rater.vision, rater.display, rater.viewing, rater.language) == ("",) * 5
    assert rater.consent_sha256 == ""  # one for each language
    assert count(workspace, "event", "detail LIKE '%\"language\"%'") == 0
    log_of = read_events(workspace.database)
    # the order in which raters were added would tell which one this was
    assert list(log_of.loc[log_of["rater"] == rater.code, "kind"]) == ["erased"]
    assert "r02" in set(log_of["rater"])
    assert rater.consent_ms is None
    assert (rater.code == "r01") == (votes == "delete")
    assert (rater.number == 1) == (votes == "delete")
    entry = log_entries(workspace, 1)[0]
    assert (entry.kind, entry.rater, entry.detail["votes"]) == ("erased", rater.code, votes)
    with pytest.raises(UserError, match="already" if votes == "delete" else "no rater 'r01'"):
        registry.erase("r01", "command")
    # neither does the old link lead to what is left, nor is anybody let in to it again
    assert count(workspace, "invite", f"rater_id = {rater.id}") == 0
    assert rater.code not in {*registry.codes(), *registry.uninvited(), *registry.not_begun()}
    with pytest.raises(UserError, match="withdrew"):
        registry.invite(rater.code)
    # nobody else's votes can go that way
    with pytest.raises(DBAPIError), workspace.database.write() as connection:
        connection.execute(
            text("DELETE FROM vote WHERE presentation_id IN (SELECT id FROM presentation WHERE rater_id = 2)")
        )
    assert vote_service.state(other).done == 2


def test_response_times_are_checked_against_the_servers_clock(workspace: Workspace) -> None:
    clock = Clock()
    vote_service = VoteService(workspace.database, workspace.study, clock)
    invite = practised(workspace, "r01")
    clock.now = vote_service.state(invite).last_answer_ms or 0
    for waited, said in ((5000, 4900), (1000, 2900), (1000, 3200), (60_000, 400)):
        clock.now += waited
        item = vote_service.state(invite).current
        assert item is not None
        press = ballot(item.item, f"clock{waited}{said}", response_ms=said)
        assert vote_service.vote(invite, press).verdict == "saved"
    with workspace.database.read() as connection:
        found = connection.execute(
            text(
                "SELECT v.deviations FROM vote v JOIN presentation p ON p.id = v.presentation_id "
                "WHERE p.phase = 'rating' ORDER BY p.position"
            )
        ).scalars()
        assert ["clock" in text.split() for text in found] == [False, False, True, False]


def test_invites_are_hashed_revocable_and_many(workspace: Workspace) -> None:
    registry = Registry(workspace.database, workspace.study)
    vote_service = VoteService(workspace.database, workspace.study)
    one, two = registry.invite("r01"), registry.invite("r01")
    assert len(one) >= 32
    assert one != two
    assert vote_service.state(one).code == vote_service.state(two).code == "r01"
    with workspace.database.read() as connection:
        stored = [str(row) for row in connection.execute(text("SELECT * FROM invite")).all()]
    assert not any(one in row or two in row for row in stored)
    assert registry.revoke("r01") == 2
    for token in (one, two):
        with pytest.raises(UnknownInviteError):
            vote_service.state(token)
    assert vote_service.state(registry.invite("r01")).code == "r01"
    with pytest.raises(UserError, match="no rater"):
        registry.invite("r99")


def test_exclusion_is_logged_and_reversible(workspace: Workspace) -> None:
    registry = Registry(workspace.database, workspace.study)
    registry.exclude("r02", "fell asleep", "admin")
    assert count(workspace, "rater", "excluded") == 1
    with pytest.raises(UserError):
        registry.exclude("r02", "again", "admin")
    with pytest.raises(UserError):
        registry.include("r02", "  ", "admin")
    registry.include("r02", "was awake after all", "admin")
    assert count(workspace, "rater", "excluded") == 0
    reasons = [entry.detail["reason"] for entry in log_entries(workspace, 2)]
    assert reasons == ["was awake after all", "fell asleep"]


def test_schema_is_migrated_exactly_to_the_models(workspace: Workspace) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from mos_app.db.models import Base

    with workspace.database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    workspace.database.migrate()  # again: nothing to do
    workspace.database.require_current_schema()
    with workspace.database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    with pytest.raises(UserError, match="schema 0000"):
        workspace.database.require_current_schema()


def test_sqlite_is_durable_and_locks_at_once(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "x.db"))
    database.migrate()
    with database.read() as connection:
        pragmas = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert pragmas == ["wal", 2, 1]
    other = Database(database.url)
    # two processes read, then write: neither fails with "database is locked", both writes are kept
    done: list[int] = []

    def add(source: Database) -> None:
        for _ in range(50):
            with source.write() as connection:
                found = connection.exec_driver_sql("SELECT count(*) FROM event").scalar_one()
                connection.exec_driver_sql(
                    "INSERT INTO event (at_ms, actor, kind, detail) VALUES (?, 'server', 'n', '{}')", (found,)
                )
                done.append(int(found))

    threads = [threading.Thread(target=add, args=(source,)) for source in (database, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == list(range(100))
    database.dispose()
    other.dispose()


def test_unusable_urls_are_refused_without_repeating_them() -> None:
    for bad in ("nonsense", "nosuch://user:geheim@host/x"):
        with pytest.raises(UserError) as refused:
            Database(bad)
        assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"rect_width": 40.0, "rect_height": 25.0}, ["scaled"]),
        ({"rect_left": 10.5}, ["offgrid"]),
        ({"zoom": 1.5}, ["zoomed"]),
        ({"hidden": True}, ["hidden"]),
        ({"rect_top": 890.0}, ["cropped"]),
        ({"surface": "plain"}, ["unmeasured"]),
        ({"pixel_ratio": None}, ["unmeasured"]),
        ({"pixel_ratio": 3.0, "window_width": 400}, ["dense"]),
        ({"pixel_ratio": 2.0}, []),
        ({"exposures": 2}, ["flashed"]),
        ({"pixel_ratio": 3.0, "magnification": 3, "rect_width": 96.0, "rect_height": 60.0}, []),
        ({"pixel_ratio": 3.0, "magnification": 3}, ["scaled"]),
    ],
)
def test_deviations_are_named(change: dict[str, object], expected: list[str]) -> None:
    assert deviations(GOOD.model_copy(update=change), 32, 20, magnification=3) == expected


def test_magnification_needs_the_studys_leave() -> None:
    record = GOOD.model_copy(update={"magnification": 2, "rect_width": 64.0, "rect_height": 40.0})
    assert deviations(record, 32, 20) == ["scaled"]
    assert deviations(record, 32, 20, magnification=2) == []


def test_practice_is_finished_by_the_book(workspace: Workspace) -> None:
    invite = prepare(workspace, "r03")
    finish_practice(workspace, invite)
    assert count(workspace, "event", "kind = 'check_passed'") == 1
