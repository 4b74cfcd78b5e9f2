"""The protocols of the papers after SRGAN against what their authors printed, and their names."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from repro.core.errors import UserError
from repro.evaluation.compare import differences
from repro.evaluation.evaluate import mean_scores
from repro.evaluation.rows import read_rows
from repro.metrics import ychannel
from repro.metrics.protocols import PROTOCOLS, pixels_shaved, protocol_named
from repro.metrics.score import Score, mean_score, score_files, score_pair
from repro.papers.protocols import ALIASES, DESCRIPTIONS, PSNR_SSIM, current_name

SET5 = ("baby", "bird", "butterfly", "head", "woman")
SAN_HR = "SAN/TestCode/HR/Set5/x4/{}_HR_x4.png"


def random_u8(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.data
def test_printed_values_of_rcan_to_six_decimals(data_root: Path) -> None:
    folder = data_root / "RCAN/RCAN_TestCode"
    with (data_root.parent / "golden/rcan_printed_set5.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10
    for row in rows:
        scale, image = row["scale"], row["image"]
        score = score_files(
            folder / f"HR/Set5/{scale}/{image}_HR_{scale}.png",
            folder / f"SR/BI/RCAN/Set5/{scale}/{image}_RCAN_{scale}.png",
            "ychannel-1",
            int(scale[1:]),
        )
        assert abs(score.psnr_db - float(row["psnr_db"])) <= 5e-7, row
        assert abs(score.ssim - float(row["ssim"])) <= 5e-7, row


@pytest.mark.data
@pytest.mark.parametrize(
    ("results", "printed"),
    [
        ("SRFBN/results/SR/BI/SRFBN/Set5/x4/{}_SRFBN_x4.png", (32.47, 0.8983)),
        ("SAN/TestCode/model/BIX4_G20R10P48/results/{}_x4_SR.png", (32.61, 0.9002)),
    ],
)
def test_means_that_srfbn_and_san_printed(
    results: str, printed: tuple[float, float], data_root: Path
) -> None:
    mean = mean_score(
        score_files(data_root / SAN_HR.format(image), data_root / results.format(image), "ychannel-1")
        for image in SET5
    )
    assert (round(mean.psnr_db, 2), round(mean.ssim, 4)) == printed


@pytest.mark.data
def test_baboon_by_esrgan(data_root: Path) -> None:
    """20.35 dB is printed; the published image gives 20.32 under every luma of the field."""
    pair = (
        data_root / "SAN/TestCode/HR/Set14/x4/baboon_HR_x4.png",
        data_root / "ESRGAN/results/baboon_ESRGAN.png",
    )
    assert round(score_files(*pair, "ychannel-1").psnr_db, 2) == 20.32


def test_luma_in_words() -> None:
    """BT.601 and EDSR's coefficients, not rounded: one pixel of each colour."""
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0]]], np.uint8)
    bt601, _ = ychannel.float_planes(colours, colours)
    np.testing.assert_allclose(bt601, [[81.481, 144.553, 40.966, 235, 16]], rtol=1e-7)
    edsr, _ = ychannel.edsr_planes(colours, colours)
    exact = [16 + 255 * c / 256 for c in (65.738, 129.057, 25.064, 219.859, 0)]
    np.testing.assert_allclose(edsr, [exact], rtol=1e-12)


def test_a_greyscale_original_is_used_as_it_is() -> None:
    grey = random_u8(30, 40)
    for planes in (ychannel.float_planes, ychannel.edsr_planes):
        original, result = planes(grey, np.repeat(grey[..., None], 3, axis=2))
        assert np.array_equal(original, grey)
        assert np.array_equal(result, grey)


def test_ssim_with_and_without_the_compiler() -> None:
    a, b = random_u8(33, 47), random_u8(33, 47, seed=1)
    for pair in ((a, b), (a / 1.5, b / 1.1)):
        assert ychannel.ssim(*pair) == pytest.approx(ychannel.ssim(*pair, use_numba=False), abs=1e-13)


def test_the_scale_is_what_is_shaved() -> None:
    assert [pixels_shaved(scale) for scale in (1, 2, 2.3, 3, 4, 8)] == [1, 2, 3, 3, 4, 8]
    hr, sr = random_u8(48, 60, 3), random_u8(48, 60, 3, seed=1)
    for name in PROTOCOLS:
        for scale in (2, 3, 8):
            framed = sr.copy()
            framed[:scale] = framed[-scale:] = 0
            framed[:, :scale] = framed[:, -scale:] = 255
            assert score_pair(hr, framed, name, scale) == score_pair(hr, sr, name, scale)
            assert score_pair(hr, framed, name, scale - 1) != score_pair(hr, sr, name, scale - 1)
    for bad in (0.5, 0, -4, float("nan"), float("inf")):
        with pytest.raises(UserError, match="scale"):
            pixels_shaved(bad)


def test_every_name_is_told_and_measured() -> None:
    assert set(PROTOCOLS) == set(PSNR_SSIM) <= set(DESCRIPTIONS)
    for name in DESCRIPTIONS:
        assert name.rpartition("-")[2].isdecimal(), "names carry a version"
        assert current_name(name) == name
    for old, new in ALIASES.items():
        assert protocol_named(old) is protocol_named(new)
    assert current_name("wang", "lpips") == "rgb-1"
    with pytest.raises(UserError, match="'vmaf'"):
        protocol_named("vmaf")


def test_files_with_the_old_names_are_read(tmp_path: Path) -> None:
    rows = ["dataset,image,method,protocol,metric,value,sha256,run"]
    for protocol, psnr in (("daala", 28.5), ("wang", 27.5)):
        rows += [f"Set5,a,bicubic,{protocol},psnr_db,{psnr},,", f"Set5,a,bicubic,{protocol},ssim,0.8,,"]
    (tmp_path / "metrics.csv").write_text("\n".join([*rows, "Set5,a,bicubic,wang,lpips,0.3,,"]) + "\n")
    read = read_rows(tmp_path / "metrics.csv")
    assert mean_scores(read, "bicubic") == {"Set5": Score(28.5, 0.8)}
    assert mean_scores(read, "bicubic", "ychannel-u8-1") == {"Set5": Score(27.5, 0.8)}


def test_older_values_come_out_again(tmp_path: Path) -> None:
    header = "dataset,image,method,protocol,metric,value,sha256,run\n"
    old, new = tmp_path / "old.csv", tmp_path / "new.csv"
    old.write_text(header + "Set5,a,bicubic,daala,ssim,0.8,ff,\nSet5,a,bicubic,wang,psnr_db,28,ff,\n")
    new.write_text(
        header
        + "Set5,a,bicubic,daala-1,ssim,0.8,ff,\nSet5,a,bicubic,niqe-1,niqe,5,ff,\n"
        + "Set5,a,bicubic,ychannel-u8-1,psnr_db,28,ff,\n"
    )
    assert differences(old, new) == []
    new.write_text(header + "Set5,a,bicubic,daala-1,ssim,0.81,ff,\n")
    assert [line.partition(":")[0] for line in differences(old, new)] == [
        "Set5 a bicubic daala-1 ssim",
        "Set5 a bicubic ychannel-u8-1 psnr_db",
    ]
    with pytest.raises(UserError):
        differences(old, tmp_path / "none.csv")
