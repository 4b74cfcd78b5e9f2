"""What a reference image brings, by its kind: one network, the same images, references that fit less."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from repro.core.atomic import write_text
from repro.core.csvfile import csv_text
from repro.core.errors import UserError
from repro.core.streams import stream
from repro.data.packed import PackableImage, pack
from repro.data.pairs import Pair, PairSettings, plan_references, references_u8
from repro.data.plan import Plan
from repro.data.sample import PHOTOGRAPHS, photograph_path
from repro.data.training import TrainingImage
from repro.imaging.resize import imresize_u8
from repro.inference.loading import Loaded
from repro.metrics.niqe import niqe
from repro.metrics.protocols import pixels_shaved, protocol_named

PROTOCOL = "ychannel-1"
KINDS = ("none", "same", "similar", "unrelated", "noise")
DATASETS = ("CUFED5", "made")
MADE_HR, MARGIN = 200, 4
"""Of the crops of :func:`made_cases`: their side, and what of it is not scored; NIQE wants as much."""
Image = NDArray[np.uint8]


class Cut(NamedTuple):
    """A part of a photograph, or what was made of it: (H, W, 3)."""

    key: str
    sha256: str
    pixels_u8: Image

    def load_u8(self) -> Image:
        return self.pixels_u8


class Case(NamedTuple):
    """An image to super-resolve, and photographs to give with it.

    Attributes:
        dataset: one of :data:`DATASETS`.
        name: the image's, without suffix.
        image: the original.
        similar: its own references, most alike first.
        unrelated: what shows something else.
    """

    dataset: str
    name: str
    image: PackableImage
    similar: tuple[PackableImage, ...]
    unrelated: tuple[PackableImage, ...]

    def count(self, several: bool) -> int:
        """How many references :func:`references` makes of it."""
        together = several and len(self.similar) > 1
        return 3 + len(self.similar) + together + len(self.unrelated)


def cufed5_cases(pairs: Sequence[Pair], unrelated: Sequence[TrainingImage]) -> list[Case]:
    """CUFED5's images with their references, and other photographs."""
    given = tuple(unrelated)
    return [Case("CUFED5", pair.image.path.stem, pair.image, pair.references, given) for pair in pairs]


def made_cases() -> list[Case]:
    """The crops of ``sample`` that are scored, their upper left part, with made references.

    Similar are another crop of the same photograph and a view of the crop's surroundings that is moved,
    turned, scaled and coloured otherwise; unrelated is such a view of another photograph: as in training.
    """
    scored = [(p, p.evaluation) for p in PHOTOGRAPHS if p.evaluation is not None]
    photographs = [TrainingImage(p.file, photograph_path(p), p.sha256) for p, _ in scored]
    tops, lefts = (np.array([box[axis] - MARGIN for _, box in scored]) for axis in (0, 1))
    count = len(scored)
    plan = Plan(np.arange(count), tops, lefts, np.zeros(count, np.int64))
    shares = {"another crop": (1.0, 0.0), "a moved view": (0.0, 0.0), "another photograph": (0.0, 1.0)}
    made: list[list[Cut]] = [[] for _ in scored]
    with TemporaryDirectory() as folder:
        packed = pack(photographs, Path(folder), MADE_HR, workers=1)
        for number, (top, left) in enumerate(zip(tops, lefts, strict=True)):
            pixels = packed.window_u8(number, int(top), int(left), MADE_HR).copy()
            made[number].append(Cut("the crop", packed.sha256[number], pixels))
        for k, (name, (elsewhere, strangers)) in enumerate(shares.items()):
            data = PairSettings(crop_hr=MADE_HR, elsewhere=elsewhere, strangers=strangers)
            planned = plan_references(data, 0, k, plan, packed.heights, packed.widths)
            for number, pixels in enumerate(references_u8(packed, plan, planned, MADE_HR)):
                made[number].append(Cut(name, packed.sha256[planned.images[number]], pixels))
    return [
        Case("made", photograph.path.stem, crop, (other, view), (stranger,))
        for photograph, (crop, other, view, stranger) in zip(photographs, made, strict=True)
    ]


class Given(NamedTuple):
    """A reference and its kind.

    Attributes:
        kind: one of :data:`KINDS`; ``none`` is the image's own bicubic enlargement: nothing beside LR.
        name: of the file, or what was made.
        images_u8: (H, W, 3) each.
    """

    kind: str
    name: str
    images_u8: tuple[Image, ...]


class Row(NamedTuple):
    """A line of ``references.csv``; ``pixels_sha256`` is of the reference images' pixels."""

    method: str
    dataset: str
    image: str
    kind: str
    reference: str
    pixels_sha256: str
    psnr_db: float
    ssim: float
    niqe: float
    protocol: str
    run: str


def original_u8(image: PackableImage, scale: int) -> Image:
    """(H, W, 3): the image to super-resolve, its sides cut to multiples of the scale."""
    pixels = image.load_u8()
    height, width = (side - side % scale for side in pixels.shape[:2])
    return np.ascontiguousarray(pixels[:height, :width])


def references(case: Case, hr_u8: Image, lr_u8: Image, several: bool) -> Iterator[Given]:
    """Every kind of reference of one image.

    Args:
        case: the image and the photographs to give with it.
        hr_u8, lr_u8: (H, W, 3) and (h, w, 3).
        several: whether the method takes several references at once.
    """
    scale = hr_u8.shape[0] // lr_u8.shape[0]
    yield Given("none", "bicubic", (imresize_u8(lr_u8, scale),))
    yield Given("same", "the original", (hr_u8,))
    similar = [np.array(reference.load_u8()) for reference in case.similar]
    for reference, image in zip(case.similar, similar, strict=True):
        yield Given("similar", reference.key, (image,))
    if several and len(similar) > 1:
        yield Given("similar", f"all {len(similar)}", tuple(similar))
    for other in case.unrelated:
        yield Given("unrelated", other.key, (np.array(other.load_u8()),))
    noise = stream(0, "noise as a reference").integers(0, 256, hr_u8.shape, dtype=np.uint8)
    yield Given("noise", "uniform", (noise,))


def measure(loaded: Loaded, cases: Sequence[Case], device: torch.device) -> Iterator[tuple[Row, Image]]:
    """The scores and the result for each image and reference.

    Args:
        loaded: a network of a method that takes references.
        cases: images and what is given with them.
        device: where the network runs, in float32.

    Raises:
        UserError: a method without references.
    """
    if "reference" not in loaded.method.needs:
        raise UserError(f"{loaded.method.key} takes no reference", "SRNTT or CrossNet", "--method SRNTT")
    network, scale = loaded.network.to(device), int(loaded.scale)
    about = {name: str(loaded.metadata.get(name, "")) for name in ("variant", "run")}
    for case in cases:
        hr = original_u8(case.image, scale)
        lr = imresize_u8(hr, Fraction(1, scale))
        for given in references(case, hr, lr, loaded.method.several_references):
            with torch.inference_mode():
                sr = loaded.method.super_resolve(network, lr, scale, device, torch.float32, given.images_u8)
            digest = hashlib.sha256()
            for image in given.images_u8:
                digest.update(np.ascontiguousarray(image).tobytes())
            psnr_db, ssim = protocol_named(PROTOCOL).measure(hr, sr, scale)
            row = Row(
                about["variant"], case.dataset, case.name, given.kind, given.name, digest.hexdigest(),
                psnr_db, ssim, niqe(sr, pixels_shaved(scale)), PROTOCOL, about["run"],
            )  # fmt: skip
            yield row, sr


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """``references.csv``, whole or not at all."""
    write_text(path, csv_text([Row._fields, *rows]))
