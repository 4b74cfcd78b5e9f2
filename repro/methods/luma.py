"""What methods share that super-resolve the Y channel alone: SRCNN, ESPCN and DRCN.

Y is BT.601 in limited range (:mod:`repro.imaging.color`) over 255, so 16/255..235/255 (``_y01``). SRCNN and
DRCN take it enlarged by bicubic interpolation, ESPCN at low resolution. Nothing clips their output.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from repro.core.errors import UserError
from repro.data.samples import Sample
from repro.imaging import color
from repro.imaging.io import to_rgb
from repro.imaging.ranges import pm1_to_01, rgb01_to_y01
from repro.imaging.resize import imresize_float, imresize_u8
from repro.imaging.resize_torch import imresize_float_batch
from repro.methods.base import Exported, Method, Profile
from repro.methods.config import RunConfig, ScheduleSettings
from repro.methods.short import short_logging
from repro.nn.initialise import torch_generator

BORDER = 8
"""HR pixels a side of a crop that the interpolation of its LR crop gets wrong; not trained on."""


class LumaNetwork(nn.Module, ABC):
    """(N, 1, s h, s w) Y channel from the (N, 1, h, w) one, or from its interpolation.

    Attributes:
        radius: how many pixels of its input around a pixel its output there depends on.
    """

    radius: int

    @abstractmethod
    def initialise(self, seed: int) -> None:
        """Initial weights as the network's paper has them; they depend on the seed alone."""


class LumaMethod(Method):
    """A method whose network sees Y alone; chroma is enlarged by bicubic interpolation.

    Attributes:
        interpolates: whether the network takes Y enlarged by bicubic interpolation.
        sub_image: side of the interpolated sub-images that it trains on, in pixels.
    """

    luma = True
    tile = 128
    interpolates = True
    sub_image = 0

    def check(self, config: RunConfig) -> None:
        if config.data.crop_hr < 36:
            raise UserError(
                f"crop_hr = {config.data.crop_hr}", f"a multiple of {config.data.scale}, 36 or more",
                "--set crop_hr=68",
            )  # fmt: skip
        if config.start:
            raise UserError(f"start = {config.start}", "training from scratch", "leave the setting out")

    def initialise(self, network: nn.Module, config: RunConfig) -> None:
        assert isinstance(network, LumaNetwork)
        network.initialise(config.seed)

    def recordable(self, config: RunConfig) -> bool:
        return not self.interpolates  # the interpolation's taps are sent from the host

    def planes(self, sample: Sample) -> tuple[Tensor, Tensor]:
        """The network's input and what its output is compared with: (N, 1, h, w) and (N, 1, H, W) of Y.

        Of an interpolated crop only the middle, which its border did not reach.
        """
        lr_y01 = rgb01_to_y01(sample.lr_01)
        hr_y01 = rgb01_to_y01(pm1_to_01(sample.hr_pm1))
        if not self.interpolates:
            return lr_y01, hr_y01
        side = min(self.sub_image, hr_y01.shape[-1] - 2 * BORDER)
        inner = slice(BORDER, BORDER + side)
        x = imresize_float_batch(lr_y01, int(sample.scale))[..., inner, inner]
        return x, hr_y01[..., inner, inner]

    def encode(self, image_u8: NDArray[np.uint8], scale: float, dtype: Any) -> Tensor:
        y_u8 = image_u8 if image_u8.ndim == 2 else color.luma_u8(image_u8)
        kind: Any = np.float64 if dtype == torch.float64 else np.float32
        y01: NDArray[Any] = y_u8.astype(kind) / kind(255)
        if self.interpolates:
            y01 = imresize_float(y01, int(scale))
        return torch.from_numpy(y01)[None, None]

    def infer(self, network: Any, x: Tensor, scale: float) -> Tensor:
        result: Tensor = network(x)
        return result

    def decode(self, result: Tensor, image_u8: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
        y = (result[0, 0] * 255 + 0.5).floor().clamp(0, 255).to(torch.uint8).cpu().numpy()
        if image_u8.ndim == 2:
            return to_rgb(y)
        return color.rgb_u8(y, imresize_u8(color.chroma_u8(image_u8), int(scale)))

    def exported(self, network: nn.Module, scale: float) -> Exported:
        side = f"{scale:g}"
        large = f"(N, 1, {side} h, {side} w)"
        at = f"enlarged by bicubic interpolation, {large}" if self.interpolates else "(N, 1, h, w)"
        words = (
            f"`input`: luma (BT.601, limited range) over 255, {at}, float32. `output`: the same luma, "
            f"{large}, not clipped. Chroma is enlarged by bicubic interpolation outside the network."
        )
        return Exported(network, 1, words)

    def radius(self, network: nn.Module) -> int:
        assert isinstance(network, LumaNetwork)
        # an interpolated pixel depends on 2 input pixels around it
        return -(-network.radius // min(map(int, self.scales))) + 2 if self.interpolates else network.radius


def filled(conv: nn.Conv2d, seed: int, name: str, how: Literal["normal", "glorot", "he"]) -> None:
    """Initial weights of a layer from its named stream; biases are zero."""
    generator = torch_generator(seed, "init", "generator", name)
    if how == "normal":
        nn.init.normal_(conv.weight, std=0.001, generator=generator)
    elif how == "glorot":
        nn.init.xavier_uniform_(conv.weight, generator=generator)
    else:
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu", generator=generator)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)


def shortened(
    config: RunConfig,
    profile: Profile,
    quick: int,
    cpu: int,
    network: Mapping[str, Any] | None = None,
    batch_size: int = 16,
) -> RunConfig:
    """The configuration under a profile: Adam and a cosine to zero over ``quick`` or ``cpu`` updates."""
    if profile == "paper":
        return config
    is_quick = profile == "quick"
    updates = quick if is_quick else cpu
    return config.but(
        network=dict(network or {}),
        optimiser={"optimiser": "adam", "weight_decay": 0.0, "gradient_clip": 0.0},
        schedule={
            "updates": updates,
            "learning_rate": 1e-3,
            "learning_rate_late": ScheduleSettings.learning_rate_late,
            "warmup_updates": 5 if is_quick else 100,
            "decay": "cosine",
        },
        data={"batch_size": batch_size, "augmentation": "dihedral"},
        logging=short_logging(is_quick, updates),
    )
