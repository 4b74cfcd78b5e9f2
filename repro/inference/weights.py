"""Finding the weights that a method's name stands for, and saying where they come from."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro.core.errors import UserError
from repro.core.paths import Results
from repro.methods.variants import canonical_variant, trainable
from repro.train.finished import finished_runs, the_run

SHIPPED = Path(__file__).resolve().parents[2] / "results" / "published" / "weights"
"""The weights that come with the repository, wherever the command is started."""


NEAREST = ("SRGAN-VGG54", "SRGAN-VGG22")
"""What `SRGAN` stands for: the paper's variant, or the nearest to it that has weights."""


def nearest(name: str, have: Collection[str]) -> str:
    """The variant of a name; `SRGAN` is the first of :data:`NEAREST` that is among those one has."""
    named = (each for each in NEAREST if name.lower() == "srgan" and each in have)
    return next(named, canonical_variant(name))


@dataclass(frozen=True)
class Weights:
    """A generator's file.

    Attributes:
        path: a safetensors file of this program.
        origin: where it was found: ``given``, ``run <name>`` or ``shipped``.
    """

    path: Path
    origin: str


def find_weights(
    name: str,
    results: Results,
    profile: str | None = None,
    seed: int | None = None,
    shipped: bool = False,
) -> Weights:
    """The weights of a trained method: of a finished run, else those shipped with the repository.

    Args:
        name: the method; of `SRGAN` the first of :data:`NEAREST` that has weights.
        results: where runs are kept.
        profile, seed: of the run, where there are several.
        shipped: look at no run.

    Raises:
        UserError: unknown method, no weights, or several runs to choose from.
    """
    variant = nearest(name, trained_variants(results, shipped))
    if not shipped and any(run.variant == variant for run in finished_runs(results)):
        run = the_run(results, variant, profile, seed)
        return Weights(run.generator, f"run {run.folder.name}")
    path = _shipped(variant, results)
    if path is not None:
        return Weights(path, "shipped")
    raise UserError(
        f"no weights of {variant}",
        "a finished run, or a file with --weights",
        f"python -m repro train {variant} --profile quick   (or --method bicubic, which needs none)",
    )


def trained_variants(results: Results, shipped: bool = False) -> list[str]:
    """The trained methods that :func:`find_weights` has weights of, in the order of the paper."""
    ran = set() if shipped else {run.variant for run in finished_runs(results)}
    return [variant for variant in trainable() if variant in ran or _shipped(variant, results)]


def _shipped(variant: str, results: Results) -> Path | None:
    paths = (folder / f"{variant}.safetensors" for folder in (results.weights, SHIPPED))
    return next((path for path in paths if path.is_file()), None)


def statement(weights: Weights, metadata: dict[str, Any]) -> list[str]:
    """What a user must know of the weights: what they are, their origin, licence and limits."""
    variant, profile = metadata.get("variant", weights.path.stem), metadata.get("profile")
    lines = [f"weights: {variant} ({weights.origin})" + (f", profile {profile}" if profile else "")]
    for key in ("licence", "training data", "source"):
        if isinstance(metadata.get(key), str):
            lines.append(f"{key}: {metadata[key]}")
    card = weights.path.with_suffix(".md")
    if card.is_file():
        lines.append(f"model card: {card}")
    if "licence" not in metadata and weights.origin == "shipped" and not card.is_file():
        lines.append("licence: not told by the file")
    lines += [f"note: {note}" for note in metadata.get("notes", []) if isinstance(note, str)]
    return lines
