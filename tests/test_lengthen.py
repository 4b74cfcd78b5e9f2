"""A run that goes on from a shorter one ends with the bytes that it would have ended with alone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console
from train_helpers import small_data, tiny_config

from repro.cli.training import Sources, train_variant
from repro.core import tensorfile
from repro.core.errors import UserError
from repro.core.parts import split
from repro.core.paths import Results
from repro.data.prepare import TrainingData
from repro.methods.config import RunConfig
from repro.methods.variants import configure
from repro.train.lengthen import begin_from
from repro.train.log import read_lines
from repro.train.run import Prepared, VGGSource, prepare, run_identity, train


def _config(updates: int, **changes: object) -> RunConfig:
    settings = {"optimiser": "muon", "ema_decay": 0.9, "statistics_batches": 2, "decay": "hold"}
    return tiny_config(
        updates=updates,
        **{**settings, "hold_share": 0.5, "warmup_updates": 1, "validate_every": 2, **changes},
    )


def _prepared(folder: Path, config: RunConfig, data: TrainingData) -> Prepared:
    return prepare(config, Results(folder), data, VGGSource(), {}, torch.device("cpu"))


def test_a_lengthened_run_is_the_whole_run(tmp_path: Path) -> None:
    data = small_data(tmp_path / "bank")
    short = _prepared(tmp_path / "a", _config(4), data)
    train(short)
    alone = _prepared(tmp_path / "b", _config(8), data)
    train(alone)
    longer = _prepared(tmp_path / "a", _config(8), data)
    assert begin_from(longer, short.folder) == 2
    train(longer)
    assert longer.generator.read_bytes() == alone.generator.read_bytes()
    assert longer.generator.read_bytes() != short.generator.read_bytes()
    lines = [read_lines(run.folder / "log.jsonl") for run in (longer, alone)]
    assert lines[0] == lines[1]
    assert lines[0][0]["step"] == 2


def test_what_a_run_has_in_parts_is_not_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    data, results = small_data(tmp_path / "bank"), Results(tmp_path)
    train(short := _prepared(tmp_path, _config(4), data))
    longer = _prepared(tmp_path, _config(8), data)
    for _ in range(3):
        assert not train(longer, max_minutes=0.0)
    (longer.folder / "checkpoint.safetensors").unlink()
    sources = Sources(tmp_path)
    train_variant(Console(), longer.config, results, sources, "cpu", data=data, shorter=short.folder)
    assert longer.is_done()
    assert "goes on from" not in capsys.readouterr().out


def test_another_beginning_is_refused(tmp_path: Path) -> None:
    data = small_data(tmp_path / "bank")
    short = _prepared(tmp_path, _config(4), data)
    with pytest.raises(UserError, match="not there"):
        begin_from(_prepared(tmp_path, _config(8), data), short.folder)
    train(short)
    for wrong, words in (
        ({"learning_rate": 1e-5}, "learning_rate"),
        ({"seed": 1}, "seed"),
        ({"hold_share": 0.0}, "another learning rate"),
    ):
        with pytest.raises(UserError, match=words):
            begin_from(_prepared(tmp_path, _config(8, **wrong), data), short.folder)
    with pytest.raises(UserError, match="1 to 1"):
        begin_from(_prepared(tmp_path, _config(1, hold_share=0.9), data), short.folder)


def _checkpoint(folder: Path, config: RunConfig) -> Path:
    """A checkpoint alone, as it travels."""
    about = {"identity": run_identity(config, False, {}), "config": config.as_dict(), "done": 2}
    tensorfile.save(folder / "checkpoint.safetensors", {"torch_rng": torch.get_rng_state()}, about)
    return folder


def _longer(folder: Path, config: RunConfig) -> Prepared:
    return SimpleNamespace(config=config, folder=folder, bfloat16=False, inputs={}, identity="y")  # type: ignore[return-value]


def test_a_checkpoint_may_have_travelled_without_its_logs(tmp_path: Path) -> None:
    shorter = _checkpoint(tmp_path / "short", _config(4))
    split(shorter / "checkpoint.safetensors")
    (shorter / "checkpoint.safetensors").unlink()
    assert begin_from(_longer(tmp_path / "long", _config(8)), shorter) == 2
    assert (tmp_path / "long" / "checkpoint.safetensors").is_file()


def test_weights_along_the_whole_schedule_have_another_beginning(tmp_path: Path) -> None:
    short, long = (
        configure("DRCN", "quick").but(
            schedule={"updates": updates, "decay": "constant", "warmup_updates": 0}
        )
        for updates in (4, 8)
    )
    with pytest.raises(UserError, match="other weights"):
        begin_from(_longer(tmp_path / "long", long), _checkpoint(tmp_path / "short", short))
    assert not (tmp_path / "long").exists()
