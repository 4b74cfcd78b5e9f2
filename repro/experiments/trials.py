"""Short runs that chose profile ``cpu``'s recipe, and whole schedules of growing length.

The papers' schedules are none for a few thousand updates. A trial changes one thing of the profile and is
compared with it by PSNR on held-out photographs, never on a test set, with two seeds so that noise is known.
Whole schedules of growing length are scored on a test set too: what more updates bring.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from repro.core.atomic import write_text
from repro.core.csvfile import csv_text
from repro.core.errors import UserError
from repro.core.jsonfile import read_object
from repro.core.settings import leaves
from repro.methods.config import RunConfig
from repro.methods.variants import config_from_dict, configure
from repro.metrics.score import Score
from repro.train.finished import FinishedRun
from repro.train.log import read_lines

COLUMNS = (
    "kind",
    "variant",
    "seed",
    "settings",
    "updates",
    "schedule",
    "val_psnr_db",
    "val_lr_rms",
    "val_phase",
    "val_octave_db_1",
    "dataset",
    "psnr_db",
    "ssim",
    "run",
)
TRIAL_UPDATES = 600
BUDGETS = (600, 2_400, 12_000)
"""Lengths of whole schedules below the profile's own; the first two get two seeds."""
SEEDS = (0, 1)


class Trial(NamedTuple):
    """One change of a variant's profile; none is the profile itself."""

    variant: str
    settings: tuple[str, ...] = ()


SCHEDULE = tuple(
    Trial("SRResNet-MSE", settings)
    for settings in (
        (),
        ("optimiser=adam",),
        ("initial=glorot",),
        ("optimiser=adam", "initial=glorot", "decay=cosine"),
        ("decay=cosine",),
        ("decay=constant",),
        ("hold_share=0.5",),
        ("learning_rate=5e-4",),
        ("learning_rate=2e-3",),
        ("muon_rate=1",),
        ("muon_rate=4",),
        ("crop_hr=192", "batch_size=4"),
        ("ema_decay=0",),
        ("statistics_batches=0",),
    )
)
GAN = tuple(
    Trial("SRGAN-VGG22", settings)
    for settings in (
        (),
        ("consistency_weight=0",),
        ("consistency_weight=0.1",),
        ("grid_weight=0",),
        ("adversarial_from=0", "adversarial_ramp=0"),
        ("optimiser=muon",),
    )
)
CONTENT = tuple(
    Trial("SRResNet-VGG22", settings) for settings in ((), ("grid_weight=0",), ("tv_weight=3e-7",))
)
PARTS = {"schedule": SCHEDULE, "content": CONTENT, "gan": GAN}
"""What is tried, by the variant that it is tried on: ``--set`` of a part must be a setting of its variant."""


def scaled(config: RunConfig, updates: int) -> RunConfig:
    """A profile's schedule at another length."""
    return config.but(
        schedule={"updates": updates},
        logging={"validate_every": updates, "sample_every": updates},
    )


def configured(trial: Trial, updates: int, seed: int, settings: list[str]) -> RunConfig:
    """A trial's configuration; ``settings`` change the profile before the trial does."""
    profile = configure(trial.variant, "cpu", seed).with_settings(settings)
    return scaled(profile, updates).with_settings(list(trial.settings))


def configurations(part: str, updates: int | None, settings: list[str]) -> list[RunConfig]:
    """What a part of the trials trains: one of ``PARTS``, budget or all; nothing for table."""
    trials = [trial for name, some in PARTS.items() if part in {name, "all"} for trial in some]
    configs = [configured(t, updates or TRIAL_UPDATES, seed, settings) for t in trials for seed in SEEDS]
    if part in {"budget", "all"}:
        profile = Trial("SRResNet-MSE")
        configs += [configured(profile, n, seed, settings) for n in BUDGETS[:-1] for seed in SEEDS]
        configs.append(configured(profile, BUDGETS[-1], SEEDS[0], settings))
    return list(dict.fromkeys(configs))


def changed_settings(config: RunConfig) -> str:
    """What a run has otherwise than its profile scaled to its length: ``name=value`` joined by spaces."""
    profile = configure(config.variant, config.profile, config.seed)
    scale = dict(leaves(scaled(profile, config.schedule.updates)))
    return " ".join(
        f"{path.rpartition('.')[2]}={value}"
        for path, value in leaves(config)
        if scale.get(path) != value and not path.startswith("logging.")
    )


@dataclass(frozen=True)
class Figure:
    """One line of ``trials.csv``.

    Attributes:
        kind: ``trial``, ``budget`` (a whole schedule of the profile) or ``progress`` (a snapshot within one).
        config: of the run.
        run: the run's folder.
        updates: made so far.
        validation: what the log measured then on the held-out photographs.
        dataset, score: on a test set, where it was looked at.
    """

    kind: str
    config: RunConfig
    run: str
    updates: int
    validation: dict[str, float]
    dataset: str = ""
    score: Score | None = None

    def row(self) -> dict[str, object]:
        """The line's cells."""
        score = self.score
        seen = {name: self.validation.get(name) for name in COLUMNS if name.startswith("val_")}
        return {
            "kind": self.kind,
            "variant": self.config.variant,
            "seed": self.config.seed,
            "settings": changed_settings(self.config),
            "updates": self.updates,
            "schedule": self.config.schedule.updates,
            **{name: "" if value is None else f"{float(value):.6g}" for name, value in seen.items()},
            "dataset": self.dataset,
            "psnr_db": f"{score.psnr_db:.6g}" if score else "",
            "ssim": f"{score.ssim:.6g}" if score else "",
            "run": self.run,
        }


def figure_of(run: FinishedRun) -> Figure:
    """A finished run as a line: a budget where it is its profile at some length, else a trial.

    Raises:
        UserError: its log has no validation.
    """
    config = run_config(run)
    measured = [line for line in read_lines(run.folder / "log.jsonl") if "val_psnr_db" in line]
    if not measured:
        raise UserError(f"{run.folder}: no validation PSNR", "a run with validation images", "train again")
    kind = "trial" if changed_settings(config) else "budget"
    return Figure(kind, config, run.folder.name, config.schedule.updates, measured[-1])


def write_csv(path: Path, figures: list[Figure]) -> None:
    """``trials.csv``, whole or not at all. Lines that it has of other runs stay: those may be gone.

    Raises:
        UserError: what is there is no such table.
    """
    runs = {figure.run for figure in figures}
    rows = [{name: str(value) for name, value in figure.row().items()} for figure in figures]
    rows += [row for row in _lines(path) if row["run"] not in runs]
    rows.sort(
        key=lambda row: (row["kind"], row["variant"], int(row["schedule"]), int(row["updates"]), row["run"])
    )
    write_text(path, csv_text([COLUMNS, *([row[name] for name in COLUMNS] for row in rows)]))


def _lines(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [{name: row[name] or "" for name in COLUMNS} for row in csv.DictReader(file)]
        for row in rows:
            int(row["schedule"]), int(row["updates"])
    except (OSError, KeyError, ValueError, csv.Error) as error:
        got = f"{path}: {error!r:.200}"
        raise UserError(got, "a table of trials, as this command writes it", "remove it") from None
    return rows


def run_config(run: FinishedRun) -> RunConfig:
    """The configuration that a finished run's manifest tells."""
    return config_from_dict(read_object(run.folder / "manifest.json").get("config"))


def snapshots(run: FinishedRun) -> list[tuple[int, Path]]:
    """Updates made and generator of each snapshot of a run, in order."""
    files = sorted((run.folder / "snapshots").glob("step_*.safetensors"))
    return [(int(file.stem.removeprefix("step_")), file) for file in files]
