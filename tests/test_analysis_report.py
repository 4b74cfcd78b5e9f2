"""The report page: complete, self-contained, escaped, and its viewer in a real browser."""

from __future__ import annotations

import json
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from analysis_synthetic import paper_means, write_study
from PIL import Image
from test_analysis_figures import make_ablation, make_run, make_store
from typer.testing import CliRunner

from analysis.cli import app, main
from analysis.io.metrics import COLUMNS
from analysis.report.page import _linked, _script_json
from analysis.report.viewer import ViewerImage, ViewerVersion
from analysis.tables.grid import Cell, Column, Grid, Table
from analysis.tables.html import to_html
from analysis.tables.outliers import viewer_link
from repro.core.paths import Results
from repro.core.streams import stream
from repro.papers.srgan import TABLE1, TABLE2

pytestmark = pytest.mark.xdist_group("analysis_report")  # its fixtures are made once


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    found = Results(tmp_path_factory.mktemp("report"))
    make_store(found)
    make_run(found)
    make_ablation(found)
    write_study(
        found.root / "studies" / "paper-synthetic" / "export" / "ratings.csv",
        stream(2, "report"),
        {("Set14", "bicubic"): 1.8, ("Set14", "SRGAN-VGG54"): 3.7},
        raters=6,
        images_per_dataset={"Set14": 8},
    )
    return found


@pytest.fixture(scope="module")
def page(results: Results) -> Path:
    run = CliRunner().invoke(app, ["report", "--results", str(results.root)])
    assert run.exit_code == 0, run.output
    path = results.root / "report" / "report.html"
    assert run.output.strip().splitlines()[-1].endswith(str(path))
    return path


def test_the_page_has_everything_and_needs_no_network(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for words in (
        'id="verdict"', 'id="table1"', 'id="table2"', 'id="claims"', 'id="figure2"', 'id="figure6"',
        'id="mos"',
        'id="significance"', 'id="pairs"', 'id="reliability"', 'id="raters"', 'id="perimage"', 'id="v-index"',
        "runs/SRGAN-VGG54-quick-s0/manifest.json", "SYNTHETIC RATERS", "random features, not SRGAN-VGG54",
        "shortened schedule", "default-src &#39;none&#39;",
    ):  # fmt: skip
        assert words in text or words.replace("&#39;", "'") in text, words
    without_data = re.sub(r"data:image/webp;base64,[A-Za-z0-9+/=]+", "", text)
    assert not re.search(r"""(src|href)=["'](?!#)""", without_data.replace('src=""', ""))
    assert "http" not in without_data.split("</head>")[1].replace("http-equiv", "")
    assert text.index('id="verdict"') < text.index('id="tables"')


def test_synthetic_votes_are_not_counted_as_reproduced(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "MOS: not judged, the raters are synthetic." in text
    assert "†" in text  # 8 of 14 images were rated: not judged either
    assert page.stat().st_size < 10_000_000
    assert text.index('class="headline"') < text.index('class="first"') < text.index('id="tables"')


def test_the_page_is_the_same_twice(page: Path, results: Results) -> None:
    before = page.read_bytes()
    CliRunner().invoke(app, ["report", "--results", str(results.root)])
    assert page.read_bytes() == before


def test_names_from_files_cannot_become_markup(tmp_path: Path) -> None:
    results = Results(tmp_path)
    make_store(results)
    (results.method_folder("Set14", "bicubic") / "manifest.json").write_text(
        json.dumps(
            {
                "notes": ["</script><script>alert(1)</script>"],
                "inputs": {"reference <script>alert(2)</script>.png": "c0ffee"},
            }
        )
    )
    run = CliRunner().invoke(app, ["report", "--results", str(tmp_path)])
    assert run.exit_code == 0, run.output
    text = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text
    # references that a method was given are listed
    assert "&lt;script&gt;alert(2)&lt;/script&gt;.png</td><td><code>c0ffee</code>" in text
    assert "</script>" not in _script_json({"a": "</script>"})


def test_tables_link_to_images_that_the_viewer_has() -> None:
    def table(link: str) -> Table:
        return Table("t", "t", (Grid("", (Column("a", "a"),), ((Cell("x", link=link),),)),))

    viewed = ViewerImage("Set14", "img 1", "img 1", "", (ViewerVersion("bicubic", "", ""),))
    there = viewer_link("Set14", "img 1", "bicubic")
    assert f'<a href="#{there}">x</a>' in to_html(_linked(table(there), [viewed]))
    assert "<a " not in to_html(_linked(table(viewer_link("Set14", "img 2", "bicubic")), [viewed]))


def test_metrics_alone_make_a_page(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text(",".join(COLUMNS) + "\nsample,a,bicubic,daala,psnr_db,28.4,,\n")
    run = CliRunner().invoke(app, ["report", "--results", str(tmp_path)])
    assert run.exit_code == 0, run.output
    text = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "Nothing here can be compared with the paper" in text
    assert "holds no two versions" in text
    assert "Not drawn" in text


@pytest.mark.parametrize("command", ["tables", "figures", "report"])
def test_bad_input_ends_with_code_2(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["analysis", command, "--results", str(tmp_path)])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert "python -m repro evaluate" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_error_ends_the_process_without_a_traceback(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "analysis", "tables", "--results", str(tmp_path)],
        capture_output=True, text=True, timeout=120, cwd=Path(__file__).resolve().parent.parent,
    )  # fmt: skip
    assert run.returncode == 2
    assert "python -m repro evaluate" in run.stderr
    assert "Traceback" not in run.stderr


def test_analysis_loads_neither_torch_nor_streamlit_nor_sql() -> None:
    assert callable(main)
    code = (
        "import sys, analysis\n"
        "assert not {'numpy', 'pandas', 'matplotlib'} & set(sys.modules), 'importing the package is light'\n"
        "import analysis.cli\n"
        "bad = {'torch', 'streamlit', 'sqlalchemy', 'mos_app', 'matplotlib.pyplot'} & set(sys.modules)\n"
        "assert not bad, bad\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, timeout=120, cwd=Path(__file__).resolve().parent.parent,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr


@pytest.mark.slow
def test_a_full_study_is_analysed_in_a_minute_within_two_gib(tmp_path: Path) -> None:
    write_study(
        tmp_path / "studies" / "paper-synthetic" / "export" / "ratings.csv", stream(3, "speed"), paper_means()
    )
    images = {"Set5": 5, "Set14": 14, "BSD100": 100}
    lines = [
        f"{dataset},img_{number:03d},{method},daala,{metric},{value},,"
        for (dataset, method), cell in {**TABLE2, **TABLE1}.items()
        for number in range(1, images[dataset] + 1)
        for metric, value in (("psnr_db", cell.psnr_db), ("ssim", cell.ssim))
    ]
    (tmp_path / "metrics.csv").write_text("\n".join([",".join(COLUMNS), *lines]) + "\n")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for command in ("tables", "figures", "report"):
        subprocess.run(
            [sys.executable, "-m", "analysis", command, "--results", str(tmp_path)],
            check=True, capture_output=True, cwd=Path(__file__).resolve().parent.parent,
        )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # processor time: what other processes do on the machine does not count
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    peak = after.ru_maxrss / 2**20
    print(f"tables, figures and report: {seconds:.1f} s of processor time, peak {peak:.2f} GiB")
    assert seconds < 60
    assert peak < 2


# --- the viewer in Chromium -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium() -> Iterator[object]:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1400,1100",
    ]

    def launch(ratio: float):
        return playwright.chromium.launch(
            executable_path=program, args=[*arguments, f"--force-device-scale-factor={ratio}"]
        )

    with sync_playwright() as playwright:
        yield launch


def opened(browser, page: Path):
    """The page without a network; whatever it asks for or complains of is kept."""
    context = browser.new_context(no_viewport=True, offline=True)
    tab = context.new_page()
    trouble: list[str] = []
    tab.on("pageerror", lambda error: trouble.append(str(error)))
    tab.on("console", lambda message: trouble.append(message.text) if message.type == "error" else None)
    tab.on(
        "request",
        lambda request: (
            None if request.url.startswith(("file:", "data:")) else trouble.append(request.url[:80])
        ),
    )
    tab.goto(page.as_uri())
    tab.wait_for_function("document.getElementById('v-img-right').naturalWidth > 0")
    tab.evaluate("document.getElementById('v-stage').scrollIntoView()")
    return tab, trouble


def shown(tab, tmp_path: Path, ratio: float) -> np.ndarray:
    """The stage as the screen shows it, in device pixels."""
    tab.wait_for_timeout(150)
    path = tmp_path / "stage.png"
    tab.screenshot(path=path)
    picture = np.asarray(Image.open(path).convert("RGB"))
    box = tab.locator("#v-stage").bounding_box()
    left, top = round(box["x"] * ratio), max(0, round(box["y"] * ratio))
    return picture[
        top : round((box["y"] + box["height"]) * ratio), left : round((box["x"] + box["width"]) * ratio)
    ]


def occurs(haystack: np.ndarray, needle: np.ndarray) -> bool:
    height, width = needle.shape[:2]
    for top, left in np.argwhere((haystack == needle[0, 0]).all(axis=2)):
        part = haystack[top : top + height, left : left + width]
        if part.shape == needle.shape and (part == needle).all():
            return True
    return False


@pytest.mark.browser
@pytest.mark.parametrize("ratio", [1, 1.25, 2])
def test_the_viewer_shows_whole_pixels_at_every_device_ratio(
    chromium, page: Path, results: Results, tmp_path: Path, ratio: float
) -> None:
    browser = chromium(ratio)
    try:
        tab, trouble = opened(browser, page)
        assert tab.evaluate("devicePixelRatio") == ratio
        tab.select_option("#v-left", label="bicubic")
        tab.select_option("#v-right", label="SRGAN-VGG54")
        for zoom in (2, 1):
            assert tab.locator("#v-zoom").inner_text() == f"{zoom}×"
            for value, method in ((1000, "bicubic"), (0, "SRGAN-VGG54")):
                tab.locator("#v-slider").fill(str(value))
                stored = np.asarray(Image.open(results.image("Set14", method, "img_001")))
                # the top rows: the stage may reach below the window
                needle = stored.repeat(zoom, axis=0).repeat(zoom, axis=1)[: 60 * zoom]
                assert occurs(shown(tab, tmp_path, ratio), needle), (method, zoom)
            tab.click("#v-out")
        assert trouble == []
    finally:
        browser.close()


@pytest.mark.browser
def test_the_viewers_controls(chromium, page: Path, results: Results, tmp_path: Path) -> None:
    browser = chromium(1)
    try:
        tab, trouble = opened(browser, page)
        names = tab.eval_on_selector_all("#v-image option", "all => all.map(o => o.textContent)")
        assert names == ["baboon (img_001)", "comic (img_005)"]
        tab.select_option("#v-image", label="comic (img_005)")
        tab.select_option("#v-left", label="HR")
        assert "left: HR" in tab.locator("#v-words").inner_text()
        assert "random features" in tab.locator("#v-words").inner_text()
        # both versions keep to one place and size in both views, after zooming and panning
        for mode in ("slider", "beside"):
            tab.select_option("#v-mode", mode)
            for _ in range(6):
                tab.click("#v-in")
            tab.locator("#v-stage").focus()
            tab.keyboard.press("ArrowRight")
            tab.keyboard.press("ArrowDown")
            places = [
                tab.evaluate(f"(() => {{ const s = document.getElementById('v-img-{side}').style;"
                             "return [s.left, s.top, s.width, s.height]; })()")
                for side in ("left", "right")
            ]  # fmt: skip
            assert places[0] == places[1]
        assert tab.locator("#v-zoom").inner_text() == "14×"
        tab.select_option("#v-mode", "slider")
        box = tab.locator("#v-stage").bounding_box()
        tab.mouse.move(box["x"] + 100, box["y"] + 100)
        tab.mouse.down()
        tab.mouse.move(box["x"] + box["width"] / 4, box["y"] + 100)
        tab.mouse.up()
        assert int(tab.locator("#v-slider").input_value()) == pytest.approx(250, abs=3)
        # what a table's link opens
        tab.evaluate("location.hash = '#view=Set14/img_001/SRGAN-MSE'")
        tab.wait_for_function("document.getElementById('v-words').textContent.includes('right: SRGAN-MSE')")
        assert tab.locator("#v-image option:checked").inner_text() == "baboon (img_001)"
        assert "left: HR" in tab.locator("#v-words").inner_text()
        assert trouble == []
    finally:
        browser.close()


# --- whole tables with votes ---------------------------------------------------------------------


def tables_with(results: Results, lines: list[str], *, folder: str = "paper") -> str:
    """What ``tables`` prints with these votes beside the store's scores."""
    from analysis.io.ratings import COLUMNS as VOTES

    path = results.root / "studies" / folder / "export" / "ratings.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([",".join(VOTES), *lines]) + "\n")
    run = CliRunner().invoke(app, ["tables", "--results", str(results.root)])
    assert run.exit_code == 0, run.output
    return run.output


def vote(rater: int, image: str, method: str, score: int, repeat: int = 0) -> str:
    return f"s,r{rater:02d},Set14,{image},{method},{repeat},1,{rater + 1},{score},900,0,0,0"


@pytest.fixture
def scored(tmp_path: Path) -> Results:
    found = Results(tmp_path)
    make_store(found)
    return found


def test_strangers_among_the_votes_are_footnoted(scored: Results) -> None:
    lines = [
        vote(rater, image, method, 2 + (rater + number) % 3)
        for rater in range(4)
        for number, image in enumerate(("img_001", "img_099"))
        for method in ("bicubic", "mystery")
    ]
    tables_with(scored, lines)
    text = (scored.tables / "judgements.md").read_text()
    assert "1 rated image of Set14 without a score in metrics.csv (img_099)" in text
    assert "2 of the data set's 14 images were rated" in text
    row = next(line for line in text.splitlines() if line.startswith("| mystery"))
    assert "MOS" in row
    assert "SYNTHETIC" not in text


def test_missing_votes_a_single_rater_and_an_empty_study_are_footnoted(scored: Results) -> None:
    lines = [vote(r, i, "bicubic", 3) for r in range(3) for i in ("img_001", "img_005")][:-1]
    supplement = scored.tables / "judgements.md"
    tables_with(scored, lines)
    assert "incomplete: 1 of 6 votes of the full design are missing" in supplement.read_text()
    tables_with(scored, [vote(0, i, "bicubic", 3) for i in ("img_001", "img_005")])
    alone = supplement.read_text()
    assert "no interval: it needs at least two raters and two images" in alone
    row = next(line for line in alone.splitlines() if line.startswith("| bicubic") and "3.00" in line)
    assert "3.00†[" in row
    assert "not all of the data set's images were rated" in row
    tables_with(scored, [])
    assert "study 'paper' has no votes yet" in supplement.read_text()
    assert not (scored.tables / "mos.csv").exists()


def test_a_pilot_gets_its_report_and_its_claim(scored: Results) -> None:
    rng = stream(5, "pilot")
    lines = []
    for rater in range(12):
        for number in range(10):
            score = int(rng.integers(2, 5))
            lines += [vote(rater, f"img_{number:03d}", "bicubic", score, repeat) for repeat in (0, 1)]
    text = tables_with(scored, lines, folder="pilot")
    assert "GO: raters repeat themselves" in text
    assert "pairs of votes,120," in (scored.tables / "retest.csv").read_text()
    claim = next(line for line in text.splitlines() if line.startswith("| Raters do not differ"))
    assert claim.count(" holds ") == 2


def test_one_method_only_and_constant_votes_make_no_noise(scored: Results) -> None:
    tables_with(scored, [vote(r, i, "HR", 5) for r in range(6) for i in ("img_001", "img_005")])
    assert "Set14,HR,5,5,5," in (scored.tables / "mos.csv").read_text()
    run = CliRunner().invoke(app, ["report", "--results", str(scored.root)])
    assert run.exit_code == 0, run.output
