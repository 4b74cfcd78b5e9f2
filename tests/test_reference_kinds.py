"""What a reference brings: measured by kind, written, tabulated and drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from train_helpers import Picture

from analysis.figures.drawing import Drawing, Missing
from analysis.figures.references import references_figure
from analysis.io.references import gains, read_references
from analysis.tables.markdown import to_markdown
from analysis.tables.references import references_table
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.data.pairs import cufed5
from repro.data.sample import PHOTOGRAPHS, photograph_path
from repro.experiments.reference_kinds import KINDS, Row, cufed5_cases, made_cases, measure, write_csv
from repro.imaging.io import read_rgb_u8, write_png
from repro.inference.loading import Loaded
from repro.methods import method
from repro.methods.crossnet import CrossNetGenerator
from repro.nn.transfer import Content, SRNTTGenerator

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One image in CUFED5's layout with two references of other sizes, and a stranger."""
    root = tmp_path_factory.mktemp("cufed5")
    for name, number, size in (("001_0", 1, (106, 202)), ("001_1", 1, (109, 206)), ("001_2", 2, (106, 198))):
        write_png(root / f"{name}.png", Picture(number, *size).load_u8())
    (root / "other").mkdir()
    write_png(root / "other" / "001_0.png", Picture(9).load_u8())
    write_png(root / "other" / "001_1.png", Picture(9).load_u8())
    return root


def _rows(folder: Path, key: str) -> list[Row]:
    torch.manual_seed(0)
    network = SRNTTGenerator(4, 1, 1) if key == "srntt" else CrossNetGenerator(4)
    loaded = Loaded(method(key), network.eval(), 4, {"variant": key.upper(), "run": "r"})
    strangers = [pair.image for pair in cufed5(folder / "other")]
    (case,) = cufed5_cases(cufed5(folder), strangers)
    found = list(measure(loaded, [case], CPU))
    assert len(found) == case.count(loaded.method.several_references)
    assert all(sr.shape == (104, 200, 3) for _, sr in found)
    return [row for row, _ in found]


def test_every_kind_is_measured_told_and_drawn(folder: Path, tmp_path: Path) -> None:
    rows = [*_rows(folder, "srntt"), *_rows(folder, "crossnet")]
    expected = ["none", "same", "similar", "similar", "similar", "unrelated", "noise"]
    assert [row.kind for row in rows[:7]] == expected
    assert [row.kind for row in rows[7:]] == [*expected[:2], *expected[3:]]  # one reference at a time
    assert set(expected) == set(KINDS)
    assert rows[4].reference == "all 2"
    assert len({row.pixels_sha256 for row in rows[:7]}) == 7
    assert rows[7].pixels_sha256 == rows[0].pixels_sha256
    made = [row._replace(dataset="made", psnr_db=row.psnr_db + 9) for row in rows]  # of the same name
    write_csv(tmp_path / "references.csv", [*rows, *made])
    frame = read_references(Results(tmp_path))
    assert frame is not None
    own = [row.psnr_db - rows[0].psnr_db for row in rows[:7]]
    for first in (0, len(rows)):
        assert np.allclose(gains(frame)["gain_db"][first : first + 7], own)
    text = to_markdown(references_table(frame))
    for heading in ("CUFED5, SRNTT", "CUFED5, CROSSNET", "made, SRNTT", "made, CROSSNET"):
        assert f"### {heading}\n" in text
    drawing = references_figure(frame)
    assert isinstance(drawing, Drawing)
    assert drawing.png[:4] == b"\x89PNG"


def test_made_references_are_of_the_photograph_or_of_another() -> None:
    cases = made_cases()
    assert len({case.name for case in cases}) == len(cases) == 5
    whole = {photograph.sha256 for photograph in PHOTOGRAPHS}
    for case in cases:
        pixels = [one.load_u8() for one in (case.image, *case.similar, *case.unrelated)]
        assert {image.shape for image in pixels} == {(200, 200, 3)}
        assert [one.sha256 == case.image.sha256 for one in (*case.similar, *case.unrelated)] == [1, 1, 0]
        assert case.unrelated[0].sha256 in whole
        assert not any(np.array_equal(pixels[0], other) for other in pixels[1:])
    photograph = read_rgb_u8(photograph_path(PHOTOGRAPHS[0]))
    assert np.array_equal(cases[0].image.load_u8(), photograph[:200, 132:332])
    other = cases[0].similar[0].load_u8()  # untouched: its first row is somewhere in the photograph
    assert any(np.array_equal(photograph[y, x : x + 200], other[0]) for y in range(313) for x in range(313))
    again = [
        np.array_equal(a.similar[1].load_u8(), b.similar[1].load_u8())
        for a, b in zip(cases, made_cases(), strict=True)
    ]
    assert all(again)


def test_an_unrelated_reference_that_hurts_is_told(tmp_path: Path) -> None:
    rows = [
        Row("M", "d", "i", kind, kind, "0", psnr, 0.5, 4.0, "ychannel-1", "")
        for kind, psnr in (("none", 30.0), ("unrelated", 29.8), ("noise", 29.95))
    ]
    write_csv(tmp_path / "references.csv", rows)
    frame = read_references(Results(tmp_path))
    assert frame is not None
    (grid,) = references_table(frame).grids
    assert [bool(line[6].notes) for line in grid.rows] == [False, True, False]


def test_missing_and_wrong_files_are_answered(tmp_path: Path) -> None:
    assert read_references(Results(tmp_path)) is None
    assert isinstance(references_figure(None), Missing)
    write_csv(tmp_path / "references.csv", [])
    assert isinstance(references_figure(read_references(Results(tmp_path))), Missing)
    write_csv(tmp_path / "references.csv", [Row("M", "d", "i", "kin", "x", "0", 1.0, 1.0, 1.0, "p", "")])
    with pytest.raises(UserError, match="kind 'kin'"):
        read_references(Results(tmp_path))
    content = Loaded(method("srntt_content"), Content(4, 1), 4, {})
    with pytest.raises(UserError, match="takes no reference"):
        next(measure(content, [], CPU))
    Image.new("RGB", (40, 40)).save(tmp_path / "001_0.png")
    with pytest.raises(UserError, match="no reference beside it"):
        cufed5(tmp_path)
