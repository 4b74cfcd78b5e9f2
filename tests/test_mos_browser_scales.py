"""Pairs and sliders in real Chromium: both pictures exact, one vote each, whatever is pressed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mos_helpers.browsing import (
    chromium,
    keys_in_page,
    open_stage,
    screenshot,
    settle,
    stage_info,
    wait_armed,
    wait_note,
)
from mos_helpers.serving import serving
from mos_helpers.studies import current_presentation, make_study, practised, prepare, small_toml
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Playwright, expect
from sqlalchemy import text

from mos_app.files.workspace import Workspace
from mos_app.study.parts import LEFT, RIGHT, TIE

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("mos_browser")]

PAIR = '\n[scale]\nmethod = "pair"\npairs = [["nearest", "HR"], ["bicubic", "SRGAN-VGG54"]]\n'
SLIDER = '\n[scale]\nmethod = "slider"\n'


def rows(workspace: Workspace, columns: str) -> list[tuple[object, ...]]:
    """Columns of the rating votes, in the order of their places."""
    query = (
        f"SELECT {columns} FROM vote v JOIN presentation p ON p.id = v.presentation_id "
        "WHERE p.phase = 'rating' ORDER BY p.position"
    )
    with workspace.database.read() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def sides(workspace: Workspace, invite: str) -> list[NDArray[np.uint8]]:
    """The pictures that have to stand on the left and on the right, as the study's folder has them."""
    with workspace.database.read() as connection:
        swapped, *hashes = connection.execute(
            text(
                "SELECT p.swapped, a.sha256, b.sha256 FROM presentation p "
                "JOIN stimulus s ON s.id = p.stimulus_id "
                "JOIN stimulus a ON a.id = s.first_id JOIN stimulus b ON b.id = s.second_id WHERE p.id = :id"
            ),
            {"id": current_presentation(workspace, invite, "rating")},
        ).one()
    files = [workspace.folder.stimuli / f"{sha256}.png" for sha256 in hashes]
    pixels = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    return pixels[::-1] if swapped else pixels


def test_pairs_by_arrows_digits_and_buttons(playwright: Playwright, tmp_path: Path) -> None:
    toml = small_toml(raters=1, images=6, calibration=2, check_items=2, blocks=1, distance=2, more=PAIR)
    _, workspace = make_study(tmp_path / "study", toml, height=120, width=160)
    invite = practised(workspace, "r01")
    with (
        serving(tmp_path / "study", "small") as server,
        chromium(playwright, tmp_path / "profile") as context,
    ):
        page = open_stage(context, server, invite)
        group = page.get_by_role("group", name="Which picture looks better?")
        assert [button.inner_text().split() for button in group.get_by_role("button").all()] == [
            ["1", "the", "left", "one"],
            ["2", "no", "difference"],
            ["3", "the", "right", "one"],
        ]
        for press in ("ArrowRight", "ArrowLeft", "ArrowDown"):
            shot = screenshot(page, tmp_path)
            left, right = sides(workspace, invite)
            height, width = left.shape[:2]
            top, begin = (720 - 56 - height) // 2, (1280 - 2 * width - 32) // 2
            for picture, x in ((left, begin), (right, begin + width + 32)):
                assert np.array_equal(shot[top : top + height, x : x + width], picture)
            page.keyboard.down(press)
            for _ in range(10):  # held
                page.keyboard.down(press)
            page.keyboard.up(press)
            settle(page)
        keys_in_page(page, "545", 20)  # not on this scale
        keys_in_page(page, "1313", 20)
        settle(page)
        group.get_by_role("button", name="3 the right one").dblclick(delay=0)
        settle(page)
        page.keyboard.press("Backspace")
        settle(page)
        page.keyboard.press("2")
        settle(page)
        assert "which looks better?" in stage_info(page)["place"]
    wanted = [RIGHT, LEFT, TIE, LEFT]
    found = rows(workspace, "v.score, v.slider, v.deviations, v.showing")
    assert [row[:3] for row in found[:4]] == [(score, None, "") for score in wanted]
    # the last one was taken back; a slow machine may have made two clicks of the double click
    assert found[-1] == (TIE, None, "", 2)
    assert len(found) in (5, 6)
    workspace.close()


def test_a_slider_starts_empty_and_is_confirmed_once(playwright: Playwright, tmp_path: Path) -> None:
    toml = small_toml(raters=2, images=6, blocks=1, more=f"{SLIDER}[stage]\ngap_ms = 600\n")
    _, workspace = make_study(tmp_path / "study", toml, height=120, width=160)
    invite = practised(workspace, "r01")
    with (
        serving(tmp_path / "study", "small") as server,
        chromium(playwright, tmp_path / "profile") as context,
    ):
        page = open_stage(context, server, invite)
        slider = page.get_by_role("slider", name="How good does this picture look?")
        confirm = page.get_by_role("button", name="OK (Enter)")
        expect(confirm).to_be_disabled()
        page.keyboard.press("Enter")
        page.wait_for_timeout(300)
        assert rows(workspace, "v.score") == []
        page.keyboard.press("4")  # the middle of the fourth fifth, not yet an answer
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
        expect(slider).to_have_attribute("aria-valuetext", "71: good")
        # a key in the grey before the next picture
        page.evaluate(
            """() => {
              const five = () => new KeyboardEvent('keydown', { key: '5', bubbles: true, composed: true });
              const ask = window.fetch;
              window.fetch = async (...request) => {
                const reply = await ask(...request);
                window.fetch = ask;
                setTimeout(() => document.body.dispatchEvent(five()), 50);
                return reply;
              };
            }"""
        )
        page.keyboard.down("Enter")
        page.keyboard.down("Enter")  # held
        page.keyboard.up("Enter")
        settle(page)
        expect(confirm).to_be_disabled()  # empty again for the next picture
        box = slider.bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + 0.02 * box["width"], box["y"] + box["height"] / 2)
        expect(slider).to_have_attribute("aria-valuetext", "1: bad")
        page.mouse.move(box["x"] + 0.02 * box["width"], box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + 0.99 * box["width"], box["y"] + box["height"] / 2, steps=5)
        page.mouse.up()
        expect(slider).to_have_attribute("aria-valuetext", "100: excellent")
        confirm.click()
        settle(page)
        assert rows(workspace, "v.score, v.slider, v.deviations") == [(4, 71, ""), (5, 100, "")]
        # an example says which part, and takes no other
        page.goto(f"{server.base}/?invite={prepare(workspace, 'r02')}")
        page.get_by_role("button", name="Start", exact=True).click()
        label = "51"["Example of 1" in wait_armed(page)["place"]]
        page.keyboard.press("3")
        page.keyboard.press("Enter")
        wait_note(page, f"move the slider into part {label}")
        page.keyboard.press(label)
        page.keyboard.press("Enter")
        settle(page)
    with workspace.database.read() as connection:
        count = connection.execute(
            text(
                "SELECT count(*) FROM vote v JOIN presentation p ON p.id = v.presentation_id "
                "JOIN rater r ON r.id = p.rater_id WHERE r.code = 'r02'"
            )
        ).scalar_one()
    assert count == 1
    workspace.close()
