"""Tables 1 and 2: figures, differences, verdicts, footnotes, and the four formats."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from analysis_synthetic import write_study
from test_analysis_paired import write_pairs
from test_analysis_plan import paper
from typer.testing import CliRunner

from analysis.cli import app
from analysis.io.metrics import COLUMNS, read_metrics
from analysis.io.numbers import number, printed_difference, signed
from analysis.judge.deviations import deviations
from analysis.judge.error_rates import Rate, settings
from analysis.judge.values import Judge
from analysis.study.opinions import NoOpinions
from analysis.tables.csv_text import to_csv
from analysis.tables.error_rates import KEY, error_table
from analysis.tables.grid import Cell, Column, Grid, Table
from analysis.tables.html import to_html
from analysis.tables.latex import to_latex
from analysis.tables.main import deviation_table, judgements, table1, table2
from analysis.tables.markdown import to_markdown
from analysis.tables.scores import all_scores
from analysis.tables.summary import summary_table
from analysis.tables.webpage import to_page
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.core.streams import stream
from repro.papers.srgan import IMAGES_PER_DATASET, TABLE1, TABLE2, VERSIONS_SET5_SET14

HEADER = ",".join(COLUMNS)


def metrics_lines(scores: dict[tuple[str, str], tuple[float, float]], images: dict[str, int]) -> list[str]:
    """CSV lines in which every image of (data set, method) has the same PSNR and SSIM."""
    return [
        f"{dataset},img_{number:03d},{method},daala,{metric},{value},,"
        for (dataset, method), pair in scores.items()
        for number in range(1, images[dataset] + 1)
        for metric, value in zip(("psnr_db", "ssim"), pair, strict=True)
    ]


def results_with(tmp_path: Path, lines: list[str]) -> Results:
    (tmp_path / "metrics.csv").write_text("\n".join([HEADER, *lines]) + "\n")
    return Results(tmp_path)


@pytest.fixture
def as_printed(tmp_path: Path) -> Results:
    """A results folder in which every cell of the paper has the paper's figure."""
    scores = {key: (cell.psnr_db, cell.ssim) for key, cell in {**TABLE2, **TABLE1}.items()}
    return results_with(tmp_path, metrics_lines(scores, IMAGES_PER_DATASET))


def rows_of(table: Table) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(to_csv(table))))


def judged(results: Results) -> list[dict[str, str]]:
    """The rows of the supplement, in which every value is judged."""
    return rows_of(judgements(Judge(read_metrics(results), NoOpinions(), results)))


def both_tables(results: Results) -> tuple[Table, Table]:
    judge = Judge(read_metrics(results), NoOpinions(), results)
    letters = deviations(judge.metrics)
    return table1(judge, letters), table2(judge, letters)


def test_the_papers_own_values_are_never_missed(as_printed: Results) -> None:
    rows = [row for row in judged(as_printed) if row["metric"] != "mos"]
    assert len(rows) == 66
    assert {row["outcome"] for row in rows} == {"reproduced"}
    assert {float(row["difference"]) for row in rows} == {0.0}
    text = to_markdown(both_tables(as_printed)[1])
    assert "≠" not in text.split("| method", 1)[1]
    assert "31.52✓ (31.52)" in text


def test_the_papers_stars_stand_where_it_prints_them(as_printed: Results) -> None:
    losses, baselines = map(to_markdown, both_tables(as_printed))
    assert [value for value in re.findall(r"\((\d\.\d\d\*?)\)", losses) if "*" in value] == ["3.15*", "3.72*"]
    assert "significantly higher" in losses
    assert "(3.72)" in baselines
    assert "significantly higher" not in baselines


@pytest.mark.parametrize(
    ("method", "psnr_off", "ssim_off", "psnr_outcome", "ssim_outcome"),
    [
        ("nearest", 0.01, 0.0, "not reproduced", "reproduced"),
        ("nearest", 0.004, 0.00004, "reproduced", "reproduced"),
        ("SRCNN", 0.01, 0.0002, "reproduced", "not reproduced"),
        # one seed: the spread over seeds (0.03 dB, .001) leaves what lies near the margin open
        ("SRResNet-MSE", 0.05, -0.0013, "reproduced", "reproduced"),
        ("SRResNet-MSE", -0.11, 0.0031, "undecided", "undecided"),
        ("SRResNet-MSE", -0.15, 0.0047, "not reproduced", "not reproduced"),
        ("SRGAN-VGG54", 0.03, 0.003, "reproduced", "reproduced"),
        ("SRGAN-VGG54", -0.16, 0.0101, "undecided", "undecided"),
        ("SRGAN-VGG54", -0.27, 0.017, "not reproduced", "not reproduced"),
        ("SRGAN-VGG54 (authors)", 0.01, 0.0, "not reproduced", "reproduced"),
    ],
)
def test_three_verdicts_turn_at_the_margin(
    tmp_path: Path, method: str, psnr_off: float, ssim_off: float, psnr_outcome: str, ssim_outcome: str
) -> None:
    paper = TABLE2["Set14", method.split(" ")[0]]
    results = results_with(
        tmp_path,
        metrics_lines({("Set14", method): (paper.psnr_db + psnr_off, paper.ssim + ssim_off)}, {"Set14": 14}),
    )
    found = {
        row["metric"]: row for row in judged(results) if (row["dataset"], row["method"]) == ("Set14", method)
    }
    assert (found["psnr_db"]["outcome"], found["ssim"]["outcome"]) == (psnr_outcome, ssim_outcome)
    if psnr_outcome == "undecided":
        assert (
            "training seeds would decide" in found["psnr_db"]["why"] or "too near" in found["psnr_db"]["why"]
        )


@pytest.mark.parametrize("dataset", ["Set5", "Set14", "BSD100"])
def test_golden_scores_give_the_papers_nearest_and_bicubic_rows(
    tmp_path: Path, golden: Path, dataset: str
) -> None:
    with (golden / "daala_x4.csv").open() as file:
        lines = [
            f"{row['dataset']},{row['image']},{row['method']},daala,{metric},{row[metric]},,"
            for row in csv.DictReader(file)
            for metric in ("psnr_db", "ssim")
        ]
    found = [
        row["outcome"]
        for row in judged(results_with(tmp_path, lines))
        if row["dataset"] == dataset and row["method"] in {"nearest", "bicubic"} and row["metric"] != "mos"
    ]
    assert found == ["reproduced"] * 4


def test_a_partial_mean_is_marked_everywhere_and_neither_judged_nor_bold(tmp_path: Path) -> None:
    lines = metrics_lines(
        {("Set5", "SRResNet-MSE"): (32.05, 0.9019), ("Set5", "SRGAN-MSE"): (30.0, 0.8)}, {"Set5": 5}
    )
    lines = [line for line in lines if not line.startswith("Set5,img_003,SRResNet-MSE")]
    results = results_with(tmp_path, lines)
    metrics = read_metrics(results)
    one, two = both_tables(results)
    made = [one, two, all_scores(metrics, deviations(metrics)), summary_table(metrics)]
    for table in [*made, judgements(Judge(metrics, NoOpinions(), results))]:
        text = to_markdown(table)
        # never without its mark, but as the paper's own value
        assert "32.05†" in text or "32.05 / .9019†" in text, table.key
        assert "**32.05" not in text
    rows = [row for row in judged(results) if (row["dataset"], row["method"]) == ("Set5", "SRResNet-MSE")]
    found = {row["metric"]: row for row in rows}
    assert found["psnr_db"]["outcome"] == "not judged"
    assert found["psnr_db"]["why"] == "mean of 4 of 5 images"


def test_every_missing_value_says_why(tmp_path: Path) -> None:
    results = results_with(tmp_path, metrics_lines({("Set5", "bicubic"): (28.43, 0.8211)}, {"Set5": 5}))
    (results.method_folder("Set5", "SRCNN")).mkdir(parents=True)
    (results.image("Set5", "SRCNN", "img_001")).write_bytes(b"x")
    (tmp_path / "metrics.manifest.json").write_text(
        json.dumps({"missing": {"Set5/DRCN": "weights missing: run this"}})
    )
    reasons = {
        (row["dataset"], row["method"], row["metric"]): row["why"]
        for row in judged(results)
        if row["outcome"] == "not judged"
    }
    assert all(reasons.values())
    assert "not scored: python -m repro evaluate" in reasons["Set5", "SRCNN", "psnr_db"]
    assert reasons["Set5", "DRCN", "psnr_db"] == "weights missing: run this"
    assert "not trained" in reasons["Set5", "SRGAN-VGG54", "ssim"]
    assert "make data" in reasons["BSD100", "SRCNN", "psnr_db"]
    assert "no ratings yet" in reasons["Set5", "bicubic", "mos"]


def test_a_data_set_of_our_own_has_no_paper_column_and_says_so(tmp_path: Path) -> None:
    results = results_with(
        tmp_path,
        metrics_lines(
            {("sample", "bicubic"): (27.0, 0.8), ("sample", "SRGAN-VGG54"): (25.0, 0.7)}, {"sample": 4}
        ),
    )
    text = to_markdown(both_tables(results)[1])
    assert "'sample' (crops of scikit-image's bundled photographs) is not one of the paper's" in text
    assert "| paper" not in text
    assert "Set5" not in text.replace("SRResNet", "")
    assert "**27.00**" in text


def test_imported_rows_stand_beside_or_in_place_of_our_own(tmp_path: Path) -> None:
    results = results_with(
        tmp_path,
        metrics_lines(
            {
                ("Set5", "SRCNN (Huang)"): (30.07, 0.8627),
                ("Set5", "SRGAN-VGG54"): (29.0, 0.84),
                ("Set5", "SRGAN-VGG54 (authors)"): (29.40, 0.8472),
                ("Set5", "VDSR (authors)"): (31.33, 0.8922),
            },
            {"Set5": 5},
        ),
    )
    table = both_tables(results)[1]
    names = [row[0].text for row in table.grids[0].rows]
    assert "SRCNN (Huang)" in names
    assert "SRCNN" not in names
    assert names.index("SRGAN-VGG54 (authors)") == names.index("SRGAN-VGG54") + 1
    assert names[-2:] == ["VDSR (authors)", "HR"]
    letters = deviations(read_metrics(results))
    assert letters.letters["images imported (Huang), not computed here"] in letters.marks("SRCNN (Huang)")


def test_notes_of_both_manifests_reach_table_and_stale_images_are_named(tmp_path: Path) -> None:
    lines = [
        line[:-1] + "aaaa," for line in metrics_lines({("Set5", "SRGAN-VGG54"): (29.0, 0.84)}, {"Set5": 5})
    ]
    results = results_with(tmp_path, lines)
    (tmp_path / "metrics.manifest.json").write_text(
        json.dumps({"notes_by_method": {"Set5/SRGAN-VGG54": ["random features, not SRGAN-VGG54"]}})
    )
    folder = results.method_folder("Set5", "SRGAN-VGG54")
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(
        json.dumps({"notes": ["shortened schedule: 60 updates"], "outputs": {"img_001": "bbbb"}})
    )
    metrics = read_metrics(results)
    letters = deviations(metrics)
    marks = letters.marks("SRGAN-VGG54")
    assert len(marks) == 3
    for table in (*both_tables(results), all_scores(metrics, letters)):
        for text in (to_markdown(table), to_html(table), to_latex(table)):
            assert "random features" not in text  # said once, in the table of deviations
        assert f"SRGAN-VGG54 [{', '.join(marks)}]" in to_markdown(table)
        assert rf"SRGAN-VGG54\textsuperscript{{{','.join(marks)}}}" in to_latex(table)
    beside, within = to_page(all_scores(metrics, letters)), to_page(deviation_table(letters))
    assert f'href="deviations.html#deviation-{marks[0]}"' in beside
    assert f'id="deviation-{marks[0]}"' in within
    assert 'href="#deviation-' not in beside
    assert "<script" not in beside
    for text in (render(deviation_table(letters)) for render in (to_markdown, to_csv, to_html, to_latex)):
        assert "random features, not SRGAN-VGG54" in text
        assert "shortened schedule: 60 updates" in text
        assert "the image store has changed since it was scored" in text


def test_nothing_is_said_twice_in_two_wordings(tmp_path: Path) -> None:
    results = results_with(
        tmp_path,
        metrics_lines(
            {("Set5", "SRGAN-MSE"): (29.0, 0.84), ("Set5", "SRGAN-VGG22"): (29.0, 0.84)}, {"Set5": 5}
        ),
    )
    words = {
        "Set5/SRGAN-MSE": ["ema_decay 0.9 (paper: 0.0)"],
        "Set5/SRGAN-VGG22": ["ema_decay 0.9 (paper: none)"],
    }
    (tmp_path / "metrics.manifest.json").write_text(json.dumps({"notes_by_method": words}))
    letters = deviations(read_metrics(results))
    assert list(letters.letters) == ["ema_decay 0.9 (paper: none)"]
    assert letters.named(["SRGAN-MSE", "SRGAN-VGG22"]) == "SRGAN-MSE (a), SRGAN-VGG22 (a)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dataset,image\nSet5,img_001\n", "no column method"),
        ("", "not readable as CSV"),
        (HEADER + "\nSet5,a,bicubic,daala,psnr_db,abc,,\n", "line 2: value 'abc'"),
        (HEADER + "\nSet5,a,bicubic,daala,psnr_db,nan,,\n", "value 'nan'"),
        (HEADER + "\nSet5,a,bicubic,daala,ssim,1.5,,\n", "ssim 1.5"),
        (HEADER + "\nSet5,a,bicubic,other,ssim,0.5,,\n", "protocol 'other'"),
        (HEADER + "\nSet5,a,b,daala,ssim,0.5,,\nSet5,a,b,daala,ssim,0.5,,\n", "line 3: second score"),
        (HEADER + "\nSet5,a,../../b,daala,ssim,0.5,,\n", "'../../b'"),
    ],
)
def test_bad_metrics_are_refused_with_the_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "metrics.csv").write_text(text)
    with pytest.raises(UserError) as caught:
        read_metrics(Results(tmp_path))
    assert message in str(caught.value)


def test_a_folder_without_scores_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="python -m repro evaluate"):
        read_metrics(Results(tmp_path))


def test_differences_are_those_of_the_printed_figures() -> None:
    assert printed_difference(32.0549, 32.05, 2) == 0.0
    assert printed_difference(32.0551, 32.05, 2) == 0.01
    assert printed_difference(float("inf"), float("inf"), 2) == 0.0
    assert printed_difference(30.0, float("inf"), 2) == float("-inf")
    assert (signed(-0.1, 2), signed(0.1, 2), signed(0.0, 2)) == ("−0.10", "+0.10", "0.00")
    assert (signed(-0.001, 2), number(-0.001, 2), number(-0.0, 2)) == ("0.00",) * 3


def test_formats_escape_what_they_must() -> None:
    table = Table(
        "t",
        "A & B <script>",
        (Grid("50%_x", (Column("m", "m|n", numeric=False),), ((Cell("<b>|$", "=1+1", ("note #1",)),),)),),
    )
    assert "\\|" in to_markdown(table)
    assert "<script>" not in to_html(table)
    assert r"A \& B" in to_latex(table)
    assert r"50\%\_x" in to_latex(table)
    assert "'=1+1" in to_csv(table)


def test_the_command_prints_markdown_and_ends_with_the_folder(as_printed: Results) -> None:
    run = CliRunner().invoke(app, ["tables", "--results", str(as_printed.root)])
    assert run.exit_code == 0, run.output
    assert "## Table 1" in run.output
    assert "## Table 2" in run.output
    assert run.output.strip().splitlines()[-1].endswith(str(as_printed.tables))
    before = {path.name: path.read_bytes() for path in as_printed.tables.iterdir()}
    assert before["verdict.md"].decode() in run.output
    assert b"24 of 24 PSNR and SSIM values of the networks trained here" in before["verdict.md"]
    CliRunner().invoke(app, ["tables", "--results", str(as_printed.root)])
    assert {path.name: path.read_bytes() for path in as_printed.tables.iterdir()} == before


def test_the_summary_has_ours_theirs_and_the_papers_side_by_side(as_printed: Results) -> None:
    table = summary_table(read_metrics(as_printed))
    rows = {row[0].text: row for row in table.grids[0].rows}
    for method in ("nearest", "SRCNN", "SRGAN-VGG54"):
        ours, _, paper = rows[method][1].text.partition(" <sub>")
        assert ours + "</sub>" == paper
        assert rows[method][1].bold
    assert rows["SRCNN"][1].text == "30.07 / .8627 <sub>30.07 / .8627</sub>"
    assert rows["SRGAN-MSE"][3].text.endswith("<sub>–</sub>")  # the paper has no such figure on BSD100
    assert not rows["SRGAN-MSE"][3].bold


PUBLISHED = Path(__file__).resolve().parent.parent / "results" / "published"


def compiled(folder: Path) -> str:
    """What pdflatex says of the document with all tables and figures, which must all fit the page."""
    pdflatex = shutil.which("pdflatex")
    if pdflatex is None:
        pytest.skip("pdflatex is not installed")
    run = subprocess.run(
        [pdflatex, "-interaction=nonstopmode", "-halt-on-error", "all.tex"],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        env={**os.environ, "max_print_line": "2000"},  # else the log breaks names in two
    )
    assert run.returncode == 0, run.stdout[-3000:]
    for complaint in ("Overfull", "Float too large", "Undefined"):
        assert complaint not in run.stdout, run.stdout[run.stdout.index(complaint) :][:500]
    return run.stdout


def test_the_published_document_fits_the_page(tmp_path: Path) -> None:
    for name in ("tables", "figures"):
        shutil.copytree(PUBLISHED / name, tmp_path / name)
    assert "Output written on all.pdf" in compiled(tmp_path / "tables")


def test_latex_compiles(as_printed: Results) -> None:
    means = {("Set14", method): 1.3 + 0.3 * place for place, method in enumerate(VERSIONS_SET5_SET14)}
    path = as_printed.root / "studies" / "paper" / "export" / "ratings.csv"
    write_study(path, stream(0, "latex"), means, raters=4, study="Study_1 & 50%")
    path.with_name("study.toml").write_text(paper())
    pairs = as_printed.root / "studies" / "pairs" / "export" / "pairs.csv"
    pairs.parent.mkdir(parents=True)
    write_pairs(pairs)
    rates = as_printed.root / KEY / f"{KEY}.csv"
    rates.parent.mkdir()
    rates.write_text(to_csv(error_table([Rate(*setting, 200, 0.955, 0.015) for setting in settings()])))
    for command in ("tables", "figures"):
        CliRunner().invoke(app, [command, "--results", str(as_printed.root)])
    said = compiled(as_printed.tables)
    for table in ("plan.tex", "sensitivity.tex", "outliers.tex", "error_rates.tex", "paired_pairs.tex"):
        assert f"({table}" in said or f"./{table}" in said, table
    for drawn in ("scores_Set14.pdf", "rank.pdf", "correlation.pdf"):
        assert drawn in said
