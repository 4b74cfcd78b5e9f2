"""What turns a low-resolution image into a result: interpolations and trained generators alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repro.imaging.resize import imresize_u8, nearest_u8
from repro.imaging.tiling import OnPart
from repro.methods.config import Arithmetic
from repro.papers.srgan import SCALE

ImagesU8 = Sequence[NDArray[np.uint8]]


@dataclass(frozen=True)
class Method:
    """A named way to enlarge images fourfold.

    Attributes:
        name: the method's name in the image store.
        enlarge: (4 h, 4 w, 3) uint8 from each (h, w, 3) uint8.
        inputs: name -> hash of what it depends on (weights); decides whether results can be kept.
        notes: sentences that every reader of the results must see.
        run: the training run's name, or "".
        takes_grey: greyscale images come as (h, w), not as R = G = B, and still become (4 h, 4 w, 3).
    """

    name: str
    enlarge: Callable[[ImagesU8], list[NDArray[np.uint8]]]
    inputs: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    run: str = ""
    takes_grey: bool = False


def nearest() -> Method:
    """Table 2's `nearest`."""
    return Method("nearest", lambda images: [nearest_u8(image, SCALE) for image in images])


def bicubic() -> Method:
    """Table 2's `bicubic`."""
    return Method("bicubic", lambda images: [imresize_u8(image, SCALE) for image in images])


INTERPOLATIONS: dict[str, Callable[[], Method]] = {"nearest": nearest, "bicubic": bicubic}


def srcnn(
    data_root: Path, device: str = "auto", tile: int | None = None, on_part: OnPart = lambda done, total: None
) -> Method:
    """Table 2's `SRCNN`: its authors' network and weights, computed here.

    Raises:
        UserError: the data root has no such weights.
    """
    from repro.core.device import resolve_device
    from repro.imaging.io import sha256_file
    from repro.inference.upscaler_luma import DEFAULT_TILE, LumaEnlarger
    from repro.methods.srcnn_authors import authors_weights, load_authors_srcnn

    path = authors_weights(data_root)
    network = load_authors_srcnn(path)
    side = DEFAULT_TILE if tile is None else tile
    enlarger = LumaEnlarger(network, resolve_device(device), side, on_part)
    return Method("SRCNN", enlarger.enlarge, {"weights": sha256_file(path)}, takes_grey=True)


def has_srcnn(data_root: Path) -> bool:
    """Whether the data root has what :func:`srcnn` needs."""
    from repro.methods.srcnn_authors import authors_weights

    return authors_weights(data_root).is_file()


def trained(
    path: Path,
    device: str = "auto",
    arithmetic: Arithmetic = "float32",
    tile: int | None = None,
    name: str = "",
    on_part: OnPart = lambda done, total: None,
) -> Method:
    """The method of a trained generator's file; ``on_part`` hears of the parts of large images.

    Raises:
        UserError: the file cannot be used.
    """
    from repro.core import tensorfile as checkpoint
    from repro.core.device import resolve_device
    from repro.imaging.io import sha256_file
    from repro.inference.upscaler import DEFAULT_TILE, Enlarger, load_generator
    from repro.inference.upscaler_luma import DEFAULT_TILE as LUMA_TILE
    from repro.inference.upscaler_luma import LumaEnlarger, network_from

    tensors, metadata = checkpoint.load(path)
    enlarger: Enlarger | LumaEnlarger
    if "network" in metadata:
        arithmetic = "float32"  # luma networks know no other
        network = network_from(tensors, metadata, path)
        side = LUMA_TILE if tile is None else tile
        enlarger = LumaEnlarger(network, resolve_device(device), side, on_part)
    else:
        generator, metadata = load_generator(path)
        side = DEFAULT_TILE if tile is None else tile
        enlarger = Enlarger(generator, resolve_device(device), arithmetic, side, on_part)
    notes: Any = metadata.get("notes", [])
    return Method(
        name or str(metadata.get("variant", path.stem)),
        enlarger.enlarge,
        {"weights": sha256_file(path)} | ({"arithmetic": arithmetic} if arithmetic != "float32" else {}),
        tuple(str(note) for note in notes),
        str(metadata.get("run", "")),
        takes_grey="network" in metadata,
    )
