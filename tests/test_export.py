"""Networks handed on: ONNX with dynamic sizes against torch, and safetensors with a model card."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from train_helpers import tiny_config
from typer.testing import CliRunner, Result

from repro.cli.main import app
from repro.core import tensorfile as checkpoint
from repro.core.errors import UserError
from repro.core.manifest import make_manifest
from repro.imaging.io import sha256_file
from repro.inference import export
from repro.inference.loading import authors_network, network_from, trained_upscaler
from repro.methods import method
from repro.nn.rrdb import RRDBNet

needs_onnx = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")),
    reason="the extra `export` is not installed",
)


def run_folder(folder: Path, variant: str) -> Path:
    """What a finished run leaves, with weights that are not at their start."""
    config = tiny_config(variant, **({"filters": 4, "recursions": 2} if variant == "DRCN" else {}))
    how = method(config.method)
    generator = how.build(config)["generator"]
    for number, module in enumerate(generator.modules()):
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = torch.full_like(module.running_mean, 0.01 * number)
            module.running_var = torch.full_like(module.running_var, 1.1)
    about = how.described(config) | {"variant": variant, "profile": "quick", "updates": 6}
    about |= {"notes": ["shortened schedule"], "run": "run"}
    folder.mkdir()
    checkpoint.save(folder / "generator.safetensors", checkpoint.module_state("generator", generator), about)
    manifest = make_manifest(
        kind="training run",
        config=config.as_dict(),
        facts={"training data": "synthetic", "arithmetic": "float32", "hardware": "abacus, 2 threads"},
        validation_psnr_db=20.0,
    )
    (folder / "manifest.json").write_text(json.dumps(manifest))
    lines = [{"step": 20, "seconds_per_update": 6.0}, {"step": 30, "seconds_per_update": 12.0}]
    (folder / "timing.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


@needs_onnx
@pytest.mark.parametrize("variant", ["SRResNet-MSE", "SRCNN-scratch", "ESPCN", "DRCN"])
def test_onnx_gives_what_torch_gives(variant: str, tmp_path: Path) -> None:
    import onnx
    import onnxruntime

    folder = run_folder(tmp_path / "run", variant)
    outcome = run(folder, "--onnx", tmp_path / "a.onnx", "--licence", "CC BY 4.0")
    assert outcome.exit_code == 0, outcome.output
    model = onnx.load(tmp_path / "a.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version <= 9
    assert {opset.domain: opset.version for opset in model.opset_import}[""] <= 18
    assert [[value.name for value in side] for side in (model.graph.input, model.graph.output)] == [
        ["input"], ["output"],
    ]  # fmt: skip
    sizes = [dim.dim_param for dim in model.graph.input[0].type.tensor_type.shape.dim]
    assert sizes[0]
    assert sizes[2]
    assert sizes[3]
    assert str(Path(export.__file__).parent).encode() not in (tmp_path / "a.onnx").read_bytes()
    one = export.load_trained(folder)
    module = one.method.exported(one.network, one.scale).module
    image = np.random.default_rng(0).random((1, 3 if variant == "SRResNet-MSE" else 1, 19, 33), np.float32)
    session = onnxruntime.InferenceSession(str(tmp_path / "a.onnx"), providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {session.get_inputs()[0].name: image})
    with torch.no_grad():
        np.testing.assert_allclose(got, module(torch.from_numpy(image)).numpy(), atol=export.TOLERANCE)
    properties = {p.key: p.value for p in model.metadata_props}
    assert properties["variant"] == variant
    assert properties["licence"] == "CC BY 4.0"
    assert "shortened" in properties["notes"]
    first = (tmp_path / "a.onnx").read_bytes()
    again = run(folder, "--onnx", tmp_path / "a.onnx", "--force", "--licence", "CC BY 4.0")
    assert again.exit_code == 0
    assert (tmp_path / "a.onnx").read_bytes() == first


@needs_onnx
def test_an_export_that_differs_gets_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "onnx_difference", lambda *arguments: 2e-4)
    outcome = run(run_folder(tmp_path / "run", "ESPCN"), "--onnx", tmp_path / "a.onnx")
    assert isinstance(outcome.exception, UserError)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_without_the_extra_the_message_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export.importlib.util, "find_spec", lambda name: None)
    outcome = run(run_folder(tmp_path / "run", "ESPCN"), "--onnx", tmp_path / "a.onnx")
    assert isinstance(outcome.exception, UserError)
    assert r".[export]" in outcome.exception.next_step


@pytest.mark.parametrize("variant", ["SRResNet-MSE", "DRCN"])
def test_safetensors_with_a_card(variant: str, tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", variant)
    target = tmp_path / "out" / f"{variant}.safetensors"
    outcome = run(folder, "--safetensors", target, "--licence", "CC BY 4.0")
    assert outcome.exit_code == 0, outcome.output
    card = target.with_suffix(".md").read_text()
    for words in (sha256_file(target), "CC BY 4.0", "shortened schedule", "synthetic", "20.00 dB", variant):
        assert words in card
    assert "| arithmetic, hardware | float32, abacus, 2 threads |" in card
    assert "| training time | 4 minutes |" in card
    image = np.random.default_rng(0).integers(0, 256, (9, 8, 3), dtype=np.uint8)
    ours = trained_upscaler(folder / "generator.safetensors")([image])[0]
    np.testing.assert_array_equal(trained_upscaler(target)([image])[0], ours)
    _, metadata = checkpoint.load(target)
    assert metadata["licence"] == "CC BY 4.0"
    first = target.read_bytes()
    assert run(folder, "--safetensors", target, "--licence", "CC BY 4.0", "--force").exit_code == 0
    assert target.read_bytes() == first
    again = tmp_path / "again.safetensors"  # also from a weights file alone
    assert run(target, "--safetensors", again).exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        [], ["--onnx", "a.pt"], ["--safetensors", "a.onnx"], ["--onnx", "there.onnx"],
        ["--pth", "a.pth", "--half"], ["--hub", "a", "--private"], ["--pth", "a.pth", "--author", "me"],
    ],
)  # fmt: skip
def test_bad_options(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.onnx").write_text("mine")
    folder = run_folder(tmp_path / "run", "ESPCN")
    assert isinstance(run(folder, *arguments).exception, UserError)
    assert not list(tmp_path.glob("a*"))
    assert isinstance(run(tmp_path / "none", "--onnx", "b.onnx").exception, UserError)
    assert (tmp_path / "there.onnx").read_text() == "mine"


def test_a_network_is_planned_before_memory_is_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes may describe one of 10^11 parameters: shapes are compared where they take no memory."""
    built: list[str] = []

    def small(*_: int) -> RRDBNet:
        built.append(torch.empty(0).device.type)
        return RRDBNet(1, 4, 4, 4)

    monkeypatch.setattr("repro.methods.esrgan.RRDBNet", small)
    network = {"blocks": 256, "channels": 1024, "growth": 1024}
    about = {"method": "esrgan", "network": network, "scale": 4}
    with pytest.raises(UserError, match="do not fit"):
        network_from({"conv_first.weight": torch.zeros(1)}, about, "x")
    assert built == ["meta"]


@pytest.mark.parametrize(
    "names",
    [
        ("RG.0.rcab.0.conv_first.0.weight", "RG.0.soca.conv_du.0.weight", "tail.0.0.weight"),
        ("RDBs.0.convs.0.conv.0.weight", "P2W.meta_block.0.weight"),
        ("block.upBlocks.0.0.weight", "sub_mean.bias", "out.0.weight", "conv_out.0.weight"),
        ("conv_first.weight", "body.0.rdb1.conv1.weight"),
        ("head.weight", "head_prelu.weight", "body_bn.weight", "upsample.1.conv.weight", "tail.weight"),
    ],
)
def test_names_of_a_method_without_its_shapes(names: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save({name: torch.ones(3) for name in names}, path)
    with pytest.raises(UserError, match=r"misshapen|do not fit|not supported|without"):
        authors_network(path)
