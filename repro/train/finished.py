"""Finding the generator that a variant's training left behind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from repro.core.errors import UserError
from repro.core.jsonfile import read_object
from repro.core.paths import Results
from repro.imaging.io import sha256_file

GENERATOR_FILE = "generator.safetensors"


@dataclass(frozen=True)
class FinishedRun:
    """A training run that is complete: its folder, generator and what it was."""

    folder: Path
    variant: str
    profile: str
    seed: int

    @property
    def generator(self) -> Path:
        return self.folder / GENERATOR_FILE


def is_finished(folder: Path) -> bool:
    """Whether a run's generator is there, whole, and its manifest says so."""
    try:
        written = read_object(folder / "manifest.json")["outputs"][GENERATOR_FILE]
    except (UserError, KeyError, TypeError):
        return False
    generator = folder / GENERATOR_FILE
    return generator.is_file() and bool(written == sha256_file(generator))


def finished_runs(results: Results) -> list[FinishedRun]:
    """Every finished run, by name."""
    found = []
    for folder in sorted(results.runs.glob("*")) if results.runs.is_dir() else []:
        if is_finished(folder):
            match read_object(folder / "manifest.json").get("config"):
                case {"variant": str(variant), "profile": str(profile), "seed": int(seed)}:
                    found.append(FinishedRun(folder, variant, profile, seed))
    return found


def training_command(variant: str, profile: str) -> str:
    """What trains a variant; the ranker has a command of its own."""
    from repro.methods.ranksrgan import RANKER

    how = "ranksrgan ranker" if variant == RANKER else f"train {variant}"
    return f"python -m repro {how} --profile {profile}"


def the_run(
    results: Results, variant: str, profile: str | None = None, seed: int | None = None
) -> FinishedRun:
    """The one finished run of a variant.

    Raises:
        UserError: there is none, or more than one fits (all are named).
    """
    fitting = [
        run
        for run in finished_runs(results)
        if run.variant == variant and profile in {None, run.profile} and seed in {None, run.seed}
    ]
    if not fitting:
        raise UserError(
            f"no finished run of {variant} in {results.runs}",
            "a trained generator",
            training_command(variant, profile or "quick"),
        )
    if len(fitting) > 1:
        names = ", ".join(run.folder.name for run in fitting)
        raise UserError(
            f"{len(fitting)} runs of {variant}: {names}",
            "one",
            f"give its file, e.g. {fitting[0].generator}, or --profile and --seed where the command has them",
        )
    return fitting[0]
