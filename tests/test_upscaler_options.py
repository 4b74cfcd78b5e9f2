"""What `upscale` can be asked for: any scale, every step, chop, ensemble; the authors' own files."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn
from typer.testing import CliRunner, Result

from repro.cli.main import app
from repro.core.errors import UserError
from repro.imaging.tiling import exact_scale, in_tiles
from repro.inference.ensemble import chopped, self_ensembled
from repro.inference.export import Trained, export_onnx
from repro.inference.loading import load_network
from repro.inference.network import NetworkUpscaler
from repro.inference.photos import Photo, upscale_photo
from repro.inference.steps import sheet, upscale_steps
from repro.inference.upscaler import Options, direct_upscaler
from repro.methods import method
from repro.methods.base import Method

SETTINGS = {
    "srfbn": {"channels": 8, "groups": 2, "steps": 3},
    "san": {"channels": 16, "groups": 2, "blocks": 1, "reduction": 4},
    "meta_sr": {"channels": 8, "growth": 8, "blocks": 2, "layers": 2, "hidden": 8},
}
AUTHORS = {
    "srfbn": {"block.up.": "block.upBlocks.", "conv_out.": "conv_out.0."},
    "meta_sr": {"head": "SFENet", "weights.": "P2W.meta_block."},
}


def _built(key: str, scale: int = 4) -> tuple[Method, nn.Module]:
    how = method(key)
    config = next(iter(how.variants.values())).but(network=SETTINGS[key])
    config = config.but(data={"scale": scale, "crop_hr": scale * 40})
    return how, how.build(config)["generator"].eval()


def _upscaler(key: str, built: int = 4, **options: object) -> NetworkUpscaler:
    how, network = _built(key, built)
    return NetworkUpscaler(key, how, network, built, Options(**options))  # type: ignore[arg-type]


def _image(height: int, width: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[:height, :width, :3][:2].astype(float)
    texture = np.random.default_rng(0).normal(0, 12, (height, width, 3))
    return np.clip(128 + 60 * np.sin(y / 5) * np.cos(x / 7) + texture, 0, 255).astype(np.uint8)


def _furthest(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> int:
    assert a.shape == b.shape
    return int(np.abs(a.astype(int) - b.astype(int)).max())


@pytest.mark.parametrize(
    ("key", "built", "scale"),
    [("srfbn", 4, None), ("srfbn", 3, None), ("meta_sr", 4, 2.7), ("meta_sr", 4, 1.25), ("meta_sr", 4, 4.0)],
)
def test_tiles_change_nothing(key: str, built: int, scale: float | None) -> None:
    image = _image(57, 75)
    (whole,) = _upscaler(key, built, tile=0, scale=scale)([image])
    (tiled,) = _upscaler(key, built, tile=20, scale=scale)([image])
    assert whole.shape == (
        int(57 * Fraction(str(scale or built))),
        int(75 * Fraction(str(scale or built))),
        3,
    )
    assert _furthest(whole, tiled) <= 1


def test_tiles_of_san_are_told() -> None:
    image = _image(40, 44)
    whole, tiled = _upscaler("san", tile=0), _upscaler("san", tile=16)
    assert whole.notes == ()
    assert [of.inputs for of in (whole, tiled, _upscaler("san"))] == [{"tile": "0"}, {"tile": "16"}, {}]
    assert _upscaler("srfbn", tile=16).inputs == {}  # whose results stay the same
    assert "statistics" in tiled.notes[0]
    assert _furthest(whole([image])[0], tiled([image])[0]) > 0
    small = _image(16, 16)
    assert _furthest(whole([small])[0], tiled([small])[0]) == 0


@pytest.mark.parametrize("scale", [1, 1.1, 2.7, 3.99])
def test_fractional_tiles_begin_on_whole_pixels(scale: float) -> None:
    exact = exact_scale(scale)
    ramp = np.arange(333, dtype=np.uint16)[:, None].repeat(120, 1)
    begins = []

    def nearest(part: NDArray[np.uint16]) -> NDArray[np.uint16]:
        begins.append((int(part[0, 0]) * exact).denominator if isinstance(exact, Fraction) else 1)
        rows, columns = (
            np.array([int(i / Fraction(exact)) for i in range(int(n * exact))]) for n in part.shape
        )
        return part[rows][:, columns]

    result = in_tiles(ramp, nearest, 32, 5, exact)
    assert set(begins) == {1}
    assert np.array_equal(result[:, 0], [int(i / Fraction(exact)) for i in range(int(333 * exact))])


@pytest.mark.parametrize(
    "options", [{"self_ensemble": True}, {"chop": True}, {"self_ensemble": True, "chop": True}]
)
def test_ensemble_and_chop_reach_the_image(options: dict[str, bool]) -> None:
    how, network = _built("srfbn")
    image = _image(26, 31)
    upscaler = NetworkUpscaler("SRFBN", how, network, 4, Options(**options))  # type: ignore[arg-type]
    infer = lambda x: how.infer(network, x, 4)  # noqa: E731
    if "chop" in options:
        infer = chopped(infer, 4, how.chop_pixels)
    if "self_ensemble" in options:
        infer = self_ensembled(infer)
    with torch.no_grad():
        expected = how.decode(infer(how.encode(image, 4, torch.float32)), image, 4)
    assert _furthest(upscaler([image])[0], expected) <= 1
    assert upscaler.name == ("SRFBN+" if "self_ensemble" in options else "SRFBN")
    assert set(upscaler.inputs) == {
        name.replace("_", "-") for name in options
    }  # stored results are not mixed up


def test_quadrants_are_quartered_while_they_are_large() -> None:
    sizes = []

    def nearest(x: torch.Tensor) -> torch.Tensor:
        sizes.append(tuple(x.shape[2:]))
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3)

    x = torch.rand(1, 3, 61, 53)
    assert torch.equal(chopped(nearest, 2, 700, overlap=3)(x), nearest(x))
    assert max(height * width for height, width in sizes[:-1]) < 700
    assert len(sizes) == 17


def test_every_step_of_a_photograph() -> None:
    upscaler = _upscaler("srfbn", tile=16)
    rgba = np.dstack([_image(20, 24), np.arange(480, dtype=np.uint8).reshape(20, 24, 1)[..., :1]])
    photo = Photo(rgba[..., :3].copy(), rgba[..., 3].copy())
    steps, _ = upscale_steps(photo, upscaler)
    last, _ = upscale_photo(photo, upscaler)
    assert len(steps) == 3
    assert np.array_equal(steps[-1].colour, last.colour)
    assert all(not np.array_equal(step.colour, last.colour) for step in steps[:-1])
    assert all(step.alpha is not None and step.size == (80, 96) for step in steps)
    shown = sheet(steps)
    assert shown.shape == (160, 288, 3)
    assert np.array_equal(shown[:80, 192:], last.colour)
    assert (shown[80:, 192:] == 128).all()
    assert (shown[80:, :96] != 128).any()


def test_alpha_follows_a_fractional_scale() -> None:
    photo = Photo(_image(23, 31), np.full((23, 31), 200, np.uint8))
    result, _ = upscale_photo(photo, _upscaler("meta_sr", scale=2.7))
    assert result.size == (62, 83)
    assert result.alpha is not None
    assert result.alpha.shape == (62, 83)
    assert set(np.unique(result.alpha)) == {200}


@pytest.mark.parametrize(
    ("key", "options", "told"),
    [
        ("meta_sr", {"scale": 4.5}, "1 to 4"),
        ("meta_sr", {"scale": 2.718}, "hundredths"),
        ("meta_sr", {"scale": 0.0}, "1 to 4"),
        ("meta_sr", {"scale": float("nan")}, "1 to 4"),
        ("meta_sr", {"scale": 2.5, "chop": True}, "whole scale"),
        ("srfbn", {"tile": 64, "chop": True}, "one of them"),
    ],
)
def test_what_cannot_be_is_refused(key: str, options: dict[str, object], told: str) -> None:
    with pytest.raises(UserError, match=told):
        _upscaler(key, **options)  # type: ignore[arg-type]


def test_a_network_without_steps_says_so() -> None:
    with pytest.raises(UserError, match="--all-steps with san"):
        _upscaler("san").steps(_image(16, 16))
    with pytest.raises(UserError, match="--all-steps with bicubic"):  # once an endless loop
        upscale_steps(Photo(_image(16, 16)), direct_upscaler("bicubic"))


@pytest.mark.parametrize("key", ["san", "meta_sr"])
def test_networks_that_depend_on_the_size_are_no_onnx(key: str, tmp_path: Path) -> None:
    how, network = _built(key)
    trained = Trained(how, network, 4, {}, {}, {}, "")
    with pytest.raises(UserError, match=f"{key} as ONNX"):
        export_onnx(trained, tmp_path / "network.onnx")
    assert not list(tmp_path.iterdir())


# --- files of the authors ---------------------------------------------------------------------------------


def _authors_file(folder: Path, key: str, wrapped: bool) -> tuple[Path, nn.Module]:
    """A file as the authors' training writes it."""
    from repro.nn.levels import mean_levels

    _, network = _built(key)
    replaced = AUTHORS[key]
    tensors = {}
    for name, tensor in network.state_dict().items():
        for ours, theirs in replaced.items():
            if name.startswith(ours):
                name = theirs + name[len(ours) :]
        tensors[name] = tensor
    if key == "srfbn":
        tensors = {
            name.replace("block.down.", "block.downBlocks.")
            .replace("block.before_up.", "block.uptranBlocks.")
            .replace("block.before_down.", "block.downtranBlocks."): tensor
            for name, tensor in tensors.items()
        }
        for sign, name in ((-1, "sub_mean"), (1, "add_mean")):
            tensors |= {f"{name}.weight": torch.eye(3).view(3, 3, 1, 1), f"{name}.bias": sign * mean_levels()}
    else:
        tensors = {
            name.replace("fusion.", "GFF.") if name.startswith("fusion.") else _rdn(name): tensor
            for name, tensor in tensors.items()
        }
    path = folder / f"{key}.pth"
    if wrapped:
        prefixed = {f"module.{name}": tensor for name, tensor in tensors.items()}
        torch.save({"state_dict": prefixed, "epoch": 7, "best_pred": 31.2, "records": {"psnr": [30.0]}}, path)
    else:
        torch.save(tensors, path)
    return path, network


def _rdn(name: str) -> str:
    parts = name.split(".")
    if parts[0] != "blocks":
        return name
    inner = ["LFF", *parts[3:]] if parts[2] == "fusion" else ["convs", parts[3], "conv", "0", *parts[4:]]
    return ".".join(["RDBs", parts[1], *inner])


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("key", ["srfbn", "meta_sr"])
def test_files_of_the_authors_are_read(key: str, wrapped: bool, tmp_path: Path) -> None:
    path, network = _authors_file(tmp_path, key, wrapped)
    loaded = load_network(path)
    assert loaded.method.key == key
    own = network.state_dict()
    assert loaded.network.state_dict().keys() == own.keys()
    assert all(torch.equal(tensor, own[name]) for name, tensor in loaded.network.state_dict().items())


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["upscale", *map(str, arguments)])


def test_a_photograph_by_the_authors_weights(tmp_path: Path) -> None:
    path, _ = _authors_file(tmp_path, "meta_sr", wrapped=False)
    Image.fromarray(_image(21, 34)).save(tmp_path / "photo.png")
    out = tmp_path / "out"
    arguments = (tmp_path / "photo.png", "--weights", path, "--scale", 2.7, "--out", out)
    refused = _run(*arguments, "--method", "SRFBN").exception
    assert isinstance(refused, UserError)
    assert refused.got == f"--method SRFBN with {path}, which holds meta_sr"
    result = _run(*arguments, "--method", "Meta-SR")
    assert result.exit_code == 0, result.output
    assert "ask its authors" in result.output
    assert Image.open(out / "photo_x2.7.png").size == (91, 56)


def test_steps_are_written_beside_the_result_and_not_over_others(tmp_path: Path) -> None:
    path, _ = _authors_file(tmp_path, "srfbn", wrapped=True)
    Image.fromarray(_image(12, 14)).save(tmp_path / "photo.png")
    out = tmp_path / "out"
    arguments = (tmp_path / "photo.png", "--weights", path, "--out", out, "--all-steps")
    assert _run(*arguments).exit_code == 0
    # no shape tells how many steps a network was trained with: the paper's four
    assert sorted(p.name for p in out.iterdir()) == [
        "photo_x4.png",
        *(f"photo_x4_step{n}.png" for n in ("1", "2", "3", "s")),
    ]
    (out / "photo_x4.png").unlink()
    refused = _run(*arguments)
    assert refused.exit_code == 1
    assert "photo_x4_step" in refused.output + (refused.stderr or "")
    assert not (out / "photo_x4.png").exists()


@pytest.mark.parametrize("option", ["--self-ensemble", "--chop"])
def test_interpolation_has_no_such_options(option: str, tmp_path: Path) -> None:
    Image.fromarray(_image(12, 14)).save(tmp_path / "photo.png")
    result = _run(tmp_path / "photo.png", "--method", "bicubic", option, "--out", tmp_path / "out")
    assert result.exit_code != 0
    assert not (tmp_path / "out").exists()
