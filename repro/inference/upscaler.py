"""Named ways to upscale images, and how they are run. Light: no torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from repro.core.errors import UserError
from repro.core.settings import Arithmetic
from repro.imaging.tiling import OnPart
from repro.methods import direct
from repro.methods.base import Direct


@dataclass(frozen=True)
class Options:
    """How networks are run.

    Attributes:
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        arithmetic: ``float32``; ``bfloat16`` is off by up to a few grey levels, faster where the processor
            has it; ``float64`` is slower and gives the same bytes on every processor, whose orders of
            summation differ.
        tile: side in LR pixels above which an image is upscaled in parts; 0 never; None the method's own.
        on_part: called after each part with the number done and the number there are.
        tell: called with a sentence that a user should read while it runs.
        scale: of the results, where the method gives several with one network; None is the network's own.
        self_ensemble: the mean of the results for the eight symmetries of the square.
        chop: four overlapping quadrants instead of tiles, as the authors of EDSR, SRFBN and SAN test.
        references: image files, for methods that need them.
    """

    device: str = "auto"
    arithmetic: Arithmetic = "float32"
    tile: int | None = None
    on_part: OnPart = field(default=lambda done, total: None)
    tell: Callable[[str], None] = field(default=lambda words: None)
    scale: float | None = None
    self_ensemble: bool = False
    chop: bool = False
    references: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if self.tile is not None and (self.tile < 0 or 0 < self.tile < 16):
            raise UserError(f"tile of {self.tile} LR pixels", "16 or more, or 0 for none", "--tile 192")
        if self.chop and self.tile is not None:
            raise UserError("--chop with --tile", "one of them", "leave one out")


class Upscaler(ABC):
    """A named way to upscale images.

    Attributes:
        name: in the image store.
        method: key of the method whose network it is, or "".
        scale: output side over input side.
        inputs: name -> hash of what it depends on (weights); decides whether results can be kept.
        notes: sentences that every reader of the results must see.
        run: the training run's name, or "".
        takes_grey: greyscale images come as (h, w), not as R = G = B, and still become (H, W, 3).
    """

    name: str
    method: str = ""
    scale: float = 4
    inputs: Mapping[str, str] = {}
    notes: tuple[str, ...] = ()
    run: str = ""
    takes_grey: bool = False

    @abstractmethod
    def __call__(self, images_u8: Sequence[NDArray[np.uint8]]) -> Iterable[NDArray[np.uint8]]:
        """(H, W, 3) uint8 from each (h, w, 3) uint8, in their order."""

    def rows(self, image_u8: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
        """The (rows, W, 3) uint8 of the result of one image, from the top; in bands where it can be so."""
        yield from self([image_u8])

    def steps(self, image_u8: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
        """The (H, W, 3) results of every step for one image, first to last.

        Raises:
            UserError: the method has no steps.
        """
        raise UserError(f"--all-steps with {self.name}", "a network with steps", "--method SRFBN")


class DirectUpscaler(Upscaler):
    """A method without networks."""

    def __init__(self, how: Direct, scale: float = 4, on_part: OnPart = lambda done, total: None) -> None:
        self.how = how
        self.on_part = on_part
        self.name = how.key
        self.scale = scale
        self.inputs = how.inputs()
        self.takes_grey = how.takes_grey

    def __call__(self, images_u8: Sequence[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
        return self.how.apply_all(images_u8, self.scale, self.on_part)


def direct_upscaler(
    name: str, scale: float = 4, on_part: OnPart = lambda done, total: None
) -> DirectUpscaler:
    """The upscaler of a method without networks; ``on_part`` hears of the parts of an image that takes long.

    Raises:
        UserError: there is none of that name, or ``nearest`` by another than a whole scale.
    """
    if name == "nearest" and scale != int(scale):
        raise UserError(f"nearest at x{scale:g}", "a whole scale", "--method bicubic")
    return DirectUpscaler(direct(name), scale, on_part)
