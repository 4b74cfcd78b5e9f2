"""A travelling training set: one crop of each photograph, lossless, for a machine that has none of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from repro.core.errors import UserError
from repro.core.manifest import make_manifest, write_manifest
from repro.core.streams import stream
from repro.data.training import TrainingImage
from repro.imaging.io import png_bytes, write_png

MANIFEST = "subset.manifest.json"


def write_subset(
    images: Sequence[TrainingImage],
    folder: Path,
    side: int,
    budget: int,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[int, int]:
    """Writes ``000000.png`` and so on into an empty folder, which ``--train-root`` then takes.

    Args:
        images: in any order; they are drawn from in a random one, until the budget is spent.
        folder: where the crops go; made, and refused where it has files.
        side: of the crops in pixels; smaller and unreadable photographs are left out.
        budget: bytes of all crops together, at most.
        seed: of the order and the crops' places.
        progress: called with 1 after each image.

    Returns:
        How many crops, and their bytes.

    Raises:
        UserError: the folder has files, no image is large enough, or one crop is more than the budget.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty", "a new folder", "name another")
    folder.mkdir(parents=True, exist_ok=True)
    places = stream(seed, "subset")
    inputs: dict[str, str] = {}
    outputs: dict[str, str] = {}
    spent = 0
    for number in places.permutation(len(images)):
        image = images[number]
        progress(1)
        try:
            height, width = image.size()
            if min(height, width) < side:
                continue
            top, left = (int(places.integers(0, length - side + 1)) for length in (height, width))
            crop = np.ascontiguousarray(image.load_u8()[top : top + side, left : left + side])
        except UserError:
            continue  # unreadable: no packed dataset has it either
        size = len(png_bytes(crop))
        if spent + size > budget:
            break
        name = f"{len(outputs):06d}.png"
        inputs[f"{name} = {image.key} [{top}, {left}]"] = image.sha256
        outputs[name] = write_png(folder / name, crop)
        spent += size
    if not outputs:
        raise UserError(
            f"no crop of {side} x {side} pixels within {budget / 2**20:.1f} MiB",
            "a smaller side, or a larger budget",
            "see --side and --mib",
        )
    facts = make_manifest(
        kind="training subset", config={"side": side}, seed=seed, inputs=inputs, outputs=outputs
    )
    write_manifest(folder / MANIFEST, facts)
    return len(outputs), spent
