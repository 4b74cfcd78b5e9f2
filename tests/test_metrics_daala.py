"""The paper's protocol against the original tools' figures, and the compiled kernels against numpy."""

from __future__ import annotations

import csv
import hashlib
import math
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from repro.imaging.io import read_rgb_u8, read_u8
from repro.imaging.resize import imresize_u8, nearest_u8
from repro.metrics.daala_luma import luma_u8
from repro.metrics.daala_ssim import ssim, window
from repro.metrics.dither import RANGES, DitherStream
from repro.metrics.protocols import PROTOCOLS
from repro.metrics.psnr import psnr_db
from repro.metrics.score import Score, score_files, score_pair
from repro.papers import srgan as paper

SYNTHETIC = ("noise_odd", "binary_noise", "ramps_odd", "tall_narrow", "wide_short", "tiny", "black_white")
INNER = np.s_[4:-4, 4:-4]
BENCHMARKS = "SelfExSR/data/{dataset}/image_SRF_4/{image}_SRF_4_{kind}.png"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def sha256(plane: NDArray[np.uint8]) -> str:
    return hashlib.sha256(np.ascontiguousarray(plane).tobytes()).hexdigest()


def printed(score: Score) -> tuple[str, str]:
    """As the tools print figures: six significant digits."""
    return f"{score.psnr_db:.6g}", f"{score.ssim:.6g}"


def random_u8(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


# --- against the original tools ---------------------------------------------------------------------------


@pytest.mark.parametrize("pair", SYNTHETIC)
@pytest.mark.parametrize("use_numba", [True, False])
def test_synthetic_pairs(golden: Path, pair: str, use_numba: bool) -> None:
    """Odd edges, wrap-around, clipping, windows wider than the image: to the last printed digit."""
    by_name = {row["pair"]: row for row in rows(golden / "synthetic/daala.csv")}
    assert set(by_name) == set(SYNTHETIC)
    expected = by_name[pair]
    a, b = (
        luma_u8(read_rgb_u8(golden / f"synthetic/{pair}_{which}.png")[INNER], use_numba) for which in "ab"
    )
    assert (sha256(a), sha256(b)) == (expected["sha256_luma_a_shaved4"], expected["sha256_luma_b_shaved4"])
    figures = printed(Score(psnr_db(a, b), ssim(a, b, use_numba)))
    assert figures == (expected["psnr_db"], expected["ssim"])


@pytest.mark.data
def test_all_119_luma_planes(data_root: Path, golden: Path) -> None:
    expected = rows(golden / "daala_luma_sha256.csv")
    assert len(expected) == 119
    for row in expected:
        path = data_root / BENCHMARKS.format(dataset=row["dataset"], image=row["image"], kind="HR")
        assert sha256(luma_u8(read_rgb_u8(path)[INNER])) == row["sha256_luma_hr_shaved4"], row


@pytest.mark.data
def test_all_238_interpolated_images_and_the_papers_twelve_figures(data_root: Path, golden: Path) -> None:
    """Each to the last printed digit; their means to the digits of Table 2."""
    expected = rows(golden / "daala_x4.csv")
    assert len(expected) == 238
    scores = []
    for row in expected:
        hr, lr = (
            read_u8(data_root / BENCHMARKS.format(dataset=row["dataset"], image=row["image"], kind=kind))
            for kind in ("HR", "LR")
        )
        sr = {"nearest": nearest_u8, "bicubic": imresize_u8}[row["method"]](lr, 4)
        scores.append(score_pair(hr, sr, "daala"))
    for row, score in zip(expected, scores, strict=True):
        assert printed(score) == (row["psnr_db"], row["ssim"]), row

    means = means_by_cell(expected, scores)
    assert len(means) == 6
    for cell, mean in means.items():
        assert_as_printed(mean, paper.TABLE2[cell])


def reference_result(data_root: Path, row: dict[str, str]) -> Path:
    """The file of one row of reference_results_daala_x4.csv (protocol, section 6)."""
    authors = {"SRResNet-MSE": "SRResNet", "SRGAN-VGG54": "SRGAN"}
    method, name = row["method"], row["name"]
    if method in authors:
        return data_root / f"Super-Resolution/result/{authors[method]}/images/{name}_{method}.png"
    if method in {"DRCN", "VDSR"}:
        return data_root / f"RefESR/Set5/{method}_Set5_x4/{name}_GT.png"
    in_file_name = "glasner" if method == "Glasner" else method
    return data_root / f"RefESR/Set5/Set5_SR/{row['image']}_SRF_4_{in_file_name}.png"


@pytest.mark.data
def test_all_83_published_results_and_the_papers_rows(data_root: Path, golden: Path) -> None:
    expected = rows(golden / "reference_results_daala_x4.csv")
    assert len(expected) == 83
    scores = [
        score_files(
            data_root / BENCHMARKS.format(dataset=row["dataset"], image=row["image"], kind="HR"),
            reference_result(data_root, row),
            "daala",
        )
        for row in expected
    ]
    for row, score in zip(expected, scores, strict=True):
        assert printed(score) == (row["psnr_db"], row["ssim"]), row

    means = means_by_cell(expected, scores)
    # the results that the paper's table was made of; ScSR, Kim, Glasner and VDSR are not in it
    of_the_paper = {
        ("Set5", "nearest"),
        ("Set5", "bicubic"),
        ("Set5", "SRCNN"),
        ("Set5", "SelfExSR"),
        ("Set5", "DRCN"),
        ("Set5", "SRResNet-MSE"),
        ("Set14", "SRResNet-MSE"),
        ("Set5", "SRGAN-VGG54"),
        ("Set14", "SRGAN-VGG54"),
    }
    assert set(means) & set(paper.TABLE2) == of_the_paper
    for cell in of_the_paper:
        assert_as_printed(means[cell], paper.TABLE2[cell])


def means_by_cell(
    of_rows: list[dict[str, str]], scores: list[Score]
) -> dict[tuple[str, str], tuple[float, float]]:
    cells = defaultdict(list)
    for row, score in zip(of_rows, scores, strict=True):
        cells[row["dataset"], row["method"]].append((score.psnr_db, score.ssim))
    return {cell: tuple(np.mean(values, axis=0).tolist()) for cell, values in cells.items()}


def assert_as_printed(mean: tuple[float, float], cell: paper.Cell) -> None:
    assert (f"{mean[0]:.2f}", f"{mean[1]:.4f}") == (f"{cell.psnr_db:.2f}", f"{cell.ssim:.4f}")


# --- the dither ---------------------------------------------------------------------------------------------


def kiss99() -> object:
    """The generator word by word, as the protocol has it."""
    mask = 2**32 - 1
    z, w, jsr, jcong = 362436069, 521288629, 123456789, 380116160
    while True:
        z = (36969 * (z & 65535) + (z >> 16)) & mask
        w = (18000 * (w & 65535) + (w >> 16)) & mask
        mwc = ((z << 16) + w) & mask
        jsr ^= jsr << 17 & mask
        jsr ^= jsr >> 13
        jsr ^= jsr << 5 & mask
        jcong = (69069 * jcong + 1234567) & mask
        yield ((mwc ^ jcong) + jsr) & mask


def slow_dither(blocks: int) -> NDArray[np.int64]:
    words = kiss99()

    def draw(limit: int) -> int:
        return next(word for word in words if word < limit)

    def triangular(span: int) -> int:
        n = span + 1
        limit = (2**32 - 1) // n * n
        return draw(limit) % n - draw(limit) % n

    def rdiv(x: int, y: int) -> int:
        return int(math.copysign((abs(x) + y // 2) // y, x))

    out = np.empty((blocks, 4, 3), np.int64)
    for block in range(blocks):
        deviates = [[triangular(span) for span in RANGES] for _ in range(4)]
        (_, cd, crd) = deviates[0]
        for k, (yd, _, _) in enumerate(deviates):
            out[block, k] = (
                rdiv(2 * yd + 3 * crd, 8176000),
                rdiv(2384 * yd + 361 * cd + 1063 * crd, 9745792000),
                rdiv(2 * yd + 3 * cd, 8176000),
            )
    return out


def test_dither_word_by_word() -> None:
    """The vectorised stream against the plain loop, across the seams of its pieces and of its growth."""
    dither = DitherStream()
    expected = slow_dither(25_000)  # more than two pieces of 2**18 words
    np.testing.assert_array_equal(dither.first(7), expected[:7])
    np.testing.assert_array_equal(dither.first(25_000), expected)
    np.testing.assert_array_equal(dither.first(100), expected[:100])


def test_dither_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        DitherStream().first(10)[0, 0, 0] = 1


# --- compiled and plain -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (1, 9), (2, 2), (3, 5), (64, 48), (75, 61), (40, 301), (400, 30)]
)
def test_compiled_and_plain_give_the_same_bits(height: int, width: int) -> None:
    pytest.importorskip("numba")
    a = random_u8(height, width, 3, seed=height)
    b = np.where(random_u8(height, width, 3, seed=width) > 127, 255, 0).astype(np.uint8)
    planes = [luma_u8(image, use_numba=True) for image in (a, b)]
    for plane, image in zip(planes, (a, b), strict=True):
        np.testing.assert_array_equal(plane, luma_u8(image, use_numba=False))
    assert ssim(*planes, use_numba=True) == ssim(*planes, use_numba=False)


def test_views_are_scored_like_copies() -> None:
    image = random_u8(90, 80, 3)
    assert np.array_equal(luma_u8(image[5:70:2, 3:60]), luma_u8(image[5:70:2, 3:60].copy()))


def test_importing_the_metrics_does_not_import_numba() -> None:
    code = (
        "import sys, repro.metrics, repro.metrics.score\n"
        "sys.exit('numba' in sys.modules or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_without_numba_installed() -> None:
    """A machine that lacks numba scores by numpy, with the same figures."""
    code = (
        "import sys; sys.modules['numba'] = None\n"  # as if it were not there
        "import numpy as np; from repro.metrics.score import score_pair\n"
        "a = np.random.default_rng(0).integers(0, 256, (2, 50, 61, 3), dtype=np.uint8)\n"
        "s = score_pair(a[0], a[1], 'daala'); print(repr((s.psnr_db, s.ssim)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    images = np.random.default_rng(0).integers(0, 256, (2, 50, 61, 3), dtype=np.uint8)
    score = score_pair(images[0], images[1], "daala")
    assert run.stdout.strip() == repr((score.psnr_db, score.ssim))


# --- the measures -------------------------------------------------------------------------------------------


def test_window_of_a_known_height() -> None:
    """sigma 1.5 at 256 rows: L = floor(1.5 sqrt(-2 ln t)), whole weights that sum to 256."""
    weights = window(256, 500)
    sigma, t = 1.5, math.sqrt(math.pi / 2) * 1.5 / 256
    assert len(weights) == 2 * math.floor(sigma * math.sqrt(-2 * math.log(t))) + 1
    assert weights.sum() == 256
    np.testing.assert_array_equal(weights, weights[::-1])
    assert weights[len(weights) // 2 + 1] == round(
        256 / (math.sqrt(2 * math.pi) * 1.5) * math.exp(-0.5 / 2.25)
    )
    assert len(window(1000, 3)) == 5  # at most min(w, h) - 1 a side


def test_psnr() -> None:
    a = np.zeros((4, 4), np.uint8)
    assert psnr_db(a, a) == math.inf
    assert psnr_db(a, a + np.uint8(255)) == 0
    b = a.copy()
    b[0, 0] = 1
    assert psnr_db(a, b) == psnr_db(b, a) == pytest.approx(10 * math.log10(255**2 * 16))


def test_identical_images() -> None:
    image = random_u8(40, 50, 3)
    for protocol in PROTOCOLS:
        score = score_pair(image, image, protocol)
        assert score.psnr_db == math.inf
        assert score.ssim == pytest.approx(1, abs=1e-12)


def test_greyscale_is_r_g_b_for_daala() -> None:
    a, b = random_u8(40, 50), random_u8(40, 50, seed=1)
    rgb = [np.repeat(image[..., None], 3, axis=2) for image in (a, b)]
    assert score_pair(a, b, "daala") == score_pair(rgb[0], rgb[1], "daala")
