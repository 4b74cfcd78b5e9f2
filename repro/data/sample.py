"""The embedded data set ``sample``: crops of the colour photographs inside scikit-image's wheel.

When no benchmark can be had, five crops are evaluated and the rest is trained on. Crops of one
photograph never overlap, so no pixel is both trained on and scored; they do show the same scenes, which
is why figures on ``sample`` say that the chain works and not how well a method generalises.

Left out of scikit-image's pictures: ``motorcycle_right`` (the same scene as ``motorcycle_left`` from a few
centimetres aside, so it would leak test pixels into the training), drawings, greyscale images, and
everything that scikit-image would download.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from repro.core.errors import UserError
from repro.imaging.io import sha256_file


class Box(NamedTuple):
    """A rectangle of pixels: top row, left column, height, width."""

    top: int
    left: int
    height: int
    width: int

    def overlaps(self, other: Box) -> bool:
        """Whether the two rectangles share a pixel."""
        return (
            self.top < other.top + other.height
            and other.top < self.top + self.height
            and self.left < other.left + other.width
            and other.left < self.left + self.width
        )


class Photograph(NamedTuple):
    """One file of scikit-image's ``data`` folder and what its parts are for.

    Attributes:
        file: the file's name.
        sha256: of the file's bytes; the same in every release from 0.24 to 0.26.
        evaluation: the crop that is scored (sides are multiples of 4), or None.
        training: crops to train on, each at least 112 x 112, none overlapping another or ``evaluation``.
    """

    file: str
    sha256: str
    evaluation: Box | None
    training: tuple[Box, ...]


PHOTOGRAPHS: tuple[Photograph, ...] = (
    Photograph(  # 512 x 512: the face
        "astronaut.png",
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
        Box(4, 136, 192, 192),
        (Box(200, 0, 312, 256), Box(200, 256, 312, 256), Box(0, 332, 200, 180), Box(0, 0, 200, 132)),
    ),
    Photograph(  # 300 x 451: the cat's left eye
        "chelsea.png",
        "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
        Box(60, 124, 192, 192),
        (Box(0, 0, 150, 120), Box(150, 0, 150, 120), Box(0, 320, 150, 131), Box(150, 320, 150, 131)),
    ),
    Photograph(  # 400 x 600: cup and spoon
        "coffee.png",
        "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
        Box(100, 248, 224, 224),
        (Box(0, 0, 200, 244), Box(200, 0, 200, 244), Box(0, 476, 200, 124), Box(200, 476, 200, 124)),
    ),
    Photograph(  # 500 x 741: the engine
        "motorcycle_left.png",
        "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179",
        Box(152, 216, 224, 256),
        (
            Box(0, 0, 148, 247),
            Box(0, 247, 148, 247),
            Box(0, 494, 148, 247),
            Box(148, 0, 232, 212),
            Box(148, 476, 232, 265),
            Box(380, 0, 120, 247),
            Box(380, 247, 120, 247),
            Box(380, 494, 120, 247),
        ),
    ),
    Photograph(  # 427 x 640: the rocket on its pad
        "rocket.jpg",
        "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
        Box(224, 220, 192, 192),
        (Box(0, 0, 213, 216), Box(213, 0, 214, 216), Box(0, 416, 213, 224), Box(213, 416, 214, 224)),
    ),
    Photograph(  # 872 x 1000: galaxies
        "hubble_deep_field.jpg",
        "3a19c5dd8a927a9334bb1229a6d63711b1c0c767fb27e2286e7c84a3e2c2f5f4",
        None,
        (Box(0, 0, 436, 500), Box(0, 500, 436, 500), Box(436, 0, 436, 500), Box(436, 500, 436, 500)),
    ),
    Photograph(  # 512 x 512: a stained tissue section
        "ihc.png",
        "f8dd1aa387ddd1f49d8ad13b50921b237df8e9b262606d258770687b0ef93cef",
        None,
        (Box(0, 0, 256, 256), Box(0, 256, 256, 256), Box(256, 0, 256, 256), Box(256, 256, 256, 256)),
    ),
    Photograph(  # 1411 x 1411: the middle of a retina, where there is no black frame
        "retina.jpg",
        "38a07f36f27f095e818aea7b96d34202c05176d30253c66733f2e00379e9e0e6",
        None,
        (Box(300, 300, 400, 400), Box(300, 700, 400, 400), Box(700, 300, 400, 400), Box(700, 700, 400, 400)),
    ),
)


@lru_cache(maxsize=1)
def _data_folder() -> Path:
    """scikit-image's ``data`` folder, found without importing scikit-image."""
    spec = importlib.util.find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            "scikit-image is not installed", "scikit-image, for the data set `sample`", "make setup"
        )
    return Path(next(iter(spec.submodule_search_locations))) / "data"


@lru_cache(maxsize=len(PHOTOGRAPHS))
def photograph_path(photograph: Photograph) -> Path:
    """The photograph's file, its SHA-256 checked once per process.

    Raises:
        UserError: scikit-image is missing, does not bundle the file, or bundles another version of it.
    """
    path = _data_folder() / photograph.file
    advice = "install the tested version of scikit-image: make setup"
    if not path.is_file():
        raise UserError(f"scikit-image's {photograph.file} is not installed", "a file of its wheel", advice)
    found = sha256_file(path)
    if found != photograph.sha256:
        raise UserError(
            f"scikit-image's {photograph.file} has SHA-256 {found}", f"SHA-256 {photograph.sha256}", advice
        )
    return path


def training_key(photograph: Photograph, box: Box) -> str:
    """The name of a training crop, e.g. ``sample/astronaut.png@200,0,312x256`` (top, left, size)."""
    return f"sample/{photograph.file}@{box.top},{box.left},{box.height}x{box.width}"
