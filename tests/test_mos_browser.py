"""The rating study in real Chromium: exactly one vote per key press, exact pixels, blindness, resuming."""

from __future__ import annotations

import hashlib
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mos_helpers.browsing import (
    GREY,
    begin,
    chromium,
    click_button,
    click_twice_in_page,
    keys_in_page,
    open_stage,
    screenshot,
    settle,
    stage_info,
    wait_armed,
    wait_note,
    walk_in,
)
from mos_helpers.serving import Server, serving
from mos_helpers.studies import METHODS, current_stimulus, log_entries, make_study, practised, small_toml
from PIL import Image
from playwright.sync_api import BrowserContext, Playwright, Route, expect
from sqlalchemy import text

from mos_app.db.raters import Registry
from mos_app.db.studies import add_raters
from mos_app.files.workspace import Workspace, init_study, open_workspace
from mos_app.study.studyfile import read_template
from repro.core.paths import Results

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("mos_browser")]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A served study with many raters: every test takes its own."""
    folder = tmp_path_factory.mktemp("browser")
    _, workspace = make_study(folder, small_toml(raters=30, images=8, distance=4), height=120, width=160)
    with serving(folder, "small") as server:
        yield workspace, server
    workspace.close()


@pytest.fixture(scope="module")
def browser(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with chromium(playwright, tmp_path_factory.mktemp("profile")) as context:
        yield context


@pytest.fixture
def rater(study: tuple[Workspace, Server], request: pytest.FixtureRequest) -> str:
    """An unused rater, taken through the practice to the first rating."""
    workspace, _ = study
    code = Registry(workspace.database, workspace.study).not_begun()[0]
    return practised(workspace, code)


def votes(workspace: Workspace, invite: str) -> list[Any]:
    """The rater's rating votes, in the order of their places."""
    from mos_app.db.credentials import invite_hash

    with workspace.database.read() as connection:
        return list(
            connection.execute(
                text(
                    "SELECT p.position, v.* FROM vote v JOIN presentation p ON p.id = v.presentation_id "
                    "JOIN invite i ON i.rater_id = p.rater_id "
                    "WHERE i.token_sha256 = :token AND p.phase = 'rating' ORDER BY p.position"
                ),
                {"token": invite_hash(invite)},
            )
        )


def test_whole_demo_by_keyboard(tmp_path: Path, browser: BrowserContext) -> None:
    """From the invite to the thanks as a new rater would; nothing on the way names a method."""
    config, toml = read_template("demo")
    results = Results(tmp_path)
    init_study(results, config, toml, name="demo")
    workspace = open_workspace(results, "demo")
    add_raters(workspace.database, workspace.study, 1)
    invite = Registry(workspace.database, workspace.study).invite("r01")
    hashes = set(Registry(workspace.database, workspace.study).stimulus_hashes())
    names = [*METHODS, "nearest", "bicubic", "sample", "astronaut", "chelsea", "coffee", "rocket"]
    leaks: list[str] = []
    served: list[str] = []

    def look(where: str, what: str) -> None:
        # whole words only: opaque names are random letters
        pattern = rf"(?<![\w-])({'|'.join(map(re.escape, names))})(?![\w-])"
        leaks.extend(f"{found} in {where}" for found in re.findall(pattern, what))

    with serving(tmp_path, "demo") as server:
        page = browser.new_page()

        def on_response(response: Any) -> None:
            if "/mos/" not in response.url:
                return
            look("URL", response.url)
            look("headers", json.dumps(response.all_headers()))
            if "/mos/s/" not in response.url:
                look("reply", response.body().decode())

        def on_picture(route: Route) -> None:
            reply = route.fetch()
            if reply.status == 200:
                served.append(hashlib.sha256(reply.body()).hexdigest())
            route.fulfill(response=reply)

        page.route("**/mos/s/*", on_picture)
        page.on("requestfinished", lambda request: on_response(request.response()))
        page.on(
            "websocket", lambda socket: socket.on("framereceived", lambda data: look("socket", str(data)))
        )
        walk_in(page, server.base, invite)
        look("page", page.content())
        page.keyboard.press("Tab")
        keys = 0
        for card in ("What to do", "A short check", "Block 1 of 2", "Block 2 of 2"):
            expect(page.get_by_role("heading", name=card)).to_be_visible()
            expect(page.get_by_test_id("stApp")).to_have_css("background-color", GREY)
            begin(page, press=True)
            stretch = int(re.search(r"\d+ of (\d+)", wait_armed(page)["place"]).group(1))  # type: ignore[union-attr]
            for _ in range(stretch):
                info = wait_armed(page)
                look("page", page.content())
                page.keyboard.press(info["wanted"] or str(1 + keys % 5))
                keys += 1
                page.wait_for_timeout(60)
            # the check was answered at random: once more, and failed again
            if card == "A short check":
                expect(page.get_by_role("heading", name="Once more, please")).to_be_visible()
                begin(page, press=True)
                for _ in range(stretch):
                    wait_armed(page)
                    page.keyboard.press(str(1 + keys % 5))
                    keys += 1
                    page.wait_for_timeout(60)
        expect(page.get_by_role("heading", name="Thank you!")).to_be_visible()
        expect(page.get_by_test_id("stApp")).to_have_css("background-color", GREY)
        look("page", page.content())
        page.close()
        answered = votes(workspace, invite)
        assert len(answered) == 15
        assert {vote.deviations for vote in answered} == {""}
        assert {vote.surface for vote in answered} == {"stage"}
        assert all(300 <= vote.response_ms < 20_000 for vote in answered)
        assert leaks == []
        assert len(served) >= 15 + 12 + 10
        assert set(served) <= hashes
        # addresses hold the invite: the log must not
        assert invite not in server.log
    workspace.close()


@pytest.mark.parametrize(
    "gap", [0, 100, 250, *(pytest.param(gap, marks=pytest.mark.slow) for gap in (20, 50, 150, 200))]
)
def test_double_click_is_one_vote(
    gap: int, study: tuple[Workspace, Server], rater: str, browser: BrowserContext
) -> None:
    workspace, server = study
    page = open_stage(browser, server, rater)
    for _ in range(2):
        settle(page)
        click_twice_in_page(page, 4, gap)
    settle(page)
    page.evaluate("window.clicks = []; addEventListener('click', (e) => clicks.push(e.timeStamp), true)")
    page.get_by_role("button", name="3 fair").dblclick()  # and the mouse's own double click
    settle(page)
    first, second = page.evaluate("window.clicks")
    page.close()
    if second - first > 250:
        pytest.skip(f"this machine took {second - first:.0f} ms between the two clicks")
    recorded = votes(workspace, rater)
    assert [(vote.position, vote.score) for vote in recorded] == [(1, 4), (2, 4), (3, 3)]


def test_held_key_is_one_vote(study: tuple[Workspace, Server], rater: str, browser: BrowserContext) -> None:
    workspace, server = study
    page = open_stage(browser, server, rater)
    page.keyboard.down("3")
    for _ in range(40):  # Playwright marks every further down as a repeat, as the keyboard does
        page.keyboard.down("3")
        page.wait_for_timeout(30)
    page.keyboard.up("3")
    settle(page)
    assert len(votes(workspace, rater)) == 1
    # a held Enter on a focused button must not click it again either
    page.get_by_role("button", name="2 poor").focus()
    settle(page)
    page.keyboard.down("Enter")
    for _ in range(40):
        page.keyboard.down("Enter")
        page.wait_for_timeout(30)
    page.keyboard.up("Enter")
    settle(page)
    page.close()
    assert [vote.score for vote in votes(workspace, rater)] == [3, 2]


def test_five_keys_in_300_ms_are_one_vote(
    study: tuple[Workspace, Server], rater: str, browser: BrowserContext
) -> None:
    workspace, server = study
    page = open_stage(browser, server, rater)
    keys_in_page(page, "12345", 75)
    settle(page)
    page.close()
    assert [vote.score for vote in votes(workspace, rater)] == [1]


def test_keys_with_modifiers_and_early_keys_do_not_count(
    study: tuple[Workspace, Server], rater: str, browser: BrowserContext
) -> None:
    workspace, server = study
    page = open_stage(browser, server, rater)
    for combination in ("Control+3", "Alt+3", "Meta+3", "6", "0", "a"):
        page.keyboard.press(combination)
    page.wait_for_timeout(200)
    assert votes(workspace, rater) == []
    # the next picture is painted meanwhile, but has not been seen for 300 ms
    keys_in_page(page, "3555555555555", 25)
    settle(page)
    page.close()
    assert [vote.score for vote in votes(workspace, rater)] == [3]


def test_reload_during_the_post(study: tuple[Workspace, Server], rater: str, browser: BrowserContext) -> None:
    """F5 while the vote is on its way, once before it arrives and once after: one row each."""
    workspace, server = study
    page = open_stage(browser, server, rater)
    page.route("**/mos/vote", lambda route: None)  # it never leaves the browser
    page.keyboard.press("2")
    page.wait_for_timeout(200)
    assert votes(workspace, rater) == []
    page.unroute("**/mos/vote")
    page.reload()
    # the card again, or the stage at once if the kept vote was sent before the card could come
    page.get_by_role("button", name="Start", exact=True).or_(page.get_by_role("dialog")).wait_for()
    if not stage_info(page)["open"]:
        click_button(page, "Start")
    settle(page)
    assert [vote.score for vote in votes(workspace, rater)] == [2]

    def deliver_and_lose(route: Route) -> None:
        route.fetch()

    page.route("**/mos/vote", deliver_and_lose)
    page.keyboard.press("4")
    for _ in range(4000):
        if len(votes(workspace, rater)) == 2:
            break
        page.wait_for_timeout(50)
    page.unroute("**/mos/vote")
    assert [vote.score for vote in votes(workspace, rater)] == [2, 4]
    page.reload()  # place 3 now: the stage opens at once
    settle(page)
    page.keyboard.press("5")
    settle(page)
    page.close()
    assert [vote.score for vote in votes(workspace, rater)] == [2, 4, 5]


def test_two_tabs(study: tuple[Workspace, Server], rater: str, browser: BrowserContext) -> None:
    """The first answer counts; the other tab goes to where the rater is, and the conflict is logged."""
    workspace, server = study
    one = open_stage(browser, server, rater)
    two = open_stage(browser, server, rater)
    two.bring_to_front()
    settle(two)
    two.keyboard.press("1")
    settle(two)
    one.bring_to_front()
    settle(one)
    one.keyboard.press("5")
    settle(one)
    assert "already" in stage_info(one)["note"]
    assert [vote.score for vote in votes(workspace, rater)] == [1]
    assert "picture 2 of" in stage_info(one)["place"]
    one.keyboard.press("3")
    settle(one)
    one.close()
    two.close()
    assert [vote.score for vote in votes(workspace, rater)] == [1, 3]
    entries = log_entries(workspace, 20)
    assert any(entry.kind == "conflict" for entry in entries)


def test_lost_replies_and_a_dropped_network(
    study: tuple[Workspace, Server], rater: str, browser: BrowserContext
) -> None:
    """The stage keeps the unsent vote, says so, and sends it again with the same token."""
    workspace, server = study
    page = open_stage(browser, server, rater)
    sent: list[str] = []
    network = {"back": False}

    def lose(route: Route) -> None:
        sent.append(route.request.post_data_json["nonce"])
        if network["back"]:
            route.continue_()
            return
        if len(sent) == 2:
            route.fetch()  # it arrives, the reply is lost
        route.abort("connectionreset")

    page.route("**/mos/vote", lose)
    page.keyboard.press("4")
    info = wait_note(page, "kept")
    assert info["src"] is None  # nothing to look at while nothing can be saved
    page.keyboard.press("1")  # and nothing to answer
    while len(sent) < 3:  # it asks until there is an answer
        page.wait_for_timeout(50)
    network["back"] = True
    settle(page)
    assert stage_info(page)["note"] == ""
    page.unroute("**/mos/vote")
    assert len(sent) >= 4
    assert len(set(sent)) == 1
    assert [vote.score for vote in votes(workspace, rater)] == [4]
    page.close()


def test_undo_takes_back_the_last_vote(
    study: tuple[Workspace, Server], rater: str, browser: BrowserContext
) -> None:
    workspace, server = study
    page = open_stage(browser, server, rater)
    first = stage_info(page)
    assert not first["undo"]
    page.keyboard.press("2")
    settle(page)
    page.keyboard.press("Backspace")
    page.keyboard.press("Backspace")
    settle(page)
    again = stage_info(page)
    assert again["place"] == first["place"]
    assert again["natural"] == first["natural"]
    assert not again["undo"]
    page.keyboard.press("5")
    settle(page)
    page.close()
    assert [(vote.position, vote.score, vote.showing) for vote in votes(workspace, rater)] == [(1, 5, 2)]


PATIENCE_MS = int(
    re.search(r"PATIENCE_MS = (\d+)", (files("mos_app.stage") / "stage.js").read_text()).group(1)
)  # type: ignore[union-attr]


def stimulus_pixels(workspace: Workspace, invite: str) -> np.ndarray:
    stimulus = current_stimulus(workspace, invite, "rating")
    with workspace.database.read() as connection:
        sha256 = connection.execute(
            text("SELECT sha256 FROM stimulus WHERE id = :id"), {"id": stimulus}
        ).scalar_one()
    with Image.open(workspace.folder.stimuli / f"{sha256}.png") as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize(
    "ratio", [1, 1.25, *(pytest.param(ratio, marks=pytest.mark.slow) for ratio in (1.5, 2))]
)
def test_screenshot_equals_the_stimulus(
    ratio: float, study: tuple[Workspace, Server], rater: str, playwright: Playwright, tmp_path: Path
) -> None:
    """Pixel by pixel, with plain grey around, at every device pixel ratio; nothing scrolls."""
    workspace, server = study
    with chromium(playwright, tmp_path / "profile", ratio=ratio) as context:
        page = open_stage(context, server, rater)
        assert page.evaluate("devicePixelRatio") == ratio
        wide, high = page.evaluate("[innerWidth, innerHeight]")
        # fractional ratios cannot give every window size
        assert abs(wide - 1280) <= 2
        assert abs(high - 720) <= 2
        for score in range(1, 4):
            settle(page)
            info = stage_info(page)
            expected = stimulus_pixels(workspace, rater)
            left, top = (round(side * ratio) for side in info["rect"][:2])
            shot = screenshot(page, tmp_path)
            assert abs(shot.shape[0] - high * ratio) <= ratio
            assert abs(shot.shape[1] - wide * ratio) <= ratio
            height, width = expected.shape[:2]
            shown = shot[top : top + height, left : left + width]
            assert np.array_equal(shown, expected)
            field = shot[: int((high - 56) * ratio) - 1].copy()
            field[top : top + height, left : left + width] = 128
            assert np.all(field == 128)
            page.keyboard.press(str(score))
        settle(page)
        scrolls = page.evaluate(
            "[document.scrollingElement.scrollHeight, document.scrollingElement.scrollWidth]"
        )
        assert scrolls[0] <= high
        assert scrolls[1] <= wide
    recorded = votes(workspace, rater)
    assert [vote.deviations for vote in recorded] == ["", "", ""]
    assert {vote.pixel_ratio for vote in recorded} == {ratio}
    assert {(vote.window_width, vote.window_height) for vote in recorded} == {(wide, high)}


@pytest.mark.slow
def test_next_picture_is_painted_within_100_ms(
    study: tuple[Workspace, Server], rater: str, browser: BrowserContext
) -> None:
    """Key to next paint: p95 over the rest of the block, with the three next pictures preloaded."""
    workspace, server = study
    # a busy machine may spoil one measurement: the best of three blocks is the stage's own speed
    p95 = float("inf")
    for _ in range(3):
        waits = paint_times(browser, server, rater)
        assert waits[0] >= 50  # the grey gap between two pictures
        p95 = min(p95, waits[int(0.95 * len(waits))])
        print(f"key to next paint: median {waits[len(waits) // 2]:.0f} ms, p95 {p95:.0f} ms")
        if p95 < 100:
            break
        rater = practised(workspace, Registry(workspace.database, workspace.study).not_begun()[0])
    assert p95 < 100


def paint_times(browser: BrowserContext, server: Server, rater: str) -> list[float]:
    page = open_stage(browser, server, rater)
    stretch = int(re.search(r"\d+ of (\d+)", stage_info(page)["place"]).group(1))  # type: ignore[union-attr]
    page.evaluate("performance.clearMarks()")
    for number in range(stretch - 1):
        wait_armed(page)
        page.keyboard.press(str(1 + number % 5))
        page.wait_for_timeout(120)
    wait_armed(page)
    marks = page.evaluate("performance.getEntriesByType('mark').map((m) => [m.name, m.startTime])")
    page.close()
    answers = [at for name, at in marks if name == "mos-answer"]
    paints = [at for name, at in marks if name == "mos-painted"]
    assert len(answers) == len(paints) == stretch - 1
    return sorted(paint - answer for answer, paint in zip(answers, paints, strict=True))


def test_stage_is_usable_by_labels_and_by_tab(
    study: tuple[Workspace, Server], rater: str, browser: BrowserContext
) -> None:
    """What a screen reader tells: the dialog, the question, five named buttons, where one is."""
    workspace, server = study
    page = open_stage(browser, server, rater)
    dialog = page.get_by_role("dialog", name="Rate the picture")
    expect(dialog).to_be_visible()
    group = dialog.get_by_role("group", name="How good does this picture look?")
    words = ["bad", "poor", "fair", "good", "excellent"]
    for score, word in enumerate(words, start=1):
        button = group.get_by_role("button", name=f"{score} {word}", exact=True)
        assert button.get_attribute("aria-keyshortcuts") == str(score)
    expect(dialog.get_by_role("img", name="Picture to rate", exact=True)).to_be_visible()
    assert "picture 1 of" in dialog.get_by_role("status").inner_text()
    for _ in range(4):  # the dialog keeps the focus: the page behind it cannot be reached
        page.keyboard.press("Tab")
    focused = page.evaluate(
        """() => { let e = document.activeElement; while (e.shadowRoot) e = e.shadowRoot.activeElement;
                   return e?.dataset?.score ?? null; }"""
    )
    assert focused is not None
    page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    page.keyboard.press("Space")
    settle(page)
    page.close()
    assert [vote.score for vote in votes(workspace, rater)] == [int(focused)]


def test_rater_goes_on_in_another_browser_and_after_a_kill(
    study: tuple[Workspace, Server],
    rater: str,
    playwright: Playwright,
    browser: BrowserContext,
    tmp_path: Path,
) -> None:
    """The link is enough; a server killed while the vote is on its way changes nothing."""
    workspace, server = study
    page = open_stage(browser, server, rater)
    page.keyboard.press("2")
    settle(page)
    server.kill()
    page.keyboard.press("3")
    wait_note(page, "kept")
    server.start()
    wait_armed(page)
    assert "picture 3 of" in stage_info(page)["place"]
    page.close()
    assert [vote.score for vote in votes(workspace, rater)] == [2, 3]
    with chromium(playwright, tmp_path / "elsewhere") as other:
        page = other.new_page()
        page.goto(f"{server.base}/?invite={rater}")
        settle(page)
        assert "picture 3 of" in stage_info(page)["place"]
        page.keyboard.press("4")
        settle(page)
    assert [vote.score for vote in votes(workspace, rater)] == [2, 3, 4]


def test_three_times_denser_display_shows_three_times_larger_pixels(
    playwright: Playwright, tmp_path: Path
) -> None:
    """Nearest neighbour, to the pixel; the vote says so and carries no deviation."""
    more = "\n[viewing]\nmagnification = 3\n"
    _, workspace = make_study(tmp_path / "study", small_toml(raters=1, more=more), height=120, width=160)
    invite = practised(workspace, "r01")
    with (
        serving(tmp_path / "study", "small") as server,
        chromium(playwright, tmp_path / "profile", ratio=3) as context,
    ):
        page = open_stage(context, server, invite)
        expected = stimulus_pixels(workspace, invite).repeat(3, axis=0).repeat(3, axis=1)
        left, top = (round(side * 3) for side in stage_info(page)["rect"][:2])
        shot = screenshot(page, tmp_path)
        height, width = expected.shape[:2]
        assert np.array_equal(shot[top : top + height, left : left + width], expected)
        page.keyboard.press("4")
        settle(page)
    (vote,) = votes(workspace, invite)
    assert (vote.magnification, vote.exposures, vote.pixel_ratio) == (3, 1, 3)
    assert vote.deviations == ""
    workspace.close()


def test_the_original_stands_beside_the_picture(playwright: Playwright, tmp_path: Path) -> None:
    """DCR: both pixel-exact, the same vote path, the impairment scale's words."""
    more = '\n[scale]\nmethod = "dcr"\n'
    _, workspace = make_study(tmp_path / "study", small_toml(raters=1, more=more), height=120, width=160)
    invite = practised(workspace, "r01")
    with (
        serving(tmp_path / "study", "small") as server,
        chromium(playwright, tmp_path / "profile") as context,
    ):
        page = open_stage(context, server, invite)
        stimulus = current_stimulus(workspace, invite, "rating")
        with workspace.database.read() as connection:
            shas = connection.execute(
                text(
                    "SELECT o.sha256 FROM stimulus s JOIN stimulus o ON o.image_id = s.image_id "
                    "WHERE s.id = :id AND (o.method = 'HR' OR o.id = s.id) ORDER BY o.method <> 'HR'"
                ),
                {"id": stimulus},
            ).scalars()
            pictures = [
                np.asarray(Image.open(workspace.folder.stimuli / f"{sha}.png").convert("RGB")) for sha in shas
            ]
        shot = screenshot(page, tmp_path)
        height, width = pictures[0].shape[:2]
        left = (1280 - 2 * width - 32) // 2
        top = (720 - 56 - height) // 2
        for picture, x in ((pictures[0], left), (pictures[-1], left + width + 32)):
            assert np.array_equal(shot[top : top + height, x : x + width], picture)
        assert "left: original" in stage_info(page)["place"]
        page.get_by_role("button", name="4 visible, not annoying").click()
        settle(page)
        page.keyboard.press("2")
        settle(page)
    assert [(vote.score, vote.deviations) for vote in votes(workspace, invite)] == [(4, ""), (2, "")]
    workspace.close()


def test_a_server_that_hangs_is_told_of_within_a_second_and_nothing_flashes_up(
    study: tuple[Workspace, Server], rater: str, browser: BrowserContext
) -> None:
    workspace, server = study
    page = open_stage(browser, server, rater)
    page.evaluate(
        """() => {
          const root = [...document.querySelectorAll('[data-testid="stBidiComponentIsolated"]')]
            .map((e) => e.shadowRoot).find((r) => r?.querySelector('dialog.stage'));
          window.seen = [];
          window.told = null;
          const begin = performance.now();
          new MutationObserver((changes) => {
            for (const change of changes) for (const node of change.addedNodes) {
              if (node.nodeName === 'IMG') window.seen.push(node.src);
            }
            const note = root.querySelector('.note').textContent;
            if (note && window.pressed && !window.told) window.told = performance.now() - window.pressed;
          }).observe(root, { subtree: true, childList: true, characterData: true });
        }"""
    )
    held: list[Route] = []
    page.route("**/mos/vote", lambda route: held.append(route))
    page.evaluate("window.pressed = performance.now()")
    keys_in_page(page, "4", 0)
    wait_note(page, "kept")
    # the stage's own patience: a busy machine adds to it
    assert page.evaluate("window.told") >= PATIENCE_MS
    assert PATIENCE_MS <= 1000
    assert page.evaluate("window.seen") == []  # no picture came and went
    assert len(held) == 1
    held[0].continue_()
    settle(page)
    assert stage_info(page)["note"] == ""
    assert len(page.evaluate("window.seen")) == 1
    page.unroute("**/mos/vote")
    # a picture that was on the screen before a reload says so
    page.reload()
    settle(page)
    page.keyboard.press("3")
    settle(page)
    page.close()
    assert [(vote.score, vote.exposures, vote.deviations) for vote in votes(workspace, rater)] == [
        (4, 1, ""),
        (3, 2, "flashed"),
    ]


def test_window_too_small_is_told_and_takes_no_vote(
    study: tuple[Workspace, Server], rater: str, playwright: Playwright, tmp_path: Path
) -> None:
    workspace, server = study
    with chromium(playwright, tmp_path / "profile", width=500, height=150) as context:
        page = context.new_page()
        page.goto(f"{server.base}/?invite={rater}")
        click_button(page, "Start")
        wait_note(page, "too small")
        page.keyboard.press("3")
        page.wait_for_timeout(300)
    assert votes(workspace, rater) == []
