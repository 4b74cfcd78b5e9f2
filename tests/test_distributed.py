"""Two processes compute what one does; a dead one ends the job."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from train_helpers import NARROW, small_data, tiny_config, untrained

from repro.core.errors import UserError
from repro.core.paths import Results
from repro.methods import method, srgan
from repro.methods.variants import configure
from repro.nn.suited import SharedPReLU
from repro.train import execution
from repro.train.distributed import World, joined_world
from repro.train.log import read_lines
from repro.train.run import Prepared, VGGSource, prepare, train

VARIANTS = ("SRResNet-MSE", "SRGAN-MSE")


def _train(folder: Path, dies: bool) -> None:
    """Both variants, in each process of the job; with ``dies`` the second process is gone after 3 updates."""
    data, start = small_data(folder / "bank"), folder / "generator.safetensors"
    with joined_world("cpu") as world:

        def progress(done: int, values: dict[str, float]) -> None:
            if dies and world.rank == 1 and done == 3:
                os._exit(9)

        for variant in VARIANTS:
            config = tiny_config(variant, batch_size=4, updates=8, log_every=1, learning_rate=1e-4)
            config = config.but(schedule={"statistics_batches": 2})
            begins = {"generator": start} if config.start else {}
            source = VGGSource(allow_random=True)
            prepared = prepare(config, Results(folder), data, source, begins, torch.device("cpu"))
            train(prepared, progress, world=world)


def _two_processes(folder: Path, fate: str) -> subprocess.CompletedProcess[str]:
    """This file, run by torch's launcher."""
    small_data(folder / "bank")
    untrained(folder)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    return subprocess.run(
        [*launcher, __file__, str(folder), fate], capture_output=True, text=True, timeout=240, check=False
    )


def _log(folder: Path, variant: str) -> list[dict[str, float]]:
    (run,) = (folder / "runs").glob(f"{variant}-*")
    return [line for line in read_lines(run / "log.jsonl") if "content" in line]


def _statistics(folder: Path) -> dict[str, torch.Tensor]:
    """The running statistics of the finished SRResNet-MSE."""
    (run,) = (folder / "runs").glob("SRResNet-MSE-*")
    weights = load_file(run / "generator.safetensors")
    found = {name: tensor for name, tensor in weights.items() if "running" in name}
    assert found
    return found


@pytest.mark.usefixtures("light_training")
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    run = _two_processes(tmp_path / "two", "lives")
    assert run.returncode == 0, run.stderr[-3000:]
    untrained(tmp_path / "one")
    _train(tmp_path / "one", dies=False)
    for variant in VARIANTS:
        one, two = (_log(tmp_path / name, variant) for name in ("one", "two"))
        assert [line["step"] for line in one] == [line["step"] for line in two] == list(range(1, 9))
        for a, b in zip(one, two, strict=True):
            for name in set(a) - {"step"}:
                # rounding differs from the first update on, and an adversarial game amplifies it
                tolerance = 1e-5 if a["step"] == 1 else 5e-3
                assert b[name] == pytest.approx(a[name], rel=tolerance, abs=1e-6), (variant, a["step"], name)
    one, two = (_statistics(tmp_path / name) for name in ("one", "two"))
    for name, value in one.items():
        # of the same crops: rows of one process alone have others by tens of per cent
        torch.testing.assert_close(two[name], value, rtol=5e-3, atol=5e-3 * float(value.abs().max()))


def test_a_dead_process_ends_the_job(tmp_path: Path) -> None:
    """It ends by itself: ``_two_processes`` would raise after its time-out."""
    run = _two_processes(tmp_path, "dies")
    assert run.returncode != 0
    assert re.search(r"exitcode\s*: 9\b", run.stderr), run.stderr[-3000:]  # the planted one


def test_a_batch_that_does_not_divide_is_refused() -> None:
    with pytest.raises(UserError, match="3 processes"):
        World(0, 3).share(4)
    assert World(1, 2).share(4) == (2, 4)


@pytest.mark.parametrize(
    ("variant", "settings", "splits"),
    [
        ("SRGAN-VGG54", [], True),
        ("RRDB-PSNR", [], True),
        ("ESRGAN", [], False),
        ("SRResNet-noBN", [], True),
        ("RankSRGAN", [], False),
        ("SRFBN", ["degradation=BD"], True),
        ("SRFBN", ["degradation=DN"], False),
        ("SRNTT-rec", [], True),
        ("SRNTT", [], False),
    ],
)
def test_what_is_of_the_whole_batch_is_not_shared_out(
    variant: str, settings: list[str], splits: bool
) -> None:
    """Refused before anything is built: for 5 processes neither batch divides."""
    config = configure(variant).with_settings([*settings, "batch_size=8"])
    data = SimpleNamespace(training=None)
    run = Prepared(config, Path(), "", data, torch.device("cpu"), False, None, {}, {})  # type: ignore[arg-type]
    with pytest.raises(UserError, match="divides the batch" if splits else "term of its loss"):
        train(run, world=World(0, 5))


def test_several_gpus_get_the_layers_that_suit_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their networks are not compiled, so that nothing else would give them faster ones."""
    monkeypatch.setattr(execution, "compiles", lambda config, device: True)
    monkeypatch.setattr(execution, "distributed", lambda module: module)
    config, how = tiny_config(), method("srgan")
    made = [
        execution.make_step(config, how, how.build(config), torch.device("cpu"), False, World(0, size))
        for size in (1, 2)
    ]
    kinds = [type(step.eager.modules["generator"].get_submodule("head_prelu")) for step in made]
    assert kinds == [torch.nn.PReLU, SharedPReLU]
    with pytest.raises(UserError, match="compile=on on 2 processes"):
        execution.make_step(
            config.with_settings(["compile=on"]), how, {}, torch.device("cpu"), False, World(0, 2)
        )


def test_one_process_is_no_special_case(tmp_path: Path) -> None:
    data = small_data(tmp_path / "bank")
    cpu = torch.device("cpu")
    prepared = prepare(tiny_config(updates=2), Results(tmp_path), data, VGGSource(), {}, cpu)
    assert train(prepared, world=World())


if __name__ == "__main__":  # in a process of the launcher
    torch.set_num_threads(1)
    srgan.Discriminator = NARROW  # type: ignore
    _train(Path(sys.argv[1]), dies=sys.argv[2] == "dies")
