"""CrossNet (Zheng et al., ECCV 2018): what a reference shows from elsewhere is moved into place and fused.

A flow estimator finds where in the reference each position of the upscaled LR image lies; the encoder's
features of the reference are warped there at four scales, and a decoder joins them to the image's own.

The published training call computes the flow from (ground truth, reference), which nobody has at test time;
the class's own default takes (upscaled LR, reference). Here there is no choice: no network is given HR.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repro.core.errors import UserError
from repro.core.settings import setting
from repro.data.pairs import PairSettings
from repro.data.samples import Sample
from repro.imaging.ranges import pm1_to_01
from repro.imaging.resize_torch import imresize_float_batch
from repro.methods.base import Method, Networks, Outputs, Profile, Term, Update
from repro.methods.config import NetworkSettings, RunConfig
from repro.methods.short import short_logging
from repro.nn.initialise import torch_generator
from repro.nn.warp import warp

MULTIPLE = 64
"""Of which the images' sides must be multiples: the flow estimator halves six times."""


def _leaky(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)
    return nn.Sequential(conv, nn.LeakyReLU(0.1))


def _selu(inputs: int, outputs: int, kernel: int = 5, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2), nn.SELU())


def _double(inputs: int, outputs: int, activation: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), activation)


class FlowEstimator(nn.Module):
    """FlowNetS with a step to full resolution: two images (N, 3, H, W) in [0, 1] to flows.

    Args:
        width: channels of the first convolution; the paper's is 64.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        # (kernel, multiple of the width, whether a second convolution follows) of the six halvings
        stages = ((7, 1, False), (5, 2, False), (5, 4, True), (3, 8, True), (3, 8, True), (3, 16, True))
        inputs, skips = 6, [3]
        self.down = nn.ModuleList()
        for kernel, multiple, second in stages:
            channels = multiple * width
            more = [_leaky(channels, channels)] if second else []
            self.down.append(nn.Sequential(_leaky(inputs, channels, kernel, 2), *more))
            skips.append(channels)
            inputs = channels
        self.heads, self.flow_up, self.up = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for multiple, skip in zip((4, 4, 2, 1, 1, 1), skips[-2::-1], strict=True):
            self.heads.append(nn.Conv2d(inputs, 2, 3, padding=1))
            self.flow_up.append(nn.ConvTranspose2d(2, 2, 4, 2, 1))
            self.up.append(_double(inputs, multiple * width, nn.LeakyReLU(0.1)))
            inputs = skip + multiple * width + 2
        self.full = nn.Sequential(_selu(inputs, 16, 7), _selu(16, 16, 7), nn.Conv2d(16, 2, 3, padding=1))

    def forward(self, image_01: Tensor, reference_01: Tensor) -> tuple[Tensor, ...]:
        """(N, 2, H, W) from image to reference in pixels, then at 1/2, 1/4 and 1/8 in pixels of those."""
        x = torch.cat([image_01, reference_01], 1)
        skips = [reference_01]
        for stage in self.down:
            x = stage(x)
            skips.append(x)
        skips.pop()
        flows = []
        for head, flow_up, up in zip(self.heads, self.flow_up, self.up, strict=True):
            flows.append(head(x))
            x = torch.cat([skips.pop(), up(x), flow_up(flows[-1])], 1)
        return (self.full(x), *flows[:2:-1])


class Encoder(nn.Module):
    """(N, 3, H, W) in [0, 1] to features (N, C, H / s, W / s) for s = 1, 2, 4, 8."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.head = _selu(3, width)
        self.levels = nn.ModuleList(_selu(width, width, stride=stride) for stride in (1, 2, 2, 2))

    def forward(self, image_01: Tensor) -> list[Tensor]:
        x = self.head(image_01)
        features = []
        for level in self.levels:
            x = level(x)
            features.append(x)
        return features


class Decoder(nn.Module):
    """Features of both images at four scales, fused from the coarsest on, to (N, 3, H, W) in [0, 1]."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        inputs = (2 * width, 3 * width, 3 * width)
        self.up = nn.ModuleList(_double(count, width, nn.SELU()) for count in inputs)
        self.fuse = _selu(3 * width, width)
        self.tail = nn.Conv2d(width, 3, 5, padding=2)

    def forward(self, own: Sequence[Tensor], warped: Sequence[Tensor]) -> Tensor:
        joined: list[Tensor] = []
        for level, (a, b) in enumerate(zip(own[::-1], warped[::-1], strict=True)):
            x = torch.cat([*joined, a, b], 1)
            joined = [self.up[level](x) if level < len(self.up) else self.fuse(x)]
        image: Tensor = self.tail(joined[0])
        return image


class CrossNetGenerator(nn.Module):
    """The whole network; 35,081,377 parameters (the authors' 35,183,841 include a layer that nothing uses).

    Args:
        width: channels of the features, and of the flow estimator's first convolution.
        most_difference: where the moved reference differs by more from the image (in units of the full range,
            :func:`fits`), the image's own features stand in for the reference's; 0: nowhere, as the authors.
    """

    def __init__(self, width: int = 64, most_difference: float = 0.0) -> None:
        super().__init__()
        self.most_difference = most_difference
        self.flow = FlowEstimator(width)
        self.encoder = Encoder(width)
        self.decoder = Decoder(width)

    def forward(self, up_01: Tensor, reference_01: Tensor, image_01: Tensor | None = None) -> Tensor:
        """The image with the reference's detail.

        Args:
            up_01: (N, 3, H, W) the upscaled LR image in [0, 1], sides multiples of 64.
            reference_01: (N, 3, H, W), the reference.
            image_01: what is encoded, where that is another method's result (the paper's is MDSR's); the
                upscaled LR image itself otherwise.

        Returns:
            (N, 3, H, W), in [0, 1] but not clipped.
        """
        flows = self.flow(up_01, reference_01)
        own = self.encoder(up_01 if image_01 is None else image_01)
        warped = [warp(maps, flow) for maps, flow in zip(self.encoder(reference_01), flows, strict=True)]
        if self.most_difference > 0:
            where = fits(up_01, warp(reference_01, flows[0]), self.most_difference)
            warped = [
                torch.where(F.interpolate(where, size=b.shape[2:]) > 0, b, a)
                for a, b in zip(own, warped, strict=True)
            ]
        image: Tensor = self.decoder(own, warped)
        return image


@torch.no_grad()
def fits(up_01: Tensor, warped_01: Tensor, most: float) -> Tensor:
    """(N, 1, H / 4, W / 4), 1 where a moved reference shows what the image does, else 0.

    Compared are means over 4 x 4 pixels, which the LR image tells too; their absolute differences are
    averaged over the channels and 5 x 5 neighbours.
    """
    difference = F.avg_pool2d(warped_01.float() - up_01.float(), 4).abs().mean(1, keepdim=True)
    return (F.avg_pool2d(difference, 5, 1, 2, count_include_pad=False) <= most).float()


@torch.no_grad()
def begin_as_interpolation(network: CrossNetGenerator) -> None:
    """Sets weights, in place, so that the network gives the upscaled LR image before its first update.

    Three channels carry its colours past the flow and the reference. The architecture stays what it is, and
    all other weights are as they were.
    """
    encoder, decoder = network.encoder, network.decoder
    width = decoder.tail.in_channels
    through = (encoder.head[0], 0), (encoder.levels.get_submodule("0.0"), 0), (decoder.fuse[0], width)
    for conv, first in (*through, (decoder.tail, 0)):
        assert isinstance(conv, nn.Conv2d)
        conv.weight[:3] = 0
        for c in range(3):
            # SELU multiplies what is positive
            conv.weight[c, first + c, 2, 2] = 1 if conv is decoder.tail else 1 / _SELU_SCALE


_SELU_SCALE = 1.0507009873554805


def charbonnier(sr_01: Tensor, hr_01: Tensor, epsilon: float = 1e-6) -> Tensor:
    """The sum over channels and positions of sqrt(d^2 + epsilon), a mean over the batch (Section 3.5)."""
    difference = sr_01.float() - hr_01.float()
    return difference.square().add(epsilon).sqrt().sum() / len(sr_01)


@dataclass(frozen=True)
class CrossNetNetwork(NetworkSettings):
    """The network's size.

    Attributes:
        width, most_difference: :class:`CrossNetGenerator`.
        initial: weights before training; ``interpolating`` begins as the upscaled LR image.
    """

    width: int = setting(64, 4, 512)
    most_difference: float = setting(0.0, 0, 1)
    initial: Literal["normal", "interpolating"] = "normal"


CROSSNET = RunConfig(
    variant="CrossNet",
    method="crossnet",
    network=CrossNetNetwork(),
    # batch and length are open; the authors train on neighbouring views of a light field, so references
    # are near, upright and not mirrored
    data=PairSettings(
        batch_size=8, crop_hr=320, elsewhere=0, strangers=0.1, offset=0.1, turn=5, zoom=1.05, mirror=False
    ),
).but(
    optimiser={"weight_decay": 5e-5},
    schedule={
        "updates": 300_000,
        "learning_rate": 1e-4,
        "decay": "two-phase",
        "late_from": 150_000,
        "learning_rate_late": 2e-5,
    },
)


class CrossNet(Method):
    """CrossNet on bicubically upscaled images (the paper's are MDSR's, whose weights are not to be had)."""

    key = "crossnet"
    citation = "Zheng et al., ECCV 2018"
    variants: Mapping[str, RunConfig] = {CROSSNET.variant: CROSSNET}
    settings = CrossNetNetwork()
    needs = frozenset({"reference"})
    exact = False
    onnx = False
    declared = (
        "normal weights of variance 1 / fan-in before SELU and 2 / fan-in before leaky ReLU, zero biases; "
        "flow heads at a hundredth, so that at first nothing is moved (the authors leave PyTorch's defaults)"
    )

    def profile(self, config: RunConfig, profile: Profile) -> RunConfig:
        """``quick``: minutes on two cores; ``cpu``: a night on a server's cores."""
        if profile == "paper":
            return config.but(arithmetic={"precision": "auto"})
        quick = profile == "quick"
        updates = 20 if quick else 4_000
        return config.but(
            network={"width": 16 if quick else 32, "initial": "interpolating"},
            schedule={
                "updates": updates,
                "learning_rate": 1e-3,
                "warmup_updates": min(30, updates // 5),
                "decay": "hold",
                "late_from": 0,
                "learning_rate_late": 1e-5,
                "ema_decay": 0.999,
            },
            data={"batch_size": 2 if quick else 4, "crop_hr": 64 if quick else 128},
            arithmetic={"precision": "auto"},
            logging=short_logging(quick, updates) | {"validation_images": 4},
        )

    def check(self, config: RunConfig) -> None:
        if config.start:
            config.network.only_where(False, f"from scratch: this run starts from {config.start}", "initial")
        if config.data.crop_hr % MULTIPLE:
            raise UserError(
                f"crop_hr = {config.data.crop_hr}",
                f"a multiple of {MULTIPLE}: the flow estimator halves six times",
                f"--set crop_hr={MULTIPLE * max(1, config.data.crop_hr // MULTIPLE)}",
            )

    def network(self, settings: CrossNetNetwork, scale: float) -> nn.Module:
        return CrossNetGenerator(settings.width, settings.most_difference)

    @torch.no_grad()
    def initialise(self, network: nn.Module, config: RunConfig) -> None:
        for name, child in network.named_modules():
            if isinstance(child, nn.Conv2d | nn.ConvTranspose2d):
                generator = torch_generator(config.seed, "init", "generator", name)
                inputs = child.weight[0].numel() if isinstance(child, nn.Conv2d) else child.in_channels * 4
                gain = 2.0 if name.startswith(("flow.down", "flow.up")) else 1.0
                flow = name.startswith("flow.heads") or name == "flow.full.2"
                child.weight.normal_(0, (gain / inputs) ** 0.5 * (0.01 if flow else 1), generator=generator)
                assert child.bias is not None
                child.bias.zero_()
        assert isinstance(network, CrossNetGenerator)
        assert isinstance(config.network, CrossNetNetwork)
        if config.network.initial == "interpolating":
            begin_as_interpolation(network)

    def recordable(self, config: RunConfig) -> bool:
        return False  # the interpolation's taps are sent from the host

    def forward(self, networks: Networks, sample: Sample) -> Outputs:
        if sample.reference_pm1 is None:
            raise UserError("a sample without a reference", "one reference an image", "train on pairs")
        up_01 = imresize_float_batch(sample.lr_01, int(sample.scale))
        return Outputs(networks["generator"](up_01, pm1_to_01(sample.reference_pm1)) * 2 - 1)

    def infer_with(
        self, network: Callable[..., Tensor], x: Tensor, references_pm1: Sequence[Tensor], scale: float
    ) -> Tensor:
        """As in training, the image's sides padded to multiples of 64, and the reference fitted to the image.

        It shows nearly the same view, so its middle is laid on the image's; what is too much is cut off, and
        where it ends its border is repeated.

        Raises:
            UserError: none, or more than one reference.
        """
        if len(references_pm1) != 1:
            raise UserError(
                f"{len(references_pm1)} references for CrossNet",
                "exactly one, of nearly the same view",
                "--reference FILE",
            )
        up = imresize_float_batch(x, int(scale))
        height, width = up.shape[2:]
        more = (0, -width % MULTIPLE, 0, -height % MULTIPLE)
        reference = _middle(pm1_to_01(references_pm1[0]).to(x), height, width).expand(len(x), -1, -1, -1)
        fitted = (F.pad(image, more, mode="replicate") for image in (up, reference))
        return network(*fitted)[:, :, :height, :width] * 2 - 1

    def updates(self, config: RunConfig) -> tuple[Update, ...]:
        loss = Term("charbonnier", lambda c: charbonnier(pm1_to_01(c.sr), pm1_to_01(c.hr)))
        return (Update("generator", (loss,)),)

    def radius(self, network: nn.Module) -> None:
        """The flow estimator looks at the whole image."""


def _middle(image: Tensor, height: int, width: int) -> Tensor:
    """The middle (height, width) of an image, its border repeated where it is smaller."""
    index = []
    for axis, length in ((2, height), (3, width)):
        there = image.shape[axis]
        index.append((torch.arange(length, device=image.device) + (there - length) // 2).clamp(0, there - 1))
    return image[:, :, index[0][:, None], index[1]]
