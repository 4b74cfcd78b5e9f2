"""Two processes compute what one does; a dead one ends the job."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from train_helpers import modules_of, small_data, tiny_config

from repro.core.errors import UserError
from repro.core.paths import Results
from repro.train.distributed import World
from repro.train.log import read_lines
from repro.train.run import VGGSource, prepare, train

_WORKER = """
import functools, os, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads(1)
from repro.core import tensorfile as checkpoint
from repro.methods import srgan
srgan.Discriminator = functools.partial(srgan.Discriminator, width=4, dense=16)
from repro.core.paths import Results
from repro.train.distributed import joined_world
from repro.train.run import VGGSource, prepare, train
from train_helpers import small_data, tiny_config

folder, variant, dies = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "dies"
config = tiny_config(variant, batch_size=4, updates=8, log_every=1, learning_rate=1e-4)
start = folder / "start.safetensors"
with joined_world("cpu") as world:
    prepared = prepare(
        config, Results(folder / "results"), small_data(folder / "bank"), VGGSource(allow_random=True),
        {{"generator": start}} if config.start else {{}}, torch.device("cpu"),
    )
    def progress(done, values):
        if dies and world.rank == 1 and done == 3:
            os._exit(9)
    train(prepared, progress, world=world)
"""


def _run(
    tmp_path: Path, variant: str, processes: int, dies: bool = False
) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "worker.py"
    script.write_text(_WORKER.format(tests=str(Path(__file__).parent)))
    folder = tmp_path / f"{variant}_{processes}"
    small_data(folder / "bank")
    _start(folder)
    command = [sys.executable, str(script), str(folder), variant, "dies" if dies else "lives"]
    if processes > 1:
        launcher = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        command = [sys.executable, "-m", *launcher, *command[1:]]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


def _start(folder: Path) -> None:
    from repro.core import tensorfile as checkpoint

    _, modules = modules_of(tiny_config())
    state = checkpoint.module_state("generator", modules["generator"])
    checkpoint.save(folder / "start.safetensors", state, {"notes": []})


def _log(folder: Path) -> list[dict[str, float]]:
    return [
        line
        for line in read_lines(next((folder / "results" / "runs").iterdir()) / "log.jsonl")
        if "content" in line
    ]


@pytest.mark.parametrize("variant", ["SRResNet-MSE", "SRGAN-MSE"])
def test_two_processes_train_as_one(tmp_path: Path, variant: str) -> None:
    for processes in (1, 2):
        run = _run(tmp_path, variant, processes)
        assert run.returncode == 0, run.stderr[-3000:]
    one, two = (_log(tmp_path / f"{variant}_{n}") for n in (1, 2))
    assert [line["step"] for line in one] == [line["step"] for line in two] == list(range(1, 9))
    for a, b in zip(one, two, strict=True):
        for name in set(a) - {"step"}:
            # rounding differs from the first update on, and an adversarial game amplifies it
            tolerance = 1e-5 if a["step"] == 1 else 5e-3
            assert b[name] == pytest.approx(a[name], rel=tolerance, abs=1e-6), (a["step"], name)


def test_a_dead_process_ends_the_job(tmp_path: Path) -> None:
    """It ends by itself: ``_run`` would raise after its time-out."""
    run = _run(tmp_path, "SRResNet-MSE", 2, dies=True)
    assert run.returncode != 0
    assert "exitcode" in run.stderr


def test_a_batch_that_does_not_divide_is_refused() -> None:
    with pytest.raises(UserError, match="3 processes"):
        World(0, 3).share(4)
    assert World(1, 2).share(4) == (2, 4)


def test_one_process_is_no_special_case(tmp_path: Path) -> None:
    data = small_data(tmp_path / "bank")
    cpu = torch.device("cpu")
    prepared = prepare(tiny_config(updates=2), Results(tmp_path), data, VGGSource(), {}, cpu)
    assert train(prepared, world=World())
