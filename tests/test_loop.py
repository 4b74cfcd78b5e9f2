"""A run that is stopped, or killed at any moment, ends with the bytes of the run that was not."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import pickle
import random
import signal
import time
from pathlib import Path

import pytest
import torch
from train_helpers import NARROW, host_batches, modules_of, small_data, small_dataset, tiny_config, tiny_step

from repro.core import tensorfile
from repro.core.errors import UserError
from repro.core.paths import Results
from repro.data.packed import open_packed
from repro.data.prepare import TrainingData
from repro.data.samples import HostBatches, Sample
from repro.methods import srgan
from repro.methods.base import VGGNeed
from repro.methods.config import RunConfig
from repro.nn import vgg
from repro.train import run as run_module
from repro.train.finished import FinishedRun, finished_runs, the_run
from repro.train.log import RunLog, read_lines
from repro.train.loop import Loop, LoopFiles
from repro.train.run import Prepared, VGGSource, _finish, prepare, train, vgg_features
from repro.train.validation import Validation

pytestmark = pytest.mark.usefixtures("light_training")

CPU = torch.device("cpu")
RANDOM_VGG = VGGSource(allow_random=True)


def _start(folder: Path) -> Path:
    """A generator to start from, as SRResNet-MSE would leave it."""
    _, modules = modules_of(tiny_config())
    path = folder / "start.safetensors"
    tensorfile.save(path, tensorfile.module_state("generator", modules["generator"]), {"notes": ["short"]})
    return path


def _prepared(folder: Path, config: RunConfig, data: TrainingData | None = None) -> Prepared:
    start = {"generator": _start(folder)} if config.start else {}
    data = data or small_data(folder / "bank")
    return prepare(config, Results(folder / "results"), data, RANDOM_VGG, start, CPU)


def _same_files(a: Path, b: Path, names: tuple[str, ...]) -> None:
    for name in names:
        assert (a / name).read_bytes() == (b / name).read_bytes(), name


FILES = ("generator.safetensors", "checkpoint.safetensors", "log.jsonl", "config.json")


@pytest.mark.parametrize("variant", ["SRResNet-MSE", "SRResNet-VGG22", "SRGAN-MSE"])
def test_stop_and_resume_equals_the_straight_run(tmp_path: Path, variant: str) -> None:
    config = tiny_config(variant, ema_decay=0.9, updates=7)
    straight = _prepared(tmp_path / "straight", config)
    assert train(straight)
    stopped = _prepared(tmp_path / "stopped", config)
    assert stopped.folder.name == straight.folder.name
    calls = 0
    while not train(stopped, max_minutes=0.0):  # each call makes one update
        calls += 1
    assert calls == 6
    _same_files(straight.folder, stopped.folder, FILES)
    assert straight.is_done()
    assert the_run(Results(tmp_path / "straight" / "results"), variant).folder == straight.folder
    assert len(finished_runs(Results(tmp_path / "straight" / "results"))) == 1


def test_the_manifest_says_what_was_done(tmp_path: Path) -> None:
    prepared = _prepared(tmp_path, tiny_config("SRResNet-VGG22"))
    train(prepared)
    manifest = json.loads((prepared.folder / "manifest.json").read_text())
    assert manifest["seed"] == 0
    assert manifest["config"]["variant"] == "SRResNet-VGG22"
    assert any("random features, not SRResNet-VGG22" in note for note in manifest["notes"])
    assert any("shortened schedule" in note for note in manifest["notes"])
    assert manifest["facts"]["training data"] == "synthetic pictures"
    assert str(tmp_path) not in json.dumps(manifest)
    metadata = tensorfile.load(prepared.generator)[1]
    assert metadata["notes"] == manifest["notes"]


def test_the_log_holds_what_a_reader_needs(tmp_path: Path) -> None:
    prepared = _prepared(tmp_path, tiny_config("SRGAN-MSE"))
    train(prepared)
    lines = read_lines(prepared.folder / "log.jsonl")
    losses = [line for line in lines if "content" in line]
    assert [line["step"] for line in losses] == [2, 4, 6]
    expected = {
        "content",
        "adversarial",
        "discriminator",
        "d_hr",
        "d_sr",
        "gradient_norm_g",
        "gradient_norm_d",
    }
    assert expected <= set(losses[0])
    assert [line["step"] for line in lines if "val_psnr_db" in line] == [3, 6]
    timing = read_lines(prepared.folder / "timing.jsonl")
    assert {"images_per_second", "data_share", "peak_resident_mib", "seconds_per_update"} <= set(timing[0])
    assert sorted(p.name for p in (prepared.folder / "samples" / "step_0000006").iterdir()) == [
        "picture_100.png",
        "picture_101.png",
        "picture_102.png",
    ]
    assert list((prepared.folder / "tensorboard").iterdir())


def test_mean_of_the_terms_since_the_last_line(tmp_path: Path) -> None:
    every = _prepared(tmp_path / "every", tiny_config(log_every=1))
    seldom = _prepared(tmp_path / "seldom", tiny_config(log_every=3))
    train(every)
    train(seldom)
    single = [line["content"] for line in read_lines(every.folder / "log.jsonl") if "content" in line]
    means = [line["content"] for line in read_lines(seldom.folder / "log.jsonl") if "content" in line]
    assert means == pytest.approx([sum(single[:3]) / 3, sum(single[3:]) / 3], rel=1e-6)


def test_a_bad_loss_ends_the_run_with_a_good_checkpoint(tmp_path: Path) -> None:
    data = small_data(tmp_path / "bank")
    config = tiny_config()

    class Poisoned(HostBatches):
        def get(self, k: int) -> Sample:
            sample = super().get(k)
            if k == 4:
                sample.hr_pm1[0, 0, 0, 0] = float("inf")
            return sample

    batches = Poisoned(data.training, config.data, config.seed, config.schedule.updates, CPU)
    validation = Validation(data, CPU, config.data.scale)
    loop = Loop(config, tiny_step(config), batches, LoopFiles(tmp_path), validation, "me")
    with pytest.raises(UserError) as caught:
        loop.run()
    batches.close()
    assert "update 4" in caught.value.got
    assert "'content'" in caught.value.got
    assert tensorfile.load(tmp_path / "checkpoint.safetensors")[1]["done"] == 4


def test_a_poisoned_state_never_replaces_the_checkpoint(tmp_path: Path) -> None:
    """On a GPU a bad update is skipped and found later; its running statistics must not be saved."""
    config = tiny_config()
    step = tiny_step(config)
    images = small_dataset(tmp_path / "bank")
    loop = Loop(config, step, host_batches(images, config), LoopFiles(tmp_path), None, "me")
    loop.save()
    good = (tmp_path / "checkpoint.safetensors").read_bytes()
    step.modules["generator"].get_buffer("body_bn.running_mean")[0] = float("nan")
    with pytest.raises(UserError, match=r"body_bn.running_mean is not finite, and nothing was saved"):
        loop.save()
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == good


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    config = tiny_config()
    images = small_dataset(tmp_path / "bank")

    def loop(identity: str) -> Loop:
        step, batches = tiny_step(config), host_batches(images, config)
        return Loop(config, step, batches, LoopFiles(tmp_path), None, identity)

    first = loop("one")
    first.save()
    with pytest.raises(UserError, match="another run"):
        loop("two").resume()


def test_a_run_is_not_continued_in_another_arithmetic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Begun in bfloat16, the same command on a processor without it is refused, and says what to do."""
    config = tiny_config(precision="auto")
    data = small_data(tmp_path / "packed")

    def prepared(bfloat16: bool, *settings: str) -> Prepared:
        monkeypatch.setattr(
            run_module, "use_bfloat16", lambda p, device: bfloat16 if p == "auto" else p == "bfloat16"
        )
        wanted = config.with_settings(list(settings))
        return prepare(wanted, Results(tmp_path / "results"), data, RANDOM_VGG, {}, CPU)

    begun = prepared(True)
    assert not train(begun, max_minutes=0.0)
    (begun.folder / "checkpoint.safetensors").unlink()  # it travelled in parts
    with pytest.raises(UserError, match="begun in bfloat16") as caught:
        prepared(False)
    assert "precision=bfloat16" in caught.value.next_step
    assert prepared(False, "precision=bfloat16").folder == begun.folder  # goes on where it was
    assert prepared(True).folder == begun.folder
    assert train(prepared(True))
    assert prepared(False).folder != begun.folder  # it is finished: another run may begin


def test_missing_inputs_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = small_data(tmp_path / "bank")
    results = Results(tmp_path / "results")
    with pytest.raises(UserError, match="starts from SRResNet-MSE"):
        prepare(tiny_config("SRGAN-MSE"), results, data, RANDOM_VGG, {}, CPU)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "no_cache"))
    with pytest.raises(UserError) as caught:
        prepare(tiny_config("SRResNet-VGG22"), results, data, VGGSource(), {}, CPU)
    assert "torchvision" in caught.value.next_step
    with pytest.raises(UserError, match="no finished run"):
        the_run(results, "SRGAN-MSE")
    ranked = tiny_config("RankSRGAN-VGG34")  # the ranker is not trained by `train`
    with pytest.raises(UserError, match="starts from RankSRGAN-Ranker") as caught:
        prepare(ranked, results, data, RANDOM_VGG, {"generator": _start(tmp_path)}, CPU)
    assert caught.value.next_step == "python -m repro ranksrgan ranker --profile quick --seed 0"
    with pytest.raises(UserError) as caught:
        the_run(results, "RankSRGAN-Ranker", "cpu")
    assert caught.value.next_step == "python -m repro ranksrgan ranker --profile cpu"
    two = [FinishedRun(Path(name), "SRGAN-MSE", "quick", seed) for seed, name in enumerate("ab")]
    monkeypatch.setattr("repro.train.finished.finished_runs", lambda results: two)
    with pytest.raises(UserError, match="2 runs of SRGAN-MSE: a, b") as caught:
        the_run(results, "SRGAN-MSE")
    assert str(two[0].generator) in caught.value.next_step  # what every command takes in some way


@pytest.mark.parametrize("content", [b"", b"junk", pickle.dumps(Path("x"), 2)], ids=["empty", "junk", "code"])
def test_a_damaged_cached_vgg_is_told_and_never_run(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached = tmp_path / "hub" / "checkpoints" / "vgg19-dcbb9e9d.pth"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(content)
    with pytest.raises(UserError, match=r"vgg19-dcbb9e9d\.pth: ") as caught:
        vgg.torchvision_weights(False)
    assert caught.value.next_step.startswith("remove it")


def test_no_random_channel_outweighs_its_layer(tmp_path: Path) -> None:
    """Trained ones are all divided by their own means; of random ones, some hardly ever answer."""
    untrained = vgg.with_random_layers(None, ("conv2_2",), 0)
    trained = dataclasses.replace(untrained, random_layers=(), origin="somebody's")
    images = small_data(tmp_path / "bank").training

    def scales(weights: vgg.VGGWeights, folder: str) -> torch.Tensor:
        need = VGGNeed(("conv2_2",), normalised=True)
        for _ in range(2):  # the second reads what the first keeps
            features, _ = vgg_features(need, weights, images, tmp_path / folder, 96)
        return features.get_buffer("scale_conv2_2").flatten()

    own, floored = scales(trained, "a"), scales(untrained, "b")
    assert own.max() > 10 * floored.max()
    assert torch.equal(floored, own.clamp_max(floored.max()))
    assert own.min() < floored.max() < own.max()


@pytest.mark.parametrize(
    ("whose", "named"), [("SRResNet-VGG22", "SRResNet-VGG22"), ("../elsewhere", "SRResNet-MSE")]
)
def test_notes_name_the_network_that_a_run_really_starts_from(tmp_path: Path, whose: str, named: str) -> None:
    start = _start(tmp_path)
    tensorfile.save(start, tensorfile.load(start)[0], {"notes": ["short"], "variant": whose})
    data, results = small_data(tmp_path / "bank"), Results(tmp_path / "results")
    notes = prepare(tiny_config("SRGAN-MSE"), results, data, RANDOM_VGG, {"generator": start}, CPU).notes
    assert [note for note in notes if note.startswith("started")] == [f"started from {named}: short"]


def test_lines_after_the_checkpoint_are_dropped(tmp_path: Path) -> None:
    log = RunLog(tmp_path, tensorboard=False)
    for step in (1, 2, 3):
        log.write(step, {"content": 0.5 * step})
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 4, "cont')
    log.close()  # its process is gone
    RunLog(tmp_path, step=2, tensorboard=False)
    assert [line["step"] for line in read_lines(tmp_path / "log.jsonl")] == [1, 2]


# --- SIGKILL ---


def _child(folder: str, variant: str, die_in_save: int) -> None:
    """Trains in a process of its own; dies by SIGKILL in the middle of checkpoint ``die_in_save``."""
    torch.set_num_threads(1)
    srgan.Discriminator = NARROW  # type: ignore
    saves = 0
    real = tensorfile.save_file

    def save(tensors: dict[str, torch.Tensor], path: Path, header: dict[str, str]) -> None:
        nonlocal saves
        saves += 1
        real(tensors, path, header)
        if saves == die_in_save:
            data = path.read_bytes()
            path.write_bytes(data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)

    tensorfile.save_file = save  # type: ignore[assignment]
    root = Path(folder)
    banks = sorted((root / "bank").iterdir())
    sizes = {len(images): images for images in map(open_packed, banks)}
    data = TrainingData(sizes[20], sizes[3], "synthetic pictures")
    config = tiny_config(
        variant, updates=24, batch_size=1, checkpoint_every=2, validate_every=8, sample_every=24
    )
    train(_prepared(root, config, data))


@pytest.mark.parametrize("variant", [pytest.param("SRResNet-MSE", marks=pytest.mark.slow), "SRGAN-MSE"])
def test_sigkill_at_any_moment_changes_nothing(tmp_path: Path, variant: str) -> None:
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["repro.train.run", "train_helpers", "torch.utils.tensorboard"])

    def run(folder: Path, die_in_save: int, after: float | None) -> int:
        child = processes.Process(target=_child, args=(str(folder), variant, die_in_save))
        child.start()
        if after is not None:
            time.sleep(after)
            child.kill()
        child.join(timeout=120)
        assert child.exitcode is not None
        return child.exitcode

    for name in ("straight", "killed"):
        small_data(tmp_path / name / "bank")
    began = time.monotonic()
    assert run(tmp_path / "straight", 0, None) == 0
    whole = time.monotonic() - began

    rng = random.Random(7)
    killed = 0
    for attempt in range(11):
        if attempt % 3 == 2:  # in the middle of writing a checkpoint
            code = run(tmp_path / "killed", rng.choice((1, 2)), None)
        else:  # whatever it is doing just then
            code = run(tmp_path / "killed", 0, rng.uniform(0.1, 0.35) * whole)
        killed += code == -signal.SIGKILL
        leftovers = list((tmp_path / "killed" / "results" / "runs").glob("*/checkpoint.safetensors"))
        for path in leftovers:
            tensorfile.load(path)  # whole, whenever the kill came
    assert run(tmp_path / "killed", 0, None) == 0
    assert killed >= 10
    straight, other = (next((tmp_path / n / "results" / "runs").iterdir()) for n in ("straight", "killed"))
    _same_files(straight, other, FILES)
    assert (
        json.loads((straight / "manifest.json").read_text())["outputs"]
        == json.loads((other / "manifest.json").read_text())["outputs"]
    )


def test_an_infinite_psnr_is_kept_and_told(tmp_path: Path) -> None:
    """A held-out picture without detail (a page of a document) comes out exactly: no number of decibels."""
    config = tiny_config(updates=2)
    images = small_dataset(tmp_path, 2)
    batches = host_batches(images, config)
    written, again = (
        Loop(config, tiny_step(config), batches, LoopFiles(tmp_path), None, "me") for _ in range(2)
    )
    written.run()
    batches.close()
    written.validation_psnr_db = float("inf")
    written.save()
    again.resume()
    assert again.validation_psnr_db == float("inf")
    prepared = _prepared(tmp_path, config, TrainingData(images, images, "pictures"))
    prepared.folder.mkdir(parents=True)
    _finish(prepared, again)
    assert json.loads(prepared.manifest.read_text())["validation_psnr_db"] == "inf"


def test_weights_of_another_network_are_no_start(tmp_path: Path) -> None:
    prepared = _prepared(tmp_path, tiny_config("SRGAN-MSE"))
    del prepared.start["generator"]["tail.bias"]
    with pytest.raises(UserError, match="do not fit the generator"):
        train(prepared)
    assert not prepared.folder.exists()


def test_an_input_convention_that_nobody_knows_is_refused() -> None:
    with pytest.raises(UserError, match="auto, torchvision, caffe"):
        VGGSource(convention="coffee")  # type: ignore[arg-type]


def test_two_processes_never_write_one_log(tmp_path: Path) -> None:
    log = RunLog(tmp_path, tensorboard=False)
    log.write(1, {"loss": 1.0})
    with pytest.raises(UserError, match="another process"):
        RunLog(tmp_path, tensorboard=False)
    assert len(read_lines(tmp_path / "log.jsonl")) == 1
    log.close()
    RunLog(tmp_path, step=1, tensorboard=False).close()
    assert len(read_lines(tmp_path / "log.jsonl")) == 1
