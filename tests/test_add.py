"""Anyone's model as a row: weights in a layout in circulation, through spandrel, ONNX, finished images."""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner, Result

from analysis.io.metrics import read_metrics
from analysis.judge.deviations import deviations
from analysis.tables.markdown import to_markdown
from analysis.tables.scores import all_scores
from analysis.tables.successors import table_s
from mos_app.files.demo import fill_demo_store
from repro.cli.main import app
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.data.benchmarks import load_dataset
from repro.imaging.io import read_u8, write_png
from repro.imaging.resize import imresize_u8, nearest_u8
from repro.inference import foreign
from repro.inference.card import check_upscaler, test_card
from repro.inference.foreign import (
    MARGINS,
    RANGES,
    Foreign,
    ForeignUpscaler,
    examined,
    foreign_upscaler,
    margin_of,
)
from repro.inference.interpolate import save_pth
from repro.inference.loading import load_network, trained_upscaler
from repro.inference.photos import own_result
from repro.inference.upscaler import Options
from repro.methods.srgan import Generator, begin_as_interpolation
from repro.nn.rrdb import RRDBNet

spandrel = pytest.importorskip("spandrel", reason="the extra `models` is missing")


def command(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def generator() -> Generator:
    """An interpolation, so that the test card comes out."""
    network = Generator(residual_blocks=2)
    begin_as_interpolation(network)
    return network.eval()


def enlarged(x: np.ndarray) -> np.ndarray:
    return x.repeat(4, axis=2).repeat(4, axis=3)


RUNS: dict[str, foreign.Run] = {
    "0 to 1": enlarged,
    "0 to 255": lambda x: enlarged(np.floor(x / 8) * 8),
    "-1 to 1": lambda x: enlarged(x) if x.min() < 0 else enlarged(0 * x),
}
"""Networks that give nothing sensible where they see other values."""


@pytest.fixture
def compact(tmp_path: Path) -> Path:
    """A network that this program does not have and spandrel does: Real-ESRGAN's small one."""
    from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact  # type: ignore[import-untyped]

    torch.manual_seed(0)
    network = SRVGGNetCompact(num_feat=4, num_conv=1, upscale=4)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter *= 0.1  # it adds to the input's nearest neighbours
    torch.save({"params": network.state_dict()}, tmp_path / "compact.pth")
    return tmp_path / "compact.pth"


def test_the_card_tells_scale_and_range() -> None:
    assert RUNS.keys() == RANGES.keys()
    for words, run in RUNS.items():
        assert examined(Foreign("", run), "x")[:2] == (4, words)
    with pytest.raises(UserError, match="grey levels off"):
        examined(Foreign("", lambda x: np.zeros((1, 3, 192, 256))), "x")
    with pytest.raises(UserError, match="not finite"):
        examined(Foreign("", lambda x: np.full((1, 3, 192, 256), np.nan)), "x")
    with pytest.raises(UserError, match="a result of shape"):
        examined(Foreign("", lambda x: x[..., 1:]), "x")


def test_tiles_and_what_only_our_networks_can() -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 70, 3), dtype=np.uint8)
    parts = ForeignUpscaler("x", enlarged, 4, (0, 1), Options(tile=16))
    np.testing.assert_array_equal(next(parts([image])), nearest_u8(image, 4))
    with pytest.raises(UserError, match="--self-ensemble"):
        ForeignUpscaler("x", enlarged, 4, (0, 1), Options(self_ensemble=True))
    assert check_upscaler(parts) < 20


def _blurred(radius: int) -> foreign.Run:
    """The mean along both diagonals, of pixels up to a distance."""
    return lambda x: enlarged(
        np.mean([np.roll(x, (step, step), (2, 3)) for step in (-radius, -radius // 2, 0, radius)], axis=0)
    )


def _windowed(x: np.ndarray) -> np.ndarray:
    """Each pixel less what its window of 8 x 8 has on average, as attention in windows looks."""
    sides = [-(-side // 8) * 8 for side in x.shape[2:]]
    padded = np.pad(x, ((0, 0), (0, 0), *((0, to - is_) for to, is_ in zip(sides, x.shape[2:], strict=True))))
    means = padded.reshape(1, 3, sides[0] // 8, 8, sides[1] // 8, 8).mean((3, 5))
    return enlarged(x - 0.5 * means.repeat(8, 2).repeat(8, 3)[..., : x.shape[2], : x.shape[3]])


def _pooled(x: np.ndarray) -> np.ndarray:
    """Each pixel by the mean of the image, as channel attention looks."""
    return enlarged(x * (0.5 + x.mean((2, 3), keepdims=True)))


LOOKS: dict[str, tuple[foreign.Run, int | None]] = {
    "at its own pixel": (enlarged, 16),
    "10 pixels far": (_blurred(10), 16),
    "20 pixels far": (_blurred(20), 32),
    "50 pixels far": (_blurred(50), 64),
    "at windows of 8": (_windowed, 16),
    "200 pixels far": (_blurred(200), None),
    "at the whole image": (_pooled, None),
}


@pytest.mark.parametrize("name", LOOKS)
def test_how_far_a_network_looks_is_measured(name: str) -> None:
    """Tiles of any side show no seam where the margin was found, and it is said where none was."""
    run, margin = LOOKS[name]
    assert margin_of(Foreign("", run), 4, (0, 1)) == margin
    image = np.random.default_rng(1).integers(0, 256, (230, 300, 3), dtype=np.uint8)
    (whole,) = ForeignUpscaler("x", run, 4, (0, 1), Options(tile=0), margin=margin)([image])
    parts = ForeignUpscaler("x", run, 4, (0, 1), Options(tile=100), margin=margin)
    (tiled,) = parts([image])
    inside = (slice(4 * 50, -4 * 50),) * 2  # np.roll takes what is beyond a border from the other side
    seams = np.abs(tiled.astype(int) - whole)[inside].max()
    if margin is None:
        assert f"farther than {MARGINS[-1]} LR pixels" in parts.notes[-1]
        assert parts.inputs == {"tile": "112"}
        assert ForeignUpscaler("x", run, 4, (0, 1), margin=margin).inputs == {}
    else:
        assert seams <= 1
        assert parts.notes == ()
        assert parts.inputs == {}
    np.testing.assert_array_equal(np.concatenate(list(parts.rows(image))), tiled)


def test_a_network_of_another_program_gets_smaller_tiles_when_memory_runs_out() -> None:
    def hungry(x: np.ndarray) -> np.ndarray:
        if x.shape[3] > 100:
            raise MemoryError
        return enlarged(x)

    told: list[str] = []
    image = np.random.default_rng(1).integers(0, 256, (150, 300, 3), dtype=np.uint8)
    upscaler = ForeignUpscaler("x", hungry, 4, (0, 1), Options(tell=told.append), margin=16)
    np.testing.assert_array_equal(next(upscaler([image])), nearest_u8(image, 4))
    assert told == [f"out of memory: tiles of {side} LR pixels from here on" for side in (112, 48)]


def test_a_network_of_another_program_has_no_seams(compact: Path, tmp_path: Path) -> None:
    """Its margin comes from the probe in its own process; what looks at everything is told and recorded."""
    image = np.random.default_rng(1).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    upscaler = foreign_upscaler(compact, Options(tile=32))
    whole = upscaler._one(image)
    assert np.abs(next(upscaler([image])).astype(int) - whole).max() <= 1
    assert len(upscaler.notes) == 1
    out = tmp_path / "out.png"
    write_png(tmp_path / "in.png", image)
    pooled = onnx_file(tmp_path / "pooled.onnx", "pooled")
    outcome = command("upscale", tmp_path / "in.png", "--weights", pooled, "-o", out)
    assert outcome.exit_code == 0, outcome.output
    assert "farther than 64 LR pixels" in " ".join(outcome.output.split())
    notes = own_result(out)["notes"]  # type: ignore[index]
    assert any("farther than 64 LR pixels" in note for note in notes)


def test_weights_through_spandrel_become_rows_of_every_table(compact: Path, tmp_path: Path) -> None:
    where = ["--data", tmp_path, "--results", tmp_path / "r"]
    fill_demo_store(Results(tmp_path / "r"))  # `make mos` was called before
    outcome = command("add", compact, "--name", "Small", *where)
    assert outcome.exit_code == 0, outcome.output
    for words in ("SHA-256", "test card: x4", "by spandrel", "Small (ychannel-edsr-1): sample"):
        assert words in outcome.output
    image = load_dataset("sample", None)[0]
    theirs = spandrel.ModelLoader().load_from_file(compact)
    x = torch.from_numpy(image.lr_u8() / np.float32(255)).permute(2, 0, 1)[None]
    expected = theirs(x)[0].permute(1, 2, 0).numpy() * 255
    got = read_u8(Results(tmp_path / "r").image("sample", "Small", image.image))
    assert np.abs(got - expected).max() <= 0.51
    save_pth(generator(), tmp_path / "other.pth")  # of a name that is taken
    outcome = command("add", tmp_path / "other.pth", "--name", "Small", *where)
    assert isinstance(outcome.exception, UserError)
    assert "--force" in outcome.exception.next_step
    metrics = read_metrics(Results(tmp_path / "r"))
    assert "| Small" in to_markdown(table_s(metrics))
    assert "| Small" in to_markdown(all_scores(metrics, deviations(metrics)))


def test_our_own_pth_and_a_bare_safetensors(tmp_path: Path) -> None:
    network = generator()
    save_pth(network, tmp_path / "a.pth")
    save_file(network.state_dict(), tmp_path / "a.safetensors")
    image = test_card()
    first = trained_upscaler(tmp_path / "a.pth")([image])[0]  # type: ignore[index]
    np.testing.assert_array_equal(trained_upscaler(tmp_path / "a.safetensors")([image])[0], first)  # type: ignore[index]
    assert load_network(tmp_path / "a.pth").method.key == "srgan"


def test_spandrel_reads_srgan_on_request(tmp_path: Path) -> None:
    from repro.inference.spandrel_arch import register

    network = generator()
    save_pth(network, tmp_path / "a.pth")
    registry = spandrel.ArchRegistry()
    register(registry)
    register(registry)  # twice does no harm
    theirs = spandrel.ModelLoader(registry=registry).load_from_file(tmp_path / "a.pth")
    assert (theirs.architecture.id, theirs.scale) == ("SRGAN", 4)
    x = torch.rand(1, 3, 6, 9)
    with torch.no_grad():
        assert torch.equal(theirs(x), ((network(x) + 1) / 2).clamp(0, 1))


def test_an_unknown_architecture_is_answered_with_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = RRDBNet(1, 8, 4).state_dict()
    torch.save(
        {f"x.{name}" if "last" in name else name: value for name, value in state.items()}, tmp_path / "a.pth"
    )
    monkeypatch.setattr(foreign, "has_spandrel", lambda: False)
    with pytest.raises(UserError, match="nearest: esrgan") as caught:
        trained_upscaler(tmp_path / "a.pth")
    assert "ONNX" in caught.value.next_step
    monkeypatch.undo()
    with pytest.raises(UserError, match=r"spandrel knows \(nearest: esrgan\)") as caught:
        trained_upscaler(tmp_path / "a.pth")
    assert "ONNX" in caught.value.next_step


@pytest.mark.parametrize("name", ["HR", "Bicubic", "srgan-vgg22", "SRCNN", "a/b", "x (y)"])
def test_names_that_mean_something_else(name: str, compact: Path, tmp_path: Path) -> None:
    outcome = command("add", compact, "--name", name, "--data", tmp_path, "--results", tmp_path / "r")
    assert isinstance(outcome.exception, UserError)
    assert not (tmp_path / "r").exists()


def test_a_folder_of_images(tmp_path: Path) -> None:
    images = load_dataset("sample", None)
    folder = tmp_path / "EDSR"
    for image in images:
        write_png(folder / f"{image.image}.png", imresize_u8(image.lr_u8(), 4))
    where = ["--pattern", "{image}.png", "--data", tmp_path, "--results", tmp_path / "r"]
    outcome = command("add", folder, *where)
    assert outcome.exit_code == 0, outcome.output
    assert "EDSR (added) (daala-1): sample" in outcome.output
    write_png(folder / f"{images[0].image}.png", np.zeros_like(images[0].hr_u8()))
    outcome = command("add", folder, "--name", "Black", *where)
    assert isinstance(outcome.exception, UserError)
    assert "grey levels" in outcome.exception.got


# --- ONNX -------------------------------------------------------------------------------------------------


def onnx_file(path: Path, kind: str = "good") -> Path:
    """Nearest neighbours in ONNX's own words, or what is wrong."""
    onnx = pytest.importorskip("onnx", reason="the extra `export` is missing")
    pytest.importorskip("onnxruntime", reason="the extra `export` is missing")
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    sides: list[Any] = [24, 24] if kind == "fixed" else ["h", "w"]
    channels = 1 if kind == "grey" else 3
    x = helper.make_tensor_value_info("input", floats, [1, channels, *sides])
    y = helper.make_tensor_value_info("output", floats, [1, channels, None, None])
    scales = onnx.numpy_helper.from_array(np.array([1, 1, 4, 4], np.float32), "scales")
    nodes = [helper.make_node("Resize", ["input", "", "scales"], ["output"], mode="nearest")]
    weights = [scales]
    if kind == "pooled":  # minus a part of the mean of the whole image
        nodes[0] = helper.make_node("Resize", ["input", "", "scales"], ["enlarged"], mode="nearest")
        nodes.append(helper.make_node("GlobalAveragePool", ["input"], ["mean"]))
        nodes.append(helper.make_node("Mul", ["mean", "part"], ["less"]))
        nodes.append(helper.make_node("Sub", ["enlarged", "less"], ["output"]))
        weights.append(onnx.numpy_helper.from_array(np.array([0.1], np.float32), "part"))
    if kind == "bomb":  # 400 GB from a few bytes
        many = helper.make_tensor("many", onnx.TensorProto.INT64, [1], [100_000_000_000])
        nodes.insert(0, helper.make_node("ConstantOfShape", ["many"], ["large"]))
        nodes.insert(1, helper.make_node("ReduceSum", ["large"], ["sum"], keepdims=0))
        nodes[2] = helper.make_node("Resize", ["input", "", "scales"], ["enlarged"], mode="nearest")
        nodes.append(helper.make_node("Add", ["enlarged", "sum"], ["output"]))
        weights.append(many)
    model = helper.make_model(
        helper.make_graph(nodes, "g", [x], [y], weights),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )
    if kind == "external":
        onnx.external_data_helper.set_external_data(model.graph.initializer[0], "../../etc/passwd")
        model.graph.initializer[0].ClearField("raw_data")
    data = model.SerializeToString()
    path.write_bytes(data[: len(data) // 2] if kind == "truncated" else data)
    return path


def test_an_onnx_file_upscales(tmp_path: Path) -> None:
    upscaler = foreign_upscaler(onnx_file(tmp_path / "nearest.onnx"), Options(tile=16))
    image = np.random.default_rng(0).integers(0, 256, (25, 37, 3), dtype=np.uint8)
    np.testing.assert_array_equal(next(upscaler([image])), nearest_u8(image, 4))
    assert (upscaler.name, upscaler.scale) == ("nearest", 4)
    assert "ONNX" in upscaler.notes[0]


@pytest.mark.parametrize("kind", ["fixed", "grey", "external", "truncated"])
def test_an_onnx_file_that_cannot_be(kind: str, tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "a.onnx", kind)
    with pytest.raises(UserError) as caught:
        foreign.load_foreign(path)
    assert caught.value.expected
    assert str(path) in caught.value.got


def test_a_bomb_ends_its_own_process(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        foreign_upscaler(onnx_file(tmp_path / "a.onnx", "bomb"))


# --- hostile files ----------------------------------------------------------------------------------------


class Evil:
    """What would run a program when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("evil-was-here"),))


def _pickle(path: Path) -> None:
    torch.save({"params": Evil()}, path)


def _plain_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"params": Evil()}))


def _compressed(path: Path) -> None:
    """A torch file whose only storage unpacks to more than any network has."""
    torch.save({"conv.weight": torch.zeros(64)}, path)
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        with archive.open("archive/data/bomb", "w", force_zip64=True) as member:
            for _ in range(20):
                member.write(bytes(1 << 20))


def _expanded(path: Path) -> None:
    """4 bytes that are said to be 4 TB."""
    torch.save({"conv_first.weight": torch.zeros(1).expand(1 << 20, 1 << 20)}, path)


def _counting(path: Path) -> None:
    state = RRDBNet(1, 8, 4).state_dict()
    torch.save(state | {"body.1000000000.rdb1.conv1.weight": torch.zeros(1)}, path)


def _empty(path: Path) -> None:
    torch.save(RRDBNet(1, 8, 4).state_dict() | {"conv_first.weight": torch.zeros(10**9, 0)}, path)


def _shapes(path: Path) -> None:
    state = RRDBNet(1, 8, 4).state_dict()
    torch.save(state | {"conv_hr.weight": torch.zeros(3, 3, 3, 3)}, path)


def _truncated(path: Path) -> None:
    torch.save(RRDBNet(1, 8, 4).state_dict(), path)
    path.write_bytes(path.read_bytes()[:-700])


def _not_finite(path: Path) -> None:
    state = RRDBNet(1, 8, 4).state_dict()
    torch.save(state | {"conv_hr.bias": torch.full((8,), float("nan"))}, path)


def _header(about: str) -> Callable[[Path], None]:
    """A safetensors file of this program with any metadata."""

    def write(path: Path) -> None:
        header = json.dumps(
            {
                "__metadata__": {"srgan-repro": about},
                "w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
            }
        ).encode()
        path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))

    return write


HOSTILE: dict[str, Callable[[Path], None]] = {
    "pickle.pth": _pickle,
    "plain-pickle.pt": _plain_pickle,
    "compressed.pth": _compressed,
    "expanded.pth": _expanded,
    "counting.pth": _counting,
    "empty.pth": _empty,
    "shapes.pth": _shapes,
    "truncated.pth": _truncated,
    "nothing.pth": lambda path: path.write_bytes(b""),
    "not-finite.pth": _not_finite,
    "deep.safetensors": _header('{"format": 1, "x": ' + "[" * 100_000 + "]" * 100_000 + "}"),
    "list.safetensors": _header("[1]"),
    "blocks.safetensors": _header(
        '{"format": 1, "method": "srgan", "network": {"residual_blocks": 1e308}, "scale": 4}'
    ),
    "scale.safetensors": _header('{"format": 1, "method": "srgan", "network": {}, "scale": "4; rm"}'),
    "method.safetensors": _header('{"format": 1, "method": "../../evil", "network": [], "scale": 4}'),
    "huge-header.safetensors": lambda path: path.write_bytes(struct.pack("<Q", 1 << 62)),
    "cut.safetensors": lambda path: path.write_bytes(struct.pack("<Q", 9)[:5]),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_weights_are_refused_with_a_sentence(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("repro.core.torchfile.MAX_BYTES", 10 << 20)
    monkeypatch.setattr(
        foreign, "has_spandrel", lambda: False
    )  # its way is tried below, through the same reader
    HOSTILE[name](tmp_path / name)
    outcome = command("add", name, "--name", "x", "--data", tmp_path, "--results", tmp_path / "r")
    assert isinstance(outcome.exception, UserError), outcome.output
    assert outcome.exception.expected
    assert outcome.exception.next_step
    assert {path.name for path in tmp_path.iterdir()} == {name}


def test_spandrel_meets_hostile_weights_through_the_same_reader(compact: Path, tmp_path: Path) -> None:
    state = torch.load(compact, weights_only=True)["params"]
    wide = {name: value for name, value in state.items() if name != "body.0.weight"}
    torch.save(wide | {"body.0.weight": torch.zeros(50, 3, 3, 3)}, tmp_path / "wide.pth")
    with pytest.raises(UserError, match="spandrel cannot build it"):
        foreign.load_foreign(tmp_path / "wide.pth")
    _counting(tmp_path / "a.pth")
    with pytest.raises(UserError, match="numbers up to"):
        foreign.load_foreign(tmp_path / "a.pth")
