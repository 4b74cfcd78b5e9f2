"""The pages without a browser: the rater's way with the plain fallback, and the admin's page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mos_helpers.studies import log_entries, make_study, practised, prepare, small_toml, true_score
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from mos_app.db.credentials import hash_password
from mos_app.db.raters import Registry
from mos_app.db.votes import VoteService
from mos_app.files.workspace import Workspace
from mos_app.web import admin_page, rater_page, service

PAGE = Path(service.__file__).with_name("page.py")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    _, opened = make_study(tmp_path, small_toml(images=6))
    monkeypatch.setenv(service.RESULTS_VARIABLE, str(tmp_path))
    monkeypatch.setenv(service.STUDY_VARIABLE, "small")
    monkeypatch.setenv(service.HASH_VARIABLE, hash_password("a good password"))
    monkeypatch.delenv(service.DATABASE_VARIABLE, raising=False)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def cookies(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the browser would send: AppTest has no cookies of its own."""
    jar: dict[str, str] = {}
    monkeypatch.setattr(rater_page, "current_invite", lambda: jar.get("mos_invite", ""))
    monkeypatch.setattr(admin_page, "admin_session", lambda: jar.get("mos_admin", ""))
    return jar


def open_page(cookies: dict[str, str], invite: str = "", **parameters: str) -> AppTest:
    app = AppTest.from_file(str(PAGE), default_timeout=300)
    cookies["mos_invite"] = invite
    for name, value in parameters.items():
        app.query_params[name] = value
    return app.run()


def press(app: AppTest, key: str) -> None:
    app.button(key=key).click().run()
    assert not app.exception


def wait_a_second(app: AppTest) -> None:
    app.session_state["plain_item"]["at"] -= 1000
    app.run()


def headers(app: AppTest) -> list[str]:
    return [header.value for header in app.header]


def test_without_a_valid_link_nothing_is_shown(workspace: Workspace, cookies: dict[str, str]) -> None:
    assert headers(open_page(cookies)) == ["Welcome", "Willkommen"]
    for invite in ("x", "x" * 32, "' OR 1=1 --"):
        app = open_page(cookies, invite)
        assert headers(app) == ["This link is not valid", "Dieser Link ist nicht gültig"]
        assert not app.button


def test_from_consent_to_thanks_with_plain_buttons_in_german(
    workspace: Workspace, cookies: dict[str, str]
) -> None:
    registry = Registry(workspace.database, workspace.study)
    vote_service = VoteService(workspace.database, workspace.study)
    invite = registry.invite("r01")
    app = open_page(cookies, invite, plain="1")
    app.button_group(key="language_choice").set_value("de").run()
    assert headers(app) == ["Eine kleine Studie"]
    assert app.button(key="consent").disabled
    app.checkbox(key="agreed").check().run()
    press(app, "consent")
    assert headers(app) == ["Drei kurze Fragen"]
    for key, value in (("age", "35-44"), ("vision", "corrected"), ("display", "laptop")):
        assert app.button(key="questions").disabled
        app.radio(key=key).set_value(value).run()
    press(app, "questions")
    # the viewing check measures in the browser: told in its place
    registry.check_viewing(invite, {"patches": 8})
    app.run()
    assert headers(app) == ["Was zu tun ist"]
    press(app, "instructed")
    high = workspace.study.config.calibration.high
    for _ in range(60):
        state = vote_service.state(invite)
        if state.screen.kind == "thanks":
            break
        begin = [button for button in app.button if (button.key or "").startswith("begin-")]
        if begin:
            begin[0].click().run()
            continue
        assert state.current is not None
        page = " ".join(element.value for element in [*app.markdown, *app.caption])
        assert high not in page.split()
        score = state.current.label or (
            true_score(workspace, invite, "check") if state.screen.phase == "check" else 1 + state.place % 5
        )
        wait_a_second(app)
        stale = f"{state.current.item}-{score}"
        press(app, stale)
        assert stale not in {button.key for button in app.button}
    app.run()
    assert headers(app) == ["Vielen Dank!"]
    with workspace.database.read() as connection:
        found = connection.execute(
            text(
                "SELECT count(*), count(DISTINCT presentation_id), min(deviations), max(deviations) "
                "FROM vote v JOIN presentation p ON p.id = v.presentation_id WHERE phase = 'rating'"
            )
        ).one()
        rater = connection.execute(text("SELECT * FROM rater WHERE code = 'r01'")).one()
    assert tuple(found) == (24, 24, "unmeasured", "unmeasured")
    assert (rater.language, rater.consent_version, rater.age_band) == ("de", "7", "35-44")


def test_plain_button_pressed_too_soon_or_twice(workspace: Workspace, cookies: dict[str, str]) -> None:
    invite = practised(workspace, "r01")
    vote_service = VoteService(workspace.database, workspace.study)
    app = open_page(cookies, invite, plain="1")
    press(app, "begin-rating-1-1")
    item = vote_service.state(invite).current
    assert item is not None
    press(app, f"{item.item}-3")  # at once
    assert vote_service.state(invite).done == 0
    assert any("too quick" in caption.value for caption in app.caption)
    wait_a_second(app)
    press(app, f"{item.item}-3")
    assert vote_service.state(invite).done == 1
    # the new image's buttons have other names: the second half of a double click finds nothing to press
    assert not [button for button in app.button if (button.key or "").startswith(item.item)]
    after = vote_service.state(invite).current
    assert after is not None
    press(app, f"undo-{after.item}")
    assert vote_service.state(invite).done == 0


@pytest.mark.parametrize("method", ["pair", "slider"])
def test_plain_pairs_and_sliders(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cookies: dict[str, str]
) -> None:
    toml = small_toml(name=method, calibration=4, more=f'\n[scale]\nmethod = "{method}"\n')
    _, workspace = make_study(tmp_path, toml)
    monkeypatch.setenv(service.RESULTS_VARIABLE, str(tmp_path))
    monkeypatch.setenv(service.STUDY_VARIABLE, method)
    monkeypatch.delenv(service.DATABASE_VARIABLE, raising=False)
    invite = prepare(workspace, "r01")
    vote_service = VoteService(workspace.database, workspace.study)
    app = open_page(cookies, invite, plain="1")
    press(app, "begin-example-1-1")
    item = vote_service.state(invite).current
    assert item is not None
    assert item.label is not None
    wait_a_second(app)
    if method == "pair":
        assert {button.key for button in app.button} >= {f"{item.item}-{score}" for score in (1, 2, 3)}
        assert app.button(key=f"{item.item}-2").disabled  # an example has one answer
        press(app, f"{item.item}-{item.label}")
    else:
        assert app.button(key=f"{item.item}-ok").disabled
        app.number_input(key=f"{item.item}-slider").set_value(50).run()
        press(app, f"{item.item}-ok")
        assert any(f"move the slider into part {item.label}" in caption.value for caption in app.caption)
        app.number_input(key=f"{item.item}-slider").set_value(20 * item.label - 8).run()
        press(app, f"{item.item}-ok")
    with workspace.database.read() as connection:
        (vote,) = connection.execute(text("SELECT score, slider FROM vote"))
    assert tuple(vote) == (item.label, None if method == "pair" else 20 * item.label - 8)
    workspace.close()


def open_admin() -> AppTest:
    def script() -> None:
        from mos_app.web.admin_page import show_admin

        show_admin()

    return AppTest.from_function(script, default_timeout=300).run()


def test_admin_sees_everything_only_with_the_password(workspace: Workspace, cookies: dict[str, str]) -> None:
    invite = practised(workspace, "r01")
    vote_service = VoteService(workspace.database, workspace.study)
    state = vote_service.state(invite)
    assert state.current is not None
    for session in ("", "x" * 32):
        cookies["mos_admin"] = session
        refused = open_admin()
        assert headers(refused) == ["Administration"]
        assert not refused.dataframe
    token = service.current_service().admin.opens("a good password", "10.0.0.1")
    assert isinstance(token, str)
    cookies["mos_admin"] = token
    app = open_admin()
    assert not app.exception
    assert headers(app) == ["Study small"]
    assert app.metric[0].value == "0 of 72"
    # a decision without a reason is refused, one with a reason is logged
    app.selectbox(key="decide_rater").set_value("r02")
    decide = next(button for button in app.button if button.label == "Decide")
    decide.click().run()
    assert app.error
    app.selectbox(key="decide_rater").set_value("r02")
    app.text_input[0].set_value("did not look")
    next(button for button in app.button if button.label == "Decide").click().run()
    entry = log_entries(workspace, 1)[0]
    assert (entry.kind, entry.rater, entry.detail) == ("excluded", "r02", {"reason": "did not look"})
    assert app.metric[3].value == "1"
    service.current_service().admin.close(token)
    assert headers(open_admin()) == ["Administration"]
