"""Short runs that chose profile ``cpu``'s schedule, and whole schedules of growing length.

The paper's 1e6 updates at a constant 1e-4 are no schedule for a few thousand. The trials compare peak
learning rate, warm-up, decay and averaging by PSNR on the held-out validation images, never on a test set.
The budgets are whole schedules, each decayed to zero, of growing length: their scores on a test set show
what more updates would bring.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro.core.atomic import write_text
from repro.core.errors import UserError
from repro.methods.config import RunConfig
from repro.methods.variants import config_from_dict
from repro.metrics.score import Score
from repro.train.finished import FinishedRun

COLUMNS = (
    "kind",
    "updates",
    "schedule",
    "learning_rate",
    "warmup_updates",
    "decay",
    "ema_decay",
    "val_psnr_db",
    "dataset",
    "psnr_db",
    "ssim",
    "run",
)
TRIAL_UPDATES = 600
BUDGETS = (150, 600, 2_400)
"""Lengths of whole schedules; the finished run of profile ``cpu`` is the longest."""


def scaled(config: RunConfig, updates: int) -> RunConfig:
    """Profile ``cpu``'s schedule at another length: warm-up and averaging shrink with it."""
    schedule = config.schedule
    return config.but(
        schedule={
            "updates": updates,
            "warmup_updates": min(schedule.warmup_updates, updates // 20),
            "ema_decay": round(schedule.ema_decay ** (schedule.updates / updates), 3),
        },
        logging={"log_every": 20, "validate_every": 100, "sample_every": updates, "checkpoint_every": 200},
    )


def trial_configurations(config: RunConfig) -> list[RunConfig]:
    """The trials, each one step away from the schedule that profile ``cpu`` has; that one is the first."""
    base = scaled(config, TRIAL_UPDATES)
    changes: tuple[dict[str, Any], ...] = (
        {},
        {"learning_rate": 5e-4},
        {"learning_rate": 2e-3},
        {"warmup_updates": 0},
        {"ema_decay": 0.0},
        {"decay": "constant"},
    )
    return [base.but(schedule=change) for change in changes]


def budget_configurations(config: RunConfig) -> list[RunConfig]:
    """Whole schedules of growing length, all shorter than the profile's own."""
    return [scaled(config, updates) for updates in BUDGETS if updates < config.schedule.updates]


def validation_psnr_db(run: Path) -> float:
    """What a finished run measured last on its validation images.

    Raises:
        UserError: its manifest does not tell.
    """
    path = run / "manifest.json"
    try:
        value = json.loads(path.read_text())["validation_psnr_db"]
    except (OSError, ValueError, KeyError):
        value = None
    if not isinstance(value, float):
        raise UserError(f"{path}: no validation PSNR", "a finished run with validation images", "train again")
    return value


@dataclass(frozen=True)
class Figure:
    """One line of ``trials.csv``.

    Attributes:
        kind: ``trial``, ``budget`` (a whole schedule) or ``progress`` (a snapshot within one).
        config: of the run.
        run: the run's folder.
        updates: made so far.
        val_psnr_db: on the validation images; None where that was not measured.
        dataset, score: on a test set, where it was looked at.
    """

    kind: str
    config: RunConfig
    run: str
    updates: int
    val_psnr_db: float | None = None
    dataset: str = ""
    score: Score | None = None

    def row(self) -> dict[str, object]:
        """The line's cells."""
        schedule, score = self.config.schedule, self.score
        return {
            "kind": self.kind,
            "updates": self.updates,
            "schedule": schedule.updates,
            "learning_rate": f"{schedule.learning_rate:g}",
            "warmup_updates": schedule.warmup_updates,
            "decay": schedule.decay,
            "ema_decay": f"{schedule.ema_decay:g}",
            "val_psnr_db": "" if self.val_psnr_db is None else f"{self.val_psnr_db:.6g}",
            "dataset": self.dataset,
            "psnr_db": f"{score.psnr_db:.6g}" if score else "",
            "ssim": f"{score.ssim:.6g}" if score else "",
            "run": self.run,
        }


def write_csv(path: Path, figures: list[Figure]) -> None:
    """``trials.csv``, in the order given, whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(figure.row() for figure in figures)
    write_text(path, text.getvalue())


def run_config(run: FinishedRun) -> RunConfig:
    """The configuration that a finished run's manifest tells."""
    return config_from_dict(json.loads((run.folder / "manifest.json").read_text())["config"])


def snapshots(run: FinishedRun) -> list[tuple[int, Path]]:
    """Updates made and generator of each snapshot of a run, in order."""
    files = sorted((run.folder / "snapshots").glob("step_*.safetensors"))
    return [(int(file.stem.removeprefix("step_")), file) for file in files]
