"""SRCNN with its authors' weights: the printed cells of Table 2, and the file that is trusted in nothing."""

from __future__ import annotations

import contextlib
import io
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from numpy.typing import NDArray
from scipy.ndimage import correlate

from repro.core.errors import UserError
from repro.core.paths import Results
from repro.data.benchmarks import load_dataset
from repro.data.sources import load_registry
from repro.imaging.resize import imresize_float, imresize_u8
from repro.inference.loading import srcnn_upscaler
from repro.inference.network import NetworkUpscaler
from repro.inference.store import upscale_dataset
from repro.inference.upscaler import Options
from repro.methods import method
from repro.methods.config import RunConfig
from repro.methods.drcn import DRCNNetwork
from repro.methods.luma import LumaNetwork
from repro.methods.srcnn import SRCNN
from repro.methods.srcnn_authors import MAX_BYTES, authors_weights, load_authors_srcnn
from repro.metrics.score import mean_score, score_many
from repro.papers.srgan import TABLE2, TOLERANCES


def arrays(seed: int = 0) -> dict[str, NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    shapes = {
        "weights_conv1": (81, 64),
        "biases_conv1": (64, 1),
        "weights_conv2": (64, 1, 32),
        "biases_conv2": (32, 1),
        "weights_conv3": (32, 25),
        "biases_conv3": (1, 1),
    }
    return {name: 0.1 * rng.standard_normal(shape) for name, shape in shapes.items()}


def written(path: Path, content: dict[str, object], **options: object) -> Path:
    scipy.io.savemat(path, content, **options)
    return path


def test_the_layers_are_the_authors_code_in_numpy(tmp_path: Path) -> None:
    a = arrays()
    network = load_authors_srcnn(written(tmp_path / "x4.mat", a, do_compression=True))
    y = np.random.default_rng(1).random((20, 17))
    # SRCNN.m: imfilter(image, reshape(kernel), 'same', 'replicate'), kernels column by column
    layer1 = [
        np.maximum(
            correlate(y, a["weights_conv1"][:, i].reshape(9, 9, order="F"), mode="nearest")
            + a["biases_conv1"][i],
            0,
        )
        for i in range(64)
    ]
    layer2 = [
        np.maximum(sum(a["weights_conv2"][j, 0, i] * layer1[j] for j in range(64)) + a["biases_conv2"][i], 0)
        for i in range(32)
    ]
    expected = a["biases_conv3"][0, 0] + sum(
        correlate(layer2[i], a["weights_conv3"][i].reshape(5, 5, order="F"), mode="nearest")
        for i in range(32)
    )
    got = network(torch.from_numpy(y.astype(np.float32))[None, None])[0, 0].numpy()
    np.testing.assert_allclose(got, expected, atol=1e-4 * np.abs(expected).max())


def test_files_that_are_not_the_model(tmp_path: Path) -> None:
    path = tmp_path / "x4.mat"
    with pytest.raises(UserError, match="no such file"):
        load_authors_srcnn(path)
    contents: list[dict[str, object]] = [
        {},
        {name: value for name, value in arrays().items() if name != "weights_conv2"},
        arrays() | {"weights_conv1": np.zeros((64, 81))},
        arrays() | {"weights_conv1": np.zeros((81, 64), np.complex128)},
        arrays() | {"weights_conv1": np.full((81, 64), np.nan)},
        arrays() | {"biases_conv3": "x"},
        arrays() | {"biases_conv3": np.array([[{}]], dtype=object)},
    ]
    for content in contents:
        with pytest.raises(UserError, match="expected: SRCNN"):
            load_authors_srcnn(written(path, content, do_compression=True))


@pytest.mark.parametrize("seed", range(3))
def test_damaged_files_are_refused(seed: int, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, arrays(), do_compression=True)
    whole = buffer.getvalue()
    path = tmp_path / "x4.mat"
    rng = np.random.default_rng(seed)
    for _ in range(40):
        damaged = bytearray(whole[: rng.integers(1, len(whole))])
        path.write_bytes(damaged)
        with pytest.raises(UserError):
            load_authors_srcnn(path)
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 4):
            damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        with contextlib.suppress(UserError):  # any other error fails the test
            load_authors_srcnn(path)


def test_a_large_file_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "x4.mat"
    path.write_bytes(b"\0" * (MAX_BYTES + 1))
    with pytest.raises(UserError, match=r"at most 65,536"):
        load_authors_srcnn(path)


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    packed = zlib.compress(b"\0" * 30_000_000, 9)
    header = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    path = tmp_path / "x4.mat"
    path.write_bytes(header + (15).to_bytes(4, "little") + len(packed).to_bytes(4, "little") + packed)
    assert path.stat().st_size <= MAX_BYTES
    with pytest.raises(UserError):
        load_authors_srcnn(path)


def test_imresize_of_floats_rounds_nothing() -> None:
    image = np.random.default_rng(2).integers(60, 190, (9, 7, 3), dtype=np.uint8)
    exact = imresize_float(image.astype(np.float64), 4)
    assert exact.shape == (36, 28, 3)
    assert (exact % 1 != 0).any()
    assert np.abs(exact - imresize_u8(image, 4)).max() < 1.5  # two roundings


@pytest.mark.parametrize("key", ["srcnn", "espcn", "drcn"])
def test_tiles_leave_no_seam(key: str) -> None:
    how = method(key)
    network = how.network(how.settings, 4) if key != "drcn" else DRCNNetwork(4, 5)
    how.initialise(network, RunConfig())
    if key == "srcnn":  # the paper's tiny weights give black
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.1, generator=torch.Generator().manual_seed(0))
    image = np.random.default_rng(3).integers(0, 256, (50, 37, 3), dtype=np.uint8)
    (whole,) = NetworkUpscaler("", how, network, 4, Options("cpu", tile=0))([image])
    (parts,) = NetworkUpscaler("", how, network, 4, Options("cpu", tile=16))([image])
    assert whole.shape == (200, 148, 3)
    assert whole.std() > 1
    assert np.abs(whole.astype(int) - parts).max() <= 2  # sums in another order
    assert (whole != parts).mean() < 0.001
    exact = [NetworkUpscaler("", how, network, 4, Options("cpu", "float64", tile)) for tile in (0, 16)]
    assert {upscaler.inputs["arithmetic"] for upscaler in exact} == {"float64"}
    np.testing.assert_array_equal(*(next(iter(upscaler([image]))) for upscaler in exact))


def test_chroma_is_interpolated_and_grey_goes_in_as_it_is() -> None:
    class Bicubic(LumaNetwork):
        radius = 0

        def forward(self, y01: torch.Tensor) -> torch.Tensor:
            return y01

        def initialise(self, seed: int) -> None:
            pass

    upscale = NetworkUpscaler("", SRCNN(), Bicubic(), 4)
    rng = np.random.default_rng(4)
    colour = rng.integers(60, 190, (12, 10, 3), dtype=np.uint8)
    grey = rng.integers(60, 190, (12, 10), dtype=np.uint8)
    first, second = upscale([colour, grey])
    assert np.abs(first.astype(int) - imresize_u8(colour, 4)).max() <= 4  # interpolation is linear
    assert second.shape == (48, 40, 3)
    assert np.abs(second[..., 0].astype(int) - imresize_u8(grey, 4)).max() <= 1


@pytest.mark.data
@pytest.mark.parametrize("dataset", ["Set5", "Set14", pytest.param("BSD100", marks=pytest.mark.slow)])
def test_table_2_as_printed(dataset: str, data_root: Path, tmp_path: Path) -> None:
    results = Results(tmp_path / "results")
    upscale_dataset(results, dataset, srcnn_upscaler(data_root, Options("cpu")), data_root)
    images = load_dataset(dataset, data_root)
    pairs = [(image.hr_path, results.image(dataset, "SRCNN", image.image)) for image in images]
    mean = mean_score(score_many(pairs, "daala"))
    printed = TABLE2[(dataset, "SRCNN")]
    assert round(mean.psnr_db, 2) == printed.psnr_db
    assert abs(round(mean.ssim, 4) - printed.ssim) <= TOLERANCES["SRCNN"].ssim + 1e-9
    manifest = json.loads(results.method_manifest(dataset, "SRCNN").read_text())
    (file,) = load_registry().select(["SRCNN-weights"]).files
    assert manifest["inputs"]["weights"] == file.sha256
    assert authors_weights(data_root).name == "x4.mat"
