"""Network interpolation (Wang et al. 2018, Section 3.4): between PSNR model and GAN, weight by weight."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from repro.core.atomic import atomic_path
from repro.core.errors import UserError
from repro.inference.loading import Loaded


def interpolated(psnr: Loaded, gan: Loaded, alpha: float) -> Loaded:
    """The network whose every tensor, biases too, is (1 - alpha) of the first's plus alpha of the second's.

    At 0 and 1 it is the first's and the second's, bit for bit.

    Raises:
        UserError: ``alpha`` outside 0 to 1, or networks of other sizes or methods.
    """
    if not 0 <= alpha <= 1:
        raise UserError(f"alpha = {alpha:g}", "0 (the PSNR model) to 1 (the GAN)", "--alpha 0.8")
    one, other = psnr.network.state_dict(), gan.network.state_dict()
    shapes = [{name: tuple(t.shape) for name, t in state.items()} for state in (one, other)]
    if psnr.method is not gan.method or shapes[0] != shapes[1]:
        raise UserError(
            f"{_sized(psnr)} and {_sized(gan)}", "two networks of one architecture",
            "interpolate a GAN with the PSNR model that it started from",
        )  # fmt: skip
    network: nn.Module = copy.deepcopy(gan.network)
    if alpha < 1:
        mixed = {name: (1 - alpha) * one[name] + alpha * other[name] for name in other}
        network.load_state_dict(mixed if alpha > 0 else one)
    notes = [note for loaded in (psnr, gan) for note in loaded.metadata.get("notes", [])]
    words = [str(loaded.metadata.get("variant", "a file")) for loaded in (psnr, gan)]
    about = gan.metadata | {
        "variant": f"{words[1]}-alpha{alpha:g}",
        "interpolated": {"from": words[0], "to": words[1], "alpha": alpha},
        "notes": list(dict.fromkeys(notes)),
    }
    return Loaded(gan.method, network, gan.scale, about)


def save_pth(network: nn.Module, path: Path) -> None:
    """Writes a network as BasicSR does: a state dict below ``params``, which others' programs read."""
    state = {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        torch.save({"params": state}, file)  # given a path, torch would write its name into the file


def strip(images_u8: Sequence[NDArray[np.uint8]], captions: Sequence[str]) -> NDArray[np.uint8]:
    """(H + 22, W, 3): images of equal height side by side, a caption above each."""
    from PIL import Image, ImageDraw, ImageFont

    gap, head = 4, 22
    height = images_u8[0].shape[0]
    width = sum(image.shape[1] for image in images_u8) + gap * (len(images_u8) - 1)
    canvas = Image.new("RGB", (width, height + head), "white")
    draw, left = ImageDraw.Draw(canvas), 0
    font = ImageFont.load_default(14)
    for image, caption in zip(images_u8, captions, strict=True):
        draw.text((left + image.shape[1] / 2, head / 2), caption, fill="black", font=font, anchor="mm")
        canvas.paste(Image.fromarray(image), (left, head))
        left += image.shape[1] + gap
    return np.asarray(canvas)


def _sized(loaded: Loaded) -> str:
    network = loaded.metadata.get("network", {})
    size = ", ".join(f"{name} {value}" for name, value in network.items())
    return f"{loaded.metadata.get('variant', loaded.method.key)} ({size}, x{loaded.scale:g})"
