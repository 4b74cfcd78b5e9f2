"""Many images in threads, and over a Dask cluster of two workers, one of which is lost."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from repro.core.errors import UserError
from repro.core.parallel import over_images
from repro.core.paths import Results
from repro.data.benchmarks import load_dataset
from repro.evaluation.evaluate import evaluate
from repro.imaging.io import read_u8, write_png
from repro.imaging.resize import nearest_u8
from repro.inference.network import NetworkUpscaler
from repro.inference.store import store_originals, upscale_dataset
from repro.inference.upscaler import Options, Upscaler, direct_upscaler
from repro.methods import method
from repro.methods.srgan import Generator, begin_as_interpolation
from repro.metrics.score import score_many

pytestmark = pytest.mark.xdist_group("metrics_cluster")  # its fixtures are made once

distributed = pytest.importorskip("distributed", reason="the extra `cluster` is missing")


@pytest.fixture(scope="module")
def cluster() -> Iterator[distributed.LocalCluster]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as started:
        yield started


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, Path]]:
    folder = tmp_path_factory.mktemp("pairs")
    made = []
    for number in range(12):
        hr = np.random.default_rng(number).integers(0, 256, (40 + number, 44, 3), dtype=np.uint8)
        files = folder / f"{number}_hr.png", folder / f"{number}_sr.png"
        write_png(files[0], hr)
        write_png(files[1], hr // 2 + 60)
        made.append(files)
    return made


def test_the_same_scores_from_two_workers(
    cluster: distributed.LocalCluster,
    pairs: list[tuple[Path, Path]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(pairs[0][0].parent)  # relative paths reach the workers too
    relative = [(Path(hr.name), Path(sr.name)) for hr, sr in pairs]
    done: list[int] = []
    scores = score_many(
        relative, "ychannel-1", 3, dask=cluster.scheduler_address, on_done=lambda: done.append(1)
    )
    assert scores == score_many(pairs, "ychannel-1", 3)
    assert len(done) == len(pairs)


def _slow_square(job: tuple[Path, int]) -> int:
    """Tells which worker has begun which job, and takes its time."""
    folder, number = job
    (folder / f"{number}-{os.getpid()}").touch()
    time.sleep(0.2)
    return number * number


def test_what_a_lost_worker_had_is_done_again(cluster: distributed.LocalCluster, tmp_path: Path) -> None:
    jobs = [(tmp_path, number) for number in range(16)]
    results = over_images(_slow_square, jobs, dask=cluster.scheduler_address)
    got = [next(results)]
    begun = {int(path.name.partition("-")[2]) for path in tmp_path.iterdir()}
    os.kill(begun.pop(), signal.SIGKILL)
    got += list(results)
    assert got == [number * number for number in range(16)]
    started = [int(path.name.partition("-")[0]) for path in tmp_path.iterdir()]
    assert set(started) == set(range(16))
    assert len(started) > 16, "the lost worker's job was begun twice"


def test_evaluation_over_a_cluster_gives_the_same_bytes(
    cluster: distributed.LocalCluster, tmp_path: Path
) -> None:
    results = Results(tmp_path)
    upscale_dataset(results, "sample", direct_upscaler("bicubic"), None)
    store_originals(results, "sample", None)
    evaluate(results)
    here = results.metrics_csv.read_bytes()
    results.metrics_csv.unlink()
    evaluate(results, dask=cluster.scheduler_address)
    assert results.metrics_csv.read_bytes() == here


def test_upscaling_over_a_cluster_gives_the_same_bytes(
    cluster: distributed.LocalCluster, tmp_path: Path
) -> None:
    """A network travels to each worker once; what comes back is what this process would have made."""
    network = Generator(residual_blocks=1)
    begin_as_interpolation(network)
    options = Options("cpu", "float64")
    upscaler = NetworkUpscaler("x", method("srgan"), network.eval(), 4, options)
    here, there = Results(tmp_path / "here"), Results(tmp_path / "there")
    done: list[int] = []
    assert upscale_dataset(here, "sample", upscaler, None)
    assert upscale_dataset(there, "sample", upscaler, None, done.append, cluster.scheduler_address)
    files = sorted(here.method_folder("sample", "x").glob("*.png"))
    assert len(files) == sum(done)
    for path in files:
        assert path.read_bytes() == (there.method_folder("sample", "x") / path.name).read_bytes()


class _SlowNearest(Upscaler):
    """Tells which worker has begun an image, and takes its time; the first worker is lost on the way."""

    name = "slow"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, images_u8: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        time.sleep(0.2)
        if os.getpid() != int((self.folder / "here").read_text()):
            with suppress(FileExistsError):  # one of the two alone
                (self.folder / "lost").touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)
        return [nearest_u8(image, 4) for image in images_u8]


def test_a_lost_workers_images_are_upscaled_again(cluster: distributed.LocalCluster, tmp_path: Path) -> None:
    (tmp_path / "here").write_text(str(os.getpid()))
    results = Results(tmp_path / "r")
    assert upscale_dataset(results, "sample", _SlowNearest(tmp_path), None, dask=cluster.scheduler_address)
    assert (tmp_path / "lost").exists()
    for image in load_dataset("sample", None):
        stored = read_u8(results.image("sample", "slow", image.image))
        np.testing.assert_array_equal(stored, nearest_u8(image.lr_u8(), 4))


def test_an_error_comes_back_as_it_was(
    cluster: distributed.LocalCluster, pairs: list[tuple[Path, Path]]
) -> None:
    bad = [*pairs[:2], (pairs[0][0], pairs[1][1])]
    for dask in ("", cluster.scheduler_address):
        with pytest.raises(UserError, match="different sizes") as caught:
            score_many(bad, "daala-1", dask=dask)
        assert caught.value.next_step


def test_no_scheduler_at_that_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repro.core.parallel.CONNECT_SECONDS", 0.5)
    with pytest.raises(UserError, match="no scheduler answers"):
        list(over_images(str, [1], dask="tcp://127.0.0.1:9"))


def test_nothing_is_begun_after_the_first_error() -> None:
    begun = []

    def job(number: int) -> int:
        begun.append(number)
        if number == 1:
            raise UserError("bad")
        return number

    with pytest.raises(UserError, match="bad"):
        list(over_images(job, range(100), workers=1))
    assert begun == [0, 1]
