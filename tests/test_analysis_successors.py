"""Table S: printed values beside the store's, each under its own protocol."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from analysis.io.metrics import COLUMNS, read_metrics
from analysis.io.numbers import DASH
from analysis.tables.grid import Grid
from analysis.tables.markdown import to_markdown
from analysis.tables.successors import successor_methods, table_s
from repro.core.paths import Results
from repro.papers.printed import DATASETS
from repro.papers.protocols import PSNR_SSIM
from repro.papers.successors import PAPERS


def rows_of(grid: Grid) -> dict[str, dict[str, str]]:
    keys = [column.key for column in grid.columns]
    return {row[0].text: dict(zip(keys, [cell.text for cell in row], strict=True)) for row in grid.rows}


@pytest.fixture
def grids(tmp_path: Path) -> dict[str, Grid]:
    lines = [",".join(COLUMNS)]
    for number in range(1, 6):
        for method, protocol, psnr in (
            ("SAN (authors)", "ychannel-1", 32.61),
            ("SAN (authors)", "daala-1", 99.0),
            ("Meta-SR", "ychannel-edsr-1", 32.5),
            ("Meta-SR", "ychannel-1", 99.0),
        ):
            lines.append(f"Set5,img_{number:03d},{method},{protocol},psnr_db,{psnr},,")
    lines.append("Set5,img_001,SRFBN,ychannel-1,psnr_db,30,,")
    lines.append("Set14,img_001,ESRGAN (authors),ychannel-1,psnr_db,20.324,,")
    lines.append("Set14,img_001,SRGAN-VGG54 (authors),ychannel-1,psnr_db,21.1,,")
    (tmp_path / "metrics.csv").write_text("\n".join(lines) + "\n")
    return {grid.name: grid for grid in table_s(read_metrics(Results(tmp_path))).grids}


def test_values_stand_under_their_own_protocol(grids: dict[str, Grid]) -> None:
    set5 = rows_of(grids["Set5"])
    assert set5["SAN (authors)"]["psnr_db"] == "32.61"
    assert set5["SAN (authors)"]["psnr_db_printed"] == "32.64"
    assert set5["SAN (authors)"]["psnr_db_difference"] == "−0.03"
    assert (set5["Meta-SR"]["psnr_db"], set5["Meta-SR"]["protocol"]) == ("32.50", "ychannel-edsr-1")
    assert set5["SelfExSR"]["protocol"] == "ychannel-u8-1"
    assert "SAN" not in set5, "the authors' images stand for it"


def test_a_mean_of_some_images_is_not_compared(grids: dict[str, Grid]) -> None:
    (row,) = (row for row in grids["Set5"].rows if row[0].text == "SRFBN")
    assert row[3].text == "30.00†"  # marked wherever it stands
    assert row[3].notes == ("mean of 1 of 5 images",)
    assert row[4].text == DASH


def test_baboon_is_one_image(grids: dict[str, Grid]) -> None:
    baboon = rows_of(grids["Set14 baboon"])
    assert baboon["ESRGAN (authors)"]["psnr_db_difference"] == "−0.03"
    assert baboon["SRGAN-VGG54 (authors)"]["psnr_db_printed"] == "21.15"
    assert "SRGAN-VGG54 (authors)" not in rows_of(grids["Set14"])


def test_what_was_not_verified_says_so(grids: dict[str, Grid]) -> None:
    told = rows_of(grids["Without printed values"])
    assert set(told) == {"SROBB", "SRNTT", "CrossNet"}
    assert all("not verified" in row["why"] for row in told.values())


def test_the_papers_as_data() -> None:
    assert successor_methods() >= {"ESRGAN", "RankSRGAN", "SROBB", "SRFBN", "SAN", "Meta-SR", "SRNTT"}
    for paper in PAPERS:
        assert "20" in paper.citation
        for row in paper.printed:
            assert row.protocol in PSNR_SSIM
            assert set(row.scores) <= set(DATASETS)
            for psnr_db, ssim in row.scores.values():
                assert 15 < psnr_db < 40
                assert ssim is None or 0.5 < ssim < 1
                assert math.isclose(psnr_db, round(psnr_db, 2))


def test_without_any_scores_the_printed_values_stand(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text(",".join(COLUMNS) + "\n")
    text = to_markdown(table_s(read_metrics(Results(tmp_path))))
    assert "32.47" in text
    assert "each row under the protocol" in text
