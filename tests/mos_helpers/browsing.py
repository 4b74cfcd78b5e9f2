"""Debian's Chromium, without Playwright's viewport emulation (which resamples the page by itself)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import BrowserContext, Page, Playwright, expect

from mos_helpers.serving import Server

ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)

PATIENCE_MS = 90_000
"""For what has to happen sooner or later; a busy machine may take its time."""

GREY = "rgb(128, 128, 128)"
"""The stage's, and so every page's, as the browser computes it."""

_FRAME = 87
"""Height of the window's own bars in CSS pixels, which the headless mode has too."""


def chromium_path() -> str:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed")
    return path


@contextmanager
def chromium(
    playwright: Playwright, profile: Path, *, ratio: float = 1, width: int = 1280, height: int = 720
) -> Iterator[BrowserContext]:
    """A browser whose page is ``width`` x ``height`` CSS pixels at a device pixel ratio of ``ratio``."""
    context = playwright.chromium.launch_persistent_context(
        str(profile),
        executable_path=chromium_path(),
        args=[
            *ARGUMENTS,
            f"--force-device-scale-factor={ratio}",
            f"--window-size={width},{height + _FRAME}",
            "--lang=en-GB",
        ],
        no_viewport=True,
    )
    context.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    try:
        yield context
    finally:
        context.close()


def stage_info(page: Page) -> dict[str, Any]:
    """What is on the stage: armed or not, the picture's source, rectangle in CSS pixels, and the words."""
    return page.evaluate(
        """() => {
          const host = [...document.querySelectorAll('[data-testid="stBidiComponentIsolated"]')]
            .map((element) => element.shadowRoot).find((root) => root?.querySelector('dialog.stage'));
          if (!host) return { open: false };
          const dialog = host.querySelector('dialog');
          const img = host.querySelector('.field img');
          const box = img?.getBoundingClientRect();
          return {
            open: dialog.open,
            armed: dialog.dataset.armed === 'true',
            src: img?.src ?? null,
            rect: box ? [box.left, box.top, box.width, box.height] : null,
            natural: img ? [img.naturalWidth, img.naturalHeight] : null,
            place: host.querySelector('.place').textContent,
            note: host.querySelector('.note').textContent,
            wanted: host.querySelector('button.wanted')?.dataset.score ?? null,
            undo: !host.querySelector('.undo').disabled,
          };
        }"""
    )


def wait_armed(page: Page) -> dict[str, Any]:
    """Waits until an answer would count."""
    page.wait_for_function(
        """() => [...document.querySelectorAll('[data-testid="stBidiComponentIsolated"]')]
          .some((e) => e.shadowRoot?.querySelector('dialog.stage')?.dataset.armed === 'true')""",
        polling=20,
    )
    return stage_info(page)


def wait_note(page: Page, words: str) -> dict[str, Any]:
    """Waits until the stage tells the rater something that holds these words."""
    page.wait_for_function(
        """(words) => [...document.querySelectorAll('[data-testid="stBidiComponentIsolated"]')]
          .some((e) => e.shadowRoot?.querySelector('.note')?.textContent.includes(words))""",
        arg=words,
        polling=20,
    )
    return stage_info(page)


def open_stage(context: BrowserContext, server: Server, invite: str) -> Page:
    """A new page on the stage, with the first picture shown."""
    page = context.new_page()
    page.goto(f"{server.base}/?invite={invite}")
    begin(page)
    wait_armed(page)
    return page


def settle(page: Page) -> None:
    """Waits for the next picture, and a moment more for what should not happen."""
    wait_armed(page)
    page.wait_for_timeout(100)


def screenshot(page: Page, folder: Path) -> NDArray[np.uint8]:
    """The page as it is on the screen, in device pixels (H W C)."""
    path = folder / "stage.png"
    page.screenshot(path=path, scale="device")
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def rest(page: Page) -> None:
    """Waits until no run of the page is under way and no stage lies above it.

    The stage's modal dialog goes a moment after the next card's button has come. Until then nothing else
    takes the focus or a click: what is done in that moment lands on the body.
    """
    page.wait_for_function(
        """() => {
          const app = document.querySelector('[data-testid="stApp"]')?.dataset;
          const open = [...document.querySelectorAll('[data-testid="stBidiComponentIsolated"]')]
            .some((element) => element.shadowRoot?.querySelector('dialog[open]'));
          return app?.testConnectionState === 'CONNECTED' && app.testScriptState === 'notRunning' && !open;
        }""",
        polling=20,
    )


def click_button(page: Page, name: str, *, press: bool = False) -> None:
    """Clicks one of Streamlit's buttons once it may be clicked, or presses Enter on it."""
    button = page.get_by_role("button", name=name, exact=True)
    expect(button).to_be_enabled()
    rest(page)
    if press:
        button.press("Enter")
    else:
        button.click()


def begin(page: Page, *, press: bool = False) -> None:
    """Starts from a card, by mouse or keyboard, and waits for the stage."""
    click_button(page, "Start", press=press)
    page.wait_for_function(
        """() => [...document.querySelectorAll('[data-testid="stBidiComponentIsolated"]')]
          .some((element) => element.shadowRoot?.querySelector('dialog[open]'))""",
        polling=20,
    )


def walk_to_viewing(page: Page, base: str, invite: str) -> None:
    """From the invite to the viewing check, as a new rater would, in English."""
    page.goto(f"{base}/?invite={invite}")
    page.get_by_text("I have read this and want to take part").click()
    click_button(page, "Continue")
    for answer in ("25 to 34", "good without glasses", "laptop"):
        choice = page.get_by_text(answer, exact=True)
        # what a run has drawn shows that it began: straight after a click, `rest` still sees the one before
        expect(choice).to_be_visible()
        rest(page)
        choice.click()
    click_button(page, "Continue")
    expect(page.get_by_role("heading", name="Viewing check")).to_be_visible()


def see_all_patches(page: Page) -> None:
    """Answers that all eight grey patches are seen: by key.

    The check's own part is drawn a moment after the question below it and moves it down; a mouse whose button
    goes down before and up after that has clicked on nothing.
    """
    rest(page)
    choice = page.get_by_role("radio", name="8", exact=True)
    choice.press("Enter")
    expect(choice).to_be_checked()


def walk_in(page: Page, base: str, invite: str) -> None:
    """From the invite to the instructions' button."""
    walk_to_viewing(page, base, invite)
    expect(page.get_by_text("Your window is large enough for every picture.")).to_be_visible()
    see_all_patches(page)
    click_button(page, "Continue")
    expect(page.get_by_role("heading", name="What to do")).to_be_visible()


def keys_in_page(page: Page, keys: str, spacing_ms: float) -> None:
    """Key presses by the page's own clock: on a busy machine Playwright's would come later than meant."""
    page.evaluate(
        """async ([keys, spacing]) => {
          const begin = performance.now();
          for (let k = 0; k < keys.length; k += 1) {
            const event = { key: keys[k], code: `Digit${keys[k]}`, bubbles: true, composed: true };
            document.body.dispatchEvent(new KeyboardEvent('keydown', event));
            document.body.dispatchEvent(new KeyboardEvent('keyup', event));
            const wait = begin + (k + 1) * spacing - performance.now();
            await new Promise((resolve) => setTimeout(resolve, Math.max(0, wait)));
          }
        }""",
        [keys, spacing_ms],
    )


def click_twice_in_page(page: Page, score: int, gap_ms: float) -> None:
    """Two clicks on a score's button, ``gap_ms`` apart by the page's own clock."""
    page.evaluate(
        """async ([score, gap]) => {
          const button = [...document.querySelectorAll('[data-testid="stBidiComponentIsolated"]')]
            .map((e) => e.shadowRoot?.querySelector(`[data-score="${score}"]`)).find(Boolean);
          button.click();
          if (gap > 0) await new Promise((resolve) => setTimeout(resolve, gap));
          button.click();
        }""",
        [score, gap_ms],
    )
