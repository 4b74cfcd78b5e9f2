"""The benchmarks run, on small sizes, and their table says what they measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from contract import small_run
from safetensors.torch import save_file
from train_helpers import small_data, tiny_config, untrained

from repro.core import device
from repro.core.device import resolve_device, use_bfloat16
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.data.samples import Planned, Sample
from repro.experiments.bench import data, infer, loss_terms, photo, precision, program, train
from repro.experiments.bench.table import write_table
from repro.methods.config import RunConfig
from repro.methods.variants import configure
from repro.nn import vgg
from repro.nn.swap import match
from repro.train.finished import FinishedRun
from repro.train.graphs import GraphedStep
from repro.train.run import VGGSource


def test_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "IMAGES", 16)
    monkeypatch.setattr(data, "BATCHES", 3)
    measured = data.run(tmp_path)
    assert measured["crops_per_second_one_core"] > 0
    assert measured["decoded_crops_per_second"] > 0
    assert json.loads((tmp_path / "bench" / "data.json").read_text()) == measured


def test_a_photograph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured here instead of in processes of their own."""

    class Here:
        def get_context(self, kind: str) -> Here:
            return self

        def Pool(self, processes: int) -> Here:  # noqa: N802
            return self

        def __enter__(self) -> Here:
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def apply(self, function: Any, arguments: tuple[Any, ...]) -> Any:
            return function(*arguments)

    monkeypatch.setattr(photo, "multiprocessing", Here())
    monkeypatch.setattr(photo, "SIZE", (16, 24))
    monkeypatch.setattr(photo, "SMALLER", (8, 16))
    rows = photo.run(tmp_path, "cpu")["modes"]
    assert list(rows) == list(photo.MODES)
    assert all(row["peak_resident_mib"] > 0 for row in rows.values())
    assert "| upscale |" in write_table(tmp_path / "bench").read_text()
    assert "MiB |" in write_table(tmp_path / "bench").read_text()
    assert list(photo.run(tmp_path, "cpu", "SROBB-PSNR")["modes"]) == list(photo.MODES[:2])
    assert "16 x 8 LR" in (tmp_path / "bench" / "photo_srobb-psnr_cpu.json").read_text()


def test_the_rest_of_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(program, "_python", lambda *arguments: lambda: ran.append(arguments))
    monkeypatch.setattr(program, "SWAPPED", ((4, 8, 8), (4, 5, 5)))
    monkeypatch.setattr(program, "LR_SIDE", 16)
    monkeypatch.setattr(program, "REPEATS", 1)
    costs = program.run(tmp_path)["costs"]
    assert {arguments[1] for arguments in ran} == {"repro", "analysis", "import torch"}
    assert all(row["seconds"] > 0 and row["times"] > 0 for row in costs.values())
    assert "| of |" in write_table(tmp_path / "bench").read_text()
    content, reference = torch.rand(4, 8, 8), torch.rand(4, 5, 5)
    found = match(content, [reference]).patch.flatten()
    assert torch.equal(program._matched_plainly(content, reference)[1], found)


def test_infer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(infer, "COUNT", 1)
    monkeypatch.setattr(infer, "HEIGHT", 8)
    monkeypatch.setattr(infer, "WIDTH", 9)
    rows = infer.run(tmp_path, "cpu", repeats=1)["modes"]
    baseline, *others = rows.values()
    assert baseline["times_faster"] == 1.0
    assert len(others) == 3
    # each mode is measured for itself: a ratio of its own time, not the baseline's
    for row in others:
        expected = row["megapixels_per_second"] / baseline["megapixels_per_second"]
        assert row["times_faster"] == pytest.approx(expected, rel=0.05, abs=0.02)
        assert row["megapixels_per_second"] > 0


def test_modes_take_turns_and_their_medians_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that is slow for one mode's turn does not make that mode slow."""
    seconds = {"plain": iter([[4.0], [4.0], [4.0]]), "fast": iter([[9.0], [2.0], [2.0]])}
    asked: list[str] = []

    def alone(config: RunConfig, where: torch.device, mode: str, n: int) -> tuple[list[float], float]:
        asked.append(mode)
        if mode == "broken":
            raise RuntimeError("no compiler")
        return next(seconds[mode]), 10.0 * len(asked)

    monkeypatch.setattr(train, "_modes", lambda where: {m: m for m in ("plain", "broken", "fast")})
    monkeypatch.setattr(train, "_answers", lambda where: {})
    monkeypatch.setattr(train, "_time_alone", alone)
    monkeypatch.setattr(train, "update_flops", lambda config: 10**9)
    monkeypatch.setattr(train, "CEILING_LAYERS", ((16, 8),))
    rows = train.run(tmp_path, "cpu", 3, [tiny_config("SRResNet-MSE")])["variants"]["SRResNet-MSE"]["modes"]
    assert asked == ["plain", "broken", "fast", "plain", "fast", "plain", "fast"]
    assert rows["broken"] == {"failed": "no compiler"}
    assert rows["fast"]["times_faster"] == 2.0
    assert rows["fast"]["peak_resident_mib"] == 70


def test_measurements_of_other_variants_are_kept_if_the_machine_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "_modes", lambda where: {"plain": {}})
    monkeypatch.setattr(train, "_answers", lambda where: {})
    monkeypatch.setattr(train, "_time_alone", lambda *of_mode: ([1.0], 10.0))
    monkeypatch.setattr(train, "update_flops", lambda config: 10**9)
    monkeypatch.setattr(train, "CEILING_LAYERS", ((16, 8),))

    def measured(variant: str) -> list[str]:
        return list(train.run(tmp_path, "cpu", 1, [tiny_config(variant)])["variants"])

    assert measured("SRResNet-MSE") == ["SRResNet-MSE"]
    assert measured("SRGAN-MSE") == ["SRGAN-MSE", "SRResNet-MSE"]
    file = tmp_path / "bench" / "train_cpu.json"
    file.write_text(file.read_text().replace('"cores": ', '"cores": 9'))
    assert measured("SRGAN-MSE") == ["SRGAN-MSE"]


@pytest.mark.usefixtures("light_training")
def test_train_and_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = train._modes

    def without_compiler(where: torch.device) -> dict[str, dict[str, Any]]:
        return {label: mode for label, mode in real(where).items() if mode["compile"] == "off"}

    monkeypatch.setattr(train, "_modes", without_compiler)
    answers = train._answers(torch.device("cpu"))
    assert len(answers) == 3
    one = {"Muon, batches on one thread": dict(kv for mode in answers.values() for kv in mode.items())}
    monkeypatch.setattr(train, "_answers", lambda where: one)
    monkeypatch.setattr(train, "CEILING_LAYERS", ((16, 8),))  # the real ones take minutes without bfloat16
    alone = train._time_alone
    processes: list[str] = []

    def mostly_here(config: RunConfig, where: torch.device, mode: dict[str, Any], updates: int) -> Any:
        """A process of its own for the mode that has the most to carry there; the others need no new one."""
        if "batches" in mode:
            processes.append(config.variant)
            return alone(config, where, mode, updates)
        return train._time_mode(config, where, mode, updates)

    monkeypatch.setattr(train, "_time_alone", mostly_here)
    configs = [tiny_config(name, crop_hr=64) for name in ("SRResNet-MSE", "SRGAN-MSE")]
    measured = train.run(tmp_path, "cpu", updates=1, configs=configs)
    rows = measured["variants"]["SRGAN-MSE"]["modes"]
    assert processes == ["SRResNet-MSE"]
    assert rows["eager float32, NCHW"]["times_faster"] == 1.0
    assert all(row["seconds"] > 0 for each in measured["variants"].values() for row in each["modes"].values())
    assert (
        measured["variants"]["SRGAN-MSE"]["gigaflop_an_update"]
        > (measured["variants"]["SRResNet-MSE"]["gigaflop_an_update"])
    )
    data_file = tmp_path / "bench" / "other.json"
    data_file.write_text(
        json.dumps({**{k: measured[k] for k in ("processor", "cores", "versions")}, "goal_met": True})
    )
    text = write_table(tmp_path / "bench").read_text()
    assert "| SRGAN-MSE | 2 x 64 x 64 | eager float32, NCHW |" in text
    assert f"was {measured['variants']['SRGAN-MSE']['convolution_tflops']} TFLOP/s" in text
    assert "MiB resident" in text
    assert "| goal met | yes |" in text
    assert write_table(tmp_path / "bench").read_text() == text


@pytest.mark.parametrize(
    ("variant", "kind"), [("SRResNet-MSE", Planned), ("SRFBN-S", Sample), ("Meta-SR", Sample)]
)
def test_a_gathered_batch_is_prepared_as_in_training(
    variant: str, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    class Recorded(GraphedStep):
        def __call__(self, k: int, batch: Any) -> dict[str, torch.Tensor]:
            seen.append(batch)
            return {}

    real = train.make_step
    monkeypatch.setattr(train, "make_step", lambda *a, **named: Recorded(real(*a, **named).eager))
    mode = train._modes(torch.device("cpu"))["eager float32, channels last"] | {"gather": True}
    config = small_run(variant)
    train.make_update(config, torch.device("cpu"), mode)()
    if variant == "Meta-SR":  # of its prepare: without a border
        assert seen[0].lr_01.shape[-1] == config.data.crop_lr - 20
    assert type(seen[0]) is kind


def test_without_bfloat16_instructions_its_modes_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setattr(train, "use_bfloat16", lambda precision, where: False)
    modes = train._modes(cpu)
    assert modes
    assert not any(mode["bfloat16"] for mode in modes.values())
    assert any(mode["layers"] == "engine" for mode in modes.values())
    monkeypatch.setattr(train, "use_bfloat16", lambda precision, where: True)
    assert sum(mode["bfloat16"] for mode in train._modes(cpu).values()) == 3


def test_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "UPDATES", 4)
    monkeypatch.setattr(precision, "LAST", 2)
    measured = precision.run(tmp_path, small_data(tmp_path / "bank"), tiny_config())
    assert len(measured["gaps_bfloat16_minus_float32"]) == 3
    assert 0 < max(map(abs, measured["gaps_bfloat16_minus_float32"])) < 0.05


def test_loss_terms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss_terms, "BATCHES", 2)
    folder = untrained(tmp_path / "runs" / "start").parent
    weights = vgg.with_random_layers(None, ("conv2_2",), 0)
    save_file(weights.tensors, tmp_path / "vgg.safetensors")
    start = FinishedRun(folder, "SRResNet-MSE", "quick", 0)
    source = VGGSource(tmp_path / "vgg.safetensors")
    measured = loss_terms.run(
        Results(tmp_path), small_data(tmp_path / "bank"), tiny_config("SRGAN-MSE"), start, source
    )
    terms = {name: row["mean"] for name, row in measured["terms"].items()}
    assert set(terms) == {
        "MSE",
        "adversarial",
        "adversarial, weighted",
        "phi_2,2, unit mean activation",
        "phi_2,2, as released",
    }
    assert terms["adversarial, weighted"] == pytest.approx(1e-3 * terms["adversarial"], rel=1e-3)
    assert measured["terms"]["MSE"]["times_mse"] == 1.0
    assert all(value > 0 for value in terms.values())
    (left_out,) = measured["left_out"]
    assert "phi_5,4: no weights from conv3_1 on" in left_out
    text = write_table(tmp_path / "bench").read_text()
    assert "| phi_2,2, as released |" in text
    assert "Not measured: phi_5,4" in text
    asked: list[bool] = []
    monkeypatch.setattr(vgg, "torchvision_weights", asked.append)
    packed, config = small_data(tmp_path / "bank"), tiny_config("SRGAN-MSE")
    loss_terms.run(Results(tmp_path), packed, config, start, VGGSource(download=True))
    assert asked == [True, True]


def test_the_flop_count_is_the_papers_arithmetic() -> None:
    """41 GFLOP forwards at the paper's batch, by hand from Figure 4's layers; three times that an update."""
    macs_per_lr_pixel = 243 * 64 + 16 * 2 * 576 * 64 + 576 * 64 + 576 * 256 + 4 * 576 * 256 + 16 * 81 * 64 * 3
    forward = 2 * 16 * 24 * 24 * macs_per_lr_pixel
    first_layer = 2 * 16 * 24 * 24 * 243 * 64  # has no gradient of its input
    counted = train.update_flops(configure("SRResNet-MSE", "paper"))
    assert counted == pytest.approx(3 * forward - first_layer, rel=0.02)


def test_devices() -> None:
    assert resolve_device("cpu").type == "cpu"
    with pytest.raises(UserError, match="auto, cpu or cuda"):
        resolve_device("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="DEVICE=cpu"):
            resolve_device("cuda")
    cpu = torch.device("cpu")
    assert use_bfloat16("bfloat16", cpu)
    assert not use_bfloat16("float32", cpu)
    assert len({use_bfloat16("auto", cpu) for _ in range(3)}) == 1


def test_processors_that_torch_does_not_know_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setattr(device, "_has_instructions", lambda: None)
    for ratio, expected in ((1.0, False), (2.0, True)):
        seconds = {torch.float32: ratio, torch.bfloat16: 1.0}
        monkeypatch.setattr(device, "_convolution_seconds", lambda d, dtype, s=seconds: s[dtype])
        assert use_bfloat16("auto", cpu) is expected
    monkeypatch.setattr(device, "_has_instructions", lambda: False)
    assert not use_bfloat16("auto", cpu)
