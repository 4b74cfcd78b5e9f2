"""The pages around the stage in real Chromium: viewing check, full screen, withdrawal, right to left."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from mos_helpers.browsing import (
    GREY,
    begin,
    chromium,
    click_button,
    rest,
    see_all_patches,
    settle,
    wait_armed,
    walk_to_viewing,
)
from mos_helpers.serving import serving
from mos_helpers.studies import make_study, practised, small_toml
from playwright.sync_api import Page, Playwright, Route, expect
from sqlalchemy import text
from test_mos_study import arabic

from mos_app.db.raters import Registry
from mos_app.db.votes import VoteService
from mos_app.files.workspace import Workspace
from mos_app.study.display import Ballot, DisplayRecord

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("mos_browser")]

VIEWING = """
[viewing]
card = true
blind_spot = true
pixels_per_degree = [1, 500]
"""


def one(workspace: Workspace, query: str) -> object:
    with workspace.database.read() as connection:
        return connection.execute(text(query)).scalar_one()


def tell_distance(page: Page, centimetres: int) -> None:
    """Types the viewing distance, once nothing that was told before is on its way."""
    rest(page)
    field = page.get_by_role("spinbutton")
    field.fill(str(centimetres))
    field.press("Enter")


def set_card(page: Page, width: int) -> None:
    """Moves the card's slider as a hand would: input on the way, change at the end."""
    rest(page)
    slider = page.get_by_role("slider", name="Hold a bank card")
    slider.focus()
    slider.evaluate(
        """(element, width) => {
          element.value = width;
          element.dispatchEvent(new Event('input', { bubbles: true }));
          element.dispatchEvent(new Event('change', { bubbles: true }));
        }""",
        width,
    )


def catch_the_dot(page: Page, offset: float) -> None:
    """Presses the space bar in the frame in which the dot has come so far (CSS pixels)."""
    page.evaluate(
        """(offset) => new Promise((resolve) => {
          const dot = [...document.querySelectorAll('[data-testid="stBidiComponentIsolated"]')]
            .map((e) => e.shadowRoot?.querySelector('.dot')).find(Boolean);
          const look = () => {
            if (dot.hidden || !(parseFloat(dot.style.right) - 20 >= offset)) {
              requestAnimationFrame(look);
              return;
            }
            window.dispatchEvent(new KeyboardEvent('keydown', { key: ' ', bubbles: true }));
            resolve();
          };
          look();
        })""",
        offset,
    )


def test_card_blind_spot_and_full_screen(playwright: Playwright, tmp_path: Path) -> None:
    """A window that is too small, full screen by its button, the card, the blind spot three times."""
    toml = small_toml(raters=1, more=VIEWING)
    _, workspace = make_study(tmp_path / "study", toml, height=420, width=500)
    invite = Registry(workspace.database, workspace.study).invite("r01")
    with (
        serving(tmp_path / "study", "small") as server,
        chromium(playwright, tmp_path / "profile", width=700, height=440) as context,
    ):
        page = context.new_page()
        walk_to_viewing(page, server.base, invite)
        expect(page.get_by_text("Your window is too small.")).to_be_visible()
        see_all_patches(page)
        expect(page.get_by_role("button", name="Continue", exact=True)).to_be_disabled()
        page.get_by_role("button", name="Full screen", exact=True).click()
        page.wait_for_function("document.fullscreenElement !== null")
        expect(page.get_by_role("button", name="Full screen", exact=True)).to_be_hidden()
        # without a screen, full screen makes no window larger
        page.set_viewport_size({"width": 800, "height": 600})
        expect(page.get_by_text("Your window is large enough for every picture.")).to_be_visible()
        start = page.get_by_role("button", name="Start", exact=True)
        start.click()
        expect(page.get_by_text("The card first, please.")).to_be_visible()
        set_card(page, 342)  # 4 CSS pixels to the millimetre, within a percent
        expect(page.get_by_role("button", name="Continue", exact=True)).to_be_disabled()
        for trial in range(1, 4):
            start.click()
            catch_the_dot(page, 40)
            expect(page.get_by_text(f"{trial} / 3")).to_be_visible()
        click_button(page, "Continue")
        expect(page.get_by_role("heading", name="What to do")).to_be_visible()
    measured = json.loads(str(one(workspace, "SELECT measured FROM viewing_session")))
    assert measured["pixels_per_mm"] == pytest.approx(342 / 85.6)
    # the dot is caught in the first frame after 40 pixels: 40 / 4 mm / tan(13.5 degrees) or a little more
    least = 40 / (342 / 85.6) / math.tan(math.radians(13.5))
    assert measured["distance_mm"] >= least
    assert measured["fits"] is True
    assert measured["problems"] == []
    workspace.close()


def test_who_is_too_near_is_refused_with_the_reason(playwright: Playwright, tmp_path: Path) -> None:
    """The distance told in centimetres, against the study's pixels per degree."""
    rules = '\n[viewing]\ncard = true\npixels_per_degree = [25, 80]\nrefuse = ["density", "window"]\n'
    _, workspace = make_study(tmp_path / "study", small_toml(raters=1, more=rules))
    invite = Registry(workspace.database, workspace.study).invite("r01")
    with (
        serving(tmp_path / "study", "small") as server,
        chromium(playwright, tmp_path / "profile") as context,
    ):
        page = context.new_page()
        walk_to_viewing(page, server.base, invite)
        see_all_patches(page)
        set_card(page, 342)
        tell_distance(page, 20)
        click_button(page, "Continue")
        expect(page.get_by_text("The pictures would appear too small or too large")).to_be_visible()
        tell_distance(page, 60)
        click_button(page, "Continue")
        expect(page.get_by_role("heading", name="What to do")).to_be_visible()
    with workspace.database.read() as connection:
        sessions = connection.execute(text("SELECT problems, refused FROM viewing_session ORDER BY id"))
        assert [tuple(row) for row in sessions] == [("density", 1), ("", 0)]
    workspace.close()


def test_a_rater_withdraws_with_the_button(playwright: Playwright, tmp_path: Path) -> None:
    _, workspace = make_study(tmp_path / "study", small_toml(raters=1))
    invite = practised(workspace, "r01")
    with (
        serving(tmp_path / "study", "small") as server,
        chromium(playwright, tmp_path / "profile") as context,
    ):
        page = context.new_page()
        lost = ["429", "abort", "abort"]

        def lose(route: Route) -> None:
            if route.request.method == "POST" and lost:
                route.abort() if lost.pop() == "abort" else route.fulfill(status=429)
            else:
                route.continue_()

        page.route("**/mos/enter", lose)
        page.goto(f"{server.base}/mos/enter#{invite}")
        expect(page.get_by_text("No connection. Trying again")).to_be_visible()
        begin(page)
        wait_armed(page)
        page.keyboard.press("3")
        settle(page)
        page.get_by_role("button", name="Pause", exact=True).click()
        expect(page.get_by_text("Block 1 of")).to_be_visible()
        page.get_by_text("Withdraw from the study").click()
        assert (lost, page.url) == ([], f"{server.base}/")
        button = page.get_by_role("button", name="Withdraw", exact=True)
        expect(button).to_be_disabled()
        page.get_by_text("I am sure").click()
        click_button(page, "Withdraw")
        expect(page.get_by_role("heading", name="You have withdrawn")).to_be_visible()
        page.reload()
        expect(page.get_by_role("heading", name="This link is not valid")).to_be_visible()
    assert one(workspace, "SELECT count(*) FROM vote") == 0
    assert one(workspace, "SELECT age_band FROM rater") == ""
    assert one(workspace, "SELECT count(*) FROM event WHERE kind = 'erased' AND actor = 'rater'") == 1
    workspace.close()


@pytest.mark.slow
def test_the_admin_stays_logged_in_and_sees_new_votes(playwright: Playwright, tmp_path: Path) -> None:
    """F5 asks for no password, and a vote shows by itself, within a minute of waiting."""
    _, workspace = make_study(tmp_path / "study", small_toml(raters=1))
    vote_service, invite = VoteService(workspace.database, workspace.study), practised(workspace, "r01")
    with (
        serving(tmp_path / "study", "small") as server,
        chromium(playwright, tmp_path / "profile") as context,
    ):
        page = context.new_page()
        page.goto(f"{server.base}/admin")
        expect(page.get_by_test_id("stApp")).to_have_css("background-color", GREY)
        page.get_by_role("link", name="Log in").click()
        page.locator("input[type=password]").fill("a long password")
        page.keyboard.press("Enter")
        for _ in range(2):
            expect(page.get_by_role("heading", name="Study small")).to_be_visible()
            expect(page.get_by_text("0 of 24")).to_be_visible()
            expect(page.get_by_test_id("stApp")).to_have_css("background-color", GREY)
            page.reload()
        expect(page.get_by_text("0 of 24")).to_be_visible()
        item = vote_service.state(invite).current
        assert item is not None
        ballot = Ballot(
            item=item.item, nonce="a" * 22, score=3, response_ms=600, display=DisplayRecord(surface="plain")
        )
        assert vote_service.vote(invite, ballot).verdict == "saved"
        expect(page.get_by_text("1 of 24")).to_be_visible()
        page.screenshot(path=tmp_path / "admin.png")
    workspace.close()


def test_pages_run_from_right_to_left(playwright: Playwright, tmp_path: Path) -> None:
    toml = arabic(small_toml(raters=1, images=6, calibration=4, more='\n[scale]\nmethod = "pair"\n'))
    _, workspace = make_study(tmp_path / "study", toml, height=120, width=160)
    registry = Registry(workspace.database, workspace.study)
    invite = registry.invite("r01")
    with (
        serving(tmp_path / "study", "small") as server,
        chromium(playwright, tmp_path / "profile") as context,
    ):
        page = context.new_page()
        page.goto(f"{server.base}/?invite={invite}")
        page.get_by_text("العربية", exact=True).click()  # the browser's language is English
        expect(page.get_by_role("heading", name="دراسة صغيرة")).to_be_visible()
        expect(page.locator("html")).to_have_attribute("lang", "ar")  # what a screen reader reads it in
        page.get_by_text("I have read this and want to take part").click()
        click_button(page, "Continue")
        question = page.get_by_role("radiogroup", name="Your age")
        expect(question).to_be_visible()
        expect(question).to_have_css("direction", "rtl")  # the style may come after the question
        options = [option.bounding_box() for option in question.locator("label").all()]
        assert options[0] is not None
        assert options[1] is not None
        assert options[0]["x"] > options[1]["x"]
        # the left picture's button stands left all the same
        registry.answer_questions(invite, "25-34", "corrected", "desktop")
        registry.check_viewing(invite, {"patches": 8})
        registry.instructed(invite)
        page.goto(f"{server.base}/?plain=1")
        click_button(page, "Start")
        left = page.get_by_role("button", name="1 the left one").bounding_box()
        right = page.get_by_role("button", name="3 the right one").bounding_box()
        assert left is not None
        assert right is not None
        assert left["x"] < right["x"]
    workspace.close()


def test_rings_and_plates(playwright: Playwright, tmp_path: Path) -> None:
    """The ring's gap is where the pixels are white; plates read by what they were drawn from."""
    rules = (
        '\n[viewing]\ncard = true\nacuity = 0.5\ncolour_plates = 5\nrefuse = ["acuity", "colour", "window"]\n'
    )
    _, workspace = make_study(tmp_path / "study", small_toml(raters=1, more=rules))
    invite = Registry(workspace.database, workspace.study).invite("r01")
    with (
        serving(tmp_path / "study", "small") as server,
        chromium(playwright, tmp_path / "profile") as context,
    ):
        page = context.new_page()
        walk_to_viewing(page, server.base, invite)
        see_all_patches(page)
        expect(page.get_by_text("First measure the card and the distance, please.")).to_be_visible()
        set_card(page, 342)
        tell_distance(page, 30)
        # 30 cm * tan(2 minutes) * 3.995 pixels/mm = 0.697 pixels: too fine to be drawn
        expect(page.get_by_text("Sit 44 cm away or more")).to_be_visible()
        tell_distance(page, 200)
        expect(page.get_by_text("0 / 8")).to_be_visible()
        for number in range(1, 9):
            page.get_by_role("button", name=gap_direction(page), exact=True).click()
            expect(page.get_by_text(f"{number} / 8")).to_be_visible()
        expect(page.get_by_role("button", name="Continue", exact=True)).to_be_disabled()
        plates = page.get_by_role("textbox", name="Digit in the plate")
        expect(plates).to_have_count(5)
        for number, plate in enumerate(plates.all()):
            right = plate.get_attribute("data-right")
            plate.fill("0" if number == 4 else str(right))
        click_button(page, "Continue")
        expect(page.get_by_text("This study needs full colour vision.")).to_be_visible()
        plates.nth(4).fill(str(plates.nth(4).get_attribute("data-right")))
        page.wait_for_timeout(300)
        click_button(page, "Continue")
        expect(page.get_by_role("heading", name="What to do")).to_be_visible()
    with workspace.database.read() as connection:
        sessions = connection.execute(
            text("SELECT problems, measured FROM viewing_session ORDER BY id")
        ).all()
    assert [session.problems for session in sessions] == ["colour", ""]
    measured = json.loads(sessions[1].measured)
    assert (measured["rings_right"], measured["plates_right"]) == (8, 5)
    workspace.close()


def gap_direction(page: Page) -> str:
    """Where the ring on the screen is open: looked for in its pixels, not in the script's variables."""
    direction: str = page.evaluate(
        """() => {
          const ring = [...document.querySelectorAll('[data-testid="stBidiComponentIsolated"]')]
            .map((e) => e.shadowRoot?.querySelector('.ring')).find(Boolean);
          const { width } = ring;
          const { data } = ring.getContext('2d').getImageData(0, 0, width, width);
          const ink = (dx, dy) => {
            let sum = 0;
            for (let r = 2; r < width / 2; r += 1) {
              const [x, y] = [dx, dy].map((step) => Math.round(width / 2 + r * step));
              sum += 255 - data[4 * (y * width + x)];
            }
            return sum;
          };
          const inks = [[1, 0], [0, 1], [-1, 0], [0, -1]].map(([dx, dy]) => ink(dx, dy));
          return '→↓←↑'[inks.indexOf(Math.min(...inks))];
        }"""
    )
    return direction
