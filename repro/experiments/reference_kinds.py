"""What a reference image brings, by its kind: one network, the same images, references that fit less."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from repro.core.atomic import write_text
from repro.core.errors import UserError
from repro.core.streams import stream
from repro.data.pairs import Pair
from repro.imaging.resize import imresize_u8
from repro.inference.loading import Loaded
from repro.metrics.niqe import niqe
from repro.metrics.protocols import pixels_shaved, protocol_named

PROTOCOL = "ychannel-1"
KINDS = ("none", "same", "similar", "unrelated", "noise")
Image = NDArray[np.uint8]


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
    image: str
    kind: str
    reference: str
    pixels_sha256: str
    psnr_db: float
    ssim: float
    niqe: float
    protocol: str
    run: str


def original_u8(pair: Pair, scale: int) -> Image:
    """(H, W, 3): the image to super-resolve, its sides cut to multiples of the scale."""
    pixels = pair.image.load_u8()
    height, width = (side - side % scale for side in pixels.shape[:2])
    return np.ascontiguousarray(pixels[:height, :width])


def references(
    pair: Pair, hr_u8: Image, lr_u8: Image, unrelated: Sequence[Pair], several: bool
) -> Iterator[Given]:
    """Every kind of reference of one image.

    Args:
        pair: the image and its own references, most alike first.
        hr_u8, lr_u8: (H, W, 3) and (h, w, 3).
        unrelated: other photographs.
        several: whether the method takes several references at once.
    """
    scale = hr_u8.shape[0] // lr_u8.shape[0]
    yield Given("none", "bicubic", (imresize_u8(lr_u8, scale),))
    yield Given("same", pair.image.key, (hr_u8,))
    similar = [np.array(reference.load_u8()) for reference in pair.references]
    for reference, image in zip(pair.references, similar, strict=True):
        yield Given("similar", reference.key, (image,))
    if several and len(similar) > 1:
        yield Given("similar", f"all {len(similar)}", tuple(similar))
    for other in unrelated:
        yield Given("unrelated", other.image.key, (np.array(other.image.load_u8()),))
    noise = stream(0, "noise as a reference").integers(0, 256, hr_u8.shape, dtype=np.uint8)
    yield Given("noise", "uniform", (noise,))


def measure(
    loaded: Loaded, pairs: Sequence[Pair], unrelated: Sequence[Pair], device: torch.device
) -> Iterator[tuple[Row, Image]]:
    """The scores and the result for each image and reference.

    Args:
        loaded: a network of a method that takes references.
        pairs: images with references of their own.
        unrelated: photographs that show something else.
        device: where the network runs, in float32.

    Raises:
        UserError: a method without references.
    """
    if "reference" not in loaded.method.needs:
        raise UserError(f"{loaded.method.key} takes no reference", "SRNTT or CrossNet", "--method SRNTT")
    network, scale = loaded.network.to(device), int(loaded.scale)
    about = {name: str(loaded.metadata.get(name, "")) for name in ("variant", "run")}
    for pair in pairs:
        hr = original_u8(pair, scale)
        lr = imresize_u8(hr, Fraction(1, scale))
        for given in references(pair, hr, lr, unrelated, loaded.method.several_references):
            with torch.inference_mode():
                sr = loaded.method.super_resolve(network, lr, scale, device, torch.float32, given.images_u8)
            digest = hashlib.sha256()
            for image in given.images_u8:
                digest.update(np.ascontiguousarray(image).tobytes())
            psnr_db, ssim = protocol_named(PROTOCOL).measure(hr, sr, scale)
            row = Row(
                about["variant"], pair.image.path.stem, given.kind, given.name, digest.hexdigest(),
                psnr_db, ssim, niqe(sr, pixels_shaved(scale)), PROTOCOL, about["run"],
            )  # fmt: skip
            yield row, sr


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """``references.csv``, whole or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows(rows)
    write_text(path, text.getvalue())
