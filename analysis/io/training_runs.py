"""Training runs and ablations as files: logs, samples, results/ablation.csv."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.io.csvfile import read_text_csv
from analysis.io.metrics import one_wording, read_json, sentences
from repro.core.errors import UserError
from repro.core.jsonfile import parsed_object
from repro.core.paths import Results
from repro.papers.srgan import RESIDUAL_BLOCKS

ABLATION_COLUMNS = ("blocks", "skip", "profile", "updates", "dataset", "psnr_db", "ssim", "forward_ms", "run")
TRIAL_COLUMNS = ("kind", "variant", "updates", "schedule", "val_psnr_db", "dataset", "psnr_db", "run")
_TRIAL_MEASURES = ("val_lr_rms", "val_phase", "val_octave_db_1")
TRIALS_COMMAND = "python -m repro trials"
_STEP = re.compile(r"step_(\d{1,9})")
_SKIP = {
    "1": True,
    "on": True,
    "true": True,
    "yes": True,
    "0": False,
    "off": False,
    "false": False,
    "no": False,
}


@dataclass(frozen=True)
class TrainingRun:
    """One run's folder.

    Attributes:
        name: of the folder.
        variant, updates: from its ``config.json``.
        validation: (step, dB) pairs on the run's held-out images, in order.
        samples: step -> folder with sample images.
        notes: from its manifest.
        seed: of the run.
        apart_from_seed: the rest of its configuration, as text: runs that share it differ by chance only.
        ablated: whether depth or the long skip is not the paper's (Figure 7 shows those).
    """

    name: str
    variant: str
    updates: int
    validation: tuple[tuple[int, float], ...]
    samples: dict[int, Path]
    notes: tuple[str, ...]
    seed: int = 0
    apart_from_seed: str = ""
    ablated: bool = False

    def sample_images(self) -> set[str]:
        """Names of the images that every sampled step has."""
        sets = [{path.stem for path in folder.glob("*.png")} for folder in self.samples.values()]
        return set.intersection(*sets) if sets else set()


def read_runs(results: Results) -> list[TrainingRun]:
    """Every run with a ``config.json``, by name; other folders are none of ours."""
    if not results.runs.is_dir():
        return []
    return [
        _read_run(folder)
        for folder in sorted(results.runs.iterdir())
        if folder.is_dir() and (folder / "config.json").is_file()
    ]


def _read_run(folder: Path) -> TrainingRun:
    config = read_json(folder / "config.json")
    manifest = folder / "manifest.json"
    samples = {}
    if (folder / "samples").is_dir():
        for place in sorted((folder / "samples").iterdir()):
            match = _STEP.fullmatch(place.name)
            if match and place.is_dir():
                samples[int(match[1])] = place
    # settings lie in parts; earlier versions wrote them flat
    settings = config | {key: value for part in ("schedule", "network") for key, value in _part(config, part)}
    updates = settings.get("updates", 0)
    ours = config.get("method", "srgan") == "srgan"
    return TrainingRun(
        folder.name,
        str(config.get("variant", folder.name)),
        updates if isinstance(updates, int) else 0,
        _validation(folder / "log.jsonl"),
        dict(sorted(samples.items())),
        tuple(
            dict.fromkeys(one_wording(n) for n in sentences(read_json(manifest).get("notes", []), manifest))
        ),
        seed if isinstance(seed := config.get("seed", 0), int) else 0,
        json.dumps({key: value for key, value in config.items() if key != "seed"}, sort_keys=True),
        ours
        and (
            settings.get("residual_blocks", RESIDUAL_BLOCKS) != RESIDUAL_BLOCKS
            or settings.get("long_skip", True) is not True
        ),
    )


def _part(config: dict[str, Any], name: str) -> Iterable[tuple[str, Any]]:
    """One part of a configuration; nothing where it has no such part."""
    part = config.get(name)
    return part.items() if isinstance(part, dict) else ()


def _validation(path: Path) -> tuple[tuple[int, float], ...]:
    """Validation points of a log. A last line cut short by a crash is left out; any other damage is told."""
    if not path.is_file():
        return ()
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    points = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = parsed_object(line, str(path))
            step, value = record["step"], record.get("val_psnr_db")
        except (UserError, KeyError):
            if number == len(lines):
                continue
            raise UserError(
                f"{path}, line {number}: no JSON object with a step",
                "one for each logged step",
                "train again",
            ) from None
        if isinstance(step, int) and isinstance(value, int | float) and math.isfinite(value):
            points[step] = float(value)  # a resumed run may log a step again: the later line counts
    return tuple(sorted(points.items()))


def read_ablation(results: Results) -> pd.DataFrame | None:
    """The rows of ``ablation.csv``, typed; None where there is no such file.

    Returns:
        Columns of :data:`ABLATION_COLUMNS`: blocks and updates whole numbers, skip bool, figures floats.

    Raises:
        UserError: columns missing or cells that are no numbers.
    """
    path = results.root / "ablation.csv"
    if not path.is_file():
        return None
    again = "python -m repro ablation"
    frame = read_text_csv(path, ABLATION_COLUMNS, again)
    _numbers(frame, ("blocks", "updates", "psnr_db", "ssim", "forward_ms"), {"forward_ms"}, path, again)
    unknown = frame[~frame["skip"].str.lower().isin(list(_SKIP))]
    if not unknown.empty:
        raise UserError(f"{path}: skip {unknown['skip'].iloc[0]!r}", "on or off", again)
    frame["skip"] = frame["skip"].str.lower().map(_SKIP).astype(bool)
    frame["blocks"] = frame["blocks"].astype(int)
    frame["updates"] = frame["updates"].astype(int)
    return frame


def read_trials(results: Results) -> pd.DataFrame | None:
    """The rows of ``trials.csv``, typed; None where there is no such file.

    Returns:
        Columns of :data:`TRIAL_COLUMNS`, ``settings``, ``seed``, and what validation measured beside PSNR:
        updates and schedule whole numbers, what was measured floats, NaN where empty or not in the file.

    Raises:
        UserError: columns missing or cells that are no numbers.
    """
    path = results.root / "trials.csv"
    if not path.is_file():
        return None
    frame = read_text_csv(path, TRIAL_COLUMNS, TRIALS_COMMAND)
    for name in ("settings", "seed", *_TRIAL_MEASURES):
        if name not in frame:
            frame[name] = ""
    measured = ("val_psnr_db", "psnr_db", *_TRIAL_MEASURES)
    _numbers(frame, ("updates", "schedule", *measured), set(measured), path, TRIALS_COMMAND)
    return frame


def _numbers(
    frame: pd.DataFrame, columns: tuple[str, ...], may_be_empty: set[str], path: Path, again: str
) -> None:
    """Makes columns of text into numbers; UserError on a cell that is none."""
    for column in columns:
        values = pd.to_numeric(frame[column].replace("", "nan"), errors="coerce")
        blank = (frame[column] == "") & (column in may_be_empty)
        wrong = frame[values.isna() & ~blank]
        if not wrong.empty:
            raise UserError(
                f"{path}, line {int(wrong.index[0]) + 2}: {column} {wrong[column].iloc[0]!r}",
                "a number",
                again,
            )
        frame[column] = values
