"""Meta-SR: one network for any scale, its last layer predicted for each pixel (Hu et al., CVPR 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repro.core.errors import UserError
from repro.core.settings import setting
from repro.core.streams import stream
from repro.data.samples import Sample
from repro.imaging.ranges import pm1_to_u8, u8_to_01
from repro.imaging.resize_torch import imresize_batch
from repro.imaging.tiling import exact_scale
from repro.methods.base import Method, Networks, Outputs, Profile, Term, Update
from repro.methods.config import LossSettings, NetworkSettings, RunConfig
from repro.methods.renaming import count, renamed
from repro.methods.short import shortened
from repro.nn.initialise_he import framework_default
from repro.nn.levels import LEVELS, MeanShift, l1_levels, levels_to_pm1
from repro.nn.precision import full_precision, wide

HIGHEST = 4
"""The largest scale that the network is made for (Section 4.1); the smallest is 1."""

BORDER = 10
"""LR pixels around a training crop, which the reduction's border reaches; a multiple of a tenth's 10."""


@dataclass(frozen=True)
class MetaSRSettings(NetworkSettings):
    """Attributes:
    channels: G0 of RDN.
    growth: G of RDN.
    blocks: D of RDN, residual dense blocks.
    layers: C of RDN, convolutions a block.
    hidden: width of the network that predicts weights.
    """

    channels: int = setting(64, 1, 1024)
    growth: int = setting(64, 1, 1024)
    blocks: int = setting(16, 1, 256)
    layers: int = setting(8, 1, 64)
    hidden: int = setting(256, 1, 4096)


@dataclass(frozen=True)
class MetaSRLosses(LossSettings):
    """Attributes:
    lowest_tenths, highest_tenths: each batch has one scale, drawn from these tenths, both included.
    """

    lowest_tenths: int = setting(11, 10, 40)
    highest_tenths: int = setting(40, 10, 40)

    def check(self) -> None:
        if self.lowest_tenths > self.highest_tenths:
            raise UserError(
                f"lowest_tenths = {self.lowest_tenths}", f"at most highest_tenths = {self.highest_tenths}",
                f"--set lowest_tenths={self.highest_tenths}",
            )  # fmt: skip


class Coordinates(NamedTuple):
    """Where the pixels of one axis of a result lie in the low-resolution image.

    Attributes:
        source: the LR pixel that each result pixel falls into: floor(i / s).
        phase: which of ``offsets`` it has.
        offsets: the distinct values of i / s - floor(i / s), ascending from 0.
    """

    source: list[int]
    phase: list[int]
    offsets: list[Fraction]


def upscaled_length(length: int, scale: float) -> int:
    """floor(s n): how many pixels n become."""
    return int(length * exact_scale(scale))


def coordinates(length: int, scale: float) -> Coordinates:
    """The coordinates (Section 3.2) of an axis of ``length`` LR pixels, in exact arithmetic.

    In the authors' float32 an exact multiple of a scale such as 2.3 falls to the pixel before it.
    """
    s = Fraction(exact_scale(scale))
    # i / s = i q / p: the offsets are multiples of 1 / p, and come back after p pixels
    products = [i * s.denominator for i in range(upscaled_length(length, scale))]
    remainders = [product % s.numerator for product in products]
    distinct = sorted(set(remainders))
    phase_of = {remainder: number for number, remainder in enumerate(distinct)}
    return Coordinates(
        [product // s.numerator for product in products],
        [phase_of[remainder] for remainder in remainders],
        [Fraction(remainder, s.numerator) for remainder in distinct],
    )


class DenseBlock(nn.Module):
    """RDB: densely connected conv3 + ReLU, fused by a 1 x 1 convolution, plus the input (N, G0, h, w)."""

    def __init__(self, channels: int, growth: int, layers: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(channels + growth * number, growth, 3, padding=1) for number in range(layers)
        )
        self.fusion = nn.Conv2d(channels + growth * layers, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for conv in self.convs:
            features.append(F.relu(conv(torch.cat(features, 1))))
        return x + self.fusion(torch.cat(features, 1))


_PATCHES = 2**24
"""Values of gathered features at a time: 64 MiB in float32."""


class MetaSRNetwork(nn.Module):
    """RDN's features and the Meta-Upscale module (Figure 1): 22,419,096 parameters, whatever the scale.

    Args:
        channels: G0 of RDN, 64.
        growth: G of RDN, 64.
        blocks: D of RDN, 16.
        layers: C of RDN, 8 a block.
        hidden: width of the network that predicts weights, 256.
    """

    def __init__(
        self, channels: int = 64, growth: int = 64, blocks: int = 16, layers: int = 8, hidden: int = 256
    ) -> None:
        super().__init__()
        self.sub_mean, self.add_mean = MeanShift(-1), MeanShift(1)
        self.head1 = nn.Conv2d(3, channels, 3, padding=1)
        self.head2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.blocks = nn.ModuleList(DenseBlock(channels, growth, layers) for _ in range(blocks))
        self.fusion = nn.Sequential(
            nn.Conv2d(channels * blocks, channels, 1), nn.Conv2d(channels, channels, 3, padding=1)
        )
        self.weights = nn.Sequential(nn.Linear(3, hidden), nn.ReLU(), nn.Linear(hidden, 9 * channels * 3))

    def features(self, lr_01: Tensor) -> Tensor:
        """(N, G0, h, w), whatever the scale, from (N, 3, h, w) in [0, 1]."""
        first = self.head1(self.sub_mean(LEVELS * lr_01))
        x, outputs = self.head2(first), []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        return first + self.fusion(torch.cat(outputs, 1))

    def predicted(self, scale: float, row: Fraction, columns: list[Fraction], like: Tensor) -> Tensor:
        """(columns, 9 G0, 3): the filters of pixels at a row's offset and each of several columns'."""
        positions = [[1 / float(scale), float(row), float(column)] for column in columns]
        weights: Tensor = self.weights(torch.tensor(positions, dtype=like.dtype, device=like.device))
        return weights.unflatten(1, (-1, 3))

    def upscale(self, features: Tensor, scale: float) -> Tensor:
        """(N, 3, floor(s h), floor(s w)) in [-1, 1] from :meth:`features`, for any scale of 1 or more."""
        with full_precision(features):
            return levels_to_pm1(self.add_mean(self._upscaled(wide(features), scale)))

    def _upscaled(self, features: Tensor, scale: float) -> Tensor:
        height, width = features.shape[2:]
        rows, columns = coordinates(height, scale), coordinates(width, scale)
        padded = F.pad(features, (1, 1, 1, 1))
        source = torch.tensor(columns.source, device=features.device)
        phase = torch.tensor(columns.phase, device=features.device)
        # some rows of one phase after another: the patches of a whole result would not fit into memory
        most = max(1, _PATCHES // (9 * features.shape[:2].numel() * len(columns.source)))
        parts, order = [], []
        for number, offset in enumerate(rows.offsets):
            filters = self.predicted(scale, offset, columns.offsets, features)[phase]
            members = [i for i, of_row in enumerate(rows.phase) if of_row == number]
            for some in (members[k : k + most] for k in range(0, len(members), most)):
                lines = torch.tensor([rows.source[i] for i in some], device=features.device)
                taps = [padded[:, :, lines + dy][..., source + dx] for dy in range(3) for dx in range(3)]
                patches = torch.stack(taps, 2).flatten(1, 2)  # (N, 9 G0, rows, columns)
                parts.append(torch.einsum("nkij,jkc->ncij", patches, filters))
            order += members
        back = torch.tensor(order, device=features.device).argsort()
        return torch.cat(parts, 2)[:, :, back]

    def forward(self, lr_01: Tensor, scale: float) -> Tensor:
        return self.upscale(self.features(lr_01), scale)


# Section 4.1: DIV2K, 1,000 epochs of 1,000 updates; LR crops of 50 pixels
PAPER = RunConfig(variant="Meta-SR", method="meta_sr", network=MetaSRSettings(), losses=MetaSRLosses()).but(
    schedule={
        "updates": 1_000_000,
        "learning_rate": 1e-4,
        "decay": "halving",
        "milestones": "200000/400000/600000/800000",
    },
    data={"batch_size": 16, "crop_hr": HIGHEST * (50 + 2 * BORDER), "augmentation": "dihedral"},
)

_AUTHORS = (  # theirs -> ours
    (r"SFENet", "head"),
    (r"RDBs\.(\d+)\.convs\.(\d+)\.conv\.0\.", r"blocks.\1.convs.\2."),
    (r"RDBs\.(\d+)\.LFF\.", r"blocks.\1.fusion."),
    (r"GFF\.", "fusion."),
    (r"P2W\.meta_block\.", "weights."),
)


class MetaSR(Method):
    """Meta-SR on RDN's features."""

    key = "meta_sr"
    citation = "Hu et al., CVPR 2019"
    variants: Mapping[str, RunConfig] = {PAPER.variant: PAPER}
    settings = MetaSRSettings()
    scales = (2, 3, 4)
    tile = 384  # bounds the activations of RDN, whose results depend on 132 pixels around, to about 4 GiB
    onnx = False  # the coordinates would be those of the example
    declared = "PyTorch's uniform weights and biases"

    def profile(self, config: RunConfig, profile: Profile) -> RunConfig:
        small = {"channels": 32, "growth": 16, "blocks": 2, "layers": 3, "hidden": 64}
        return shortened(
            config,
            profile,
            HIGHEST * (24 + 2 * BORDER),
            quick=small,
            cpu={**small, "growth": 32, "blocks": 6, "layers": 4, "hidden": 128},
        )

    def check(self, config: RunConfig) -> None:
        if config.data.scale != HIGHEST or config.data.crop_lr <= 2 * BORDER:
            raise UserError(
                f"scale = {config.data.scale} with crop_hr = {config.data.crop_hr}",
                f"{HIGHEST}, and above {2 * HIGHEST * BORDER}: batches draw scales up to {HIGHEST}, "
                f"and crops have a border of {BORDER} LR pixels",
                "--set lowest_tenths=20 --set highest_tenths=20   (one scale alone)",
            )

    def network(self, settings: Any, scale: float) -> MetaSRNetwork:
        return MetaSRNetwork(**settings.as_dict())

    def initialise(self, network: nn.Module, config: RunConfig) -> None:
        assert isinstance(network, MetaSRNetwork)
        framework_default(network, config.seed, "generator")
        for shift in (network.sub_mean, network.add_mean):
            shift.reset()

    def prepare(self, config: RunConfig, sample: Sample, k: int) -> Sample:
        """Batch ``k`` at a scale of its own: LR crops of one size, of as much of the HR crops as they need.

        A border of 10 LR pixels is a whole number of HR pixels at every tenth: no corner is rounded.
        """
        losses = _losses(config)
        tenths = int(
            stream(config.seed, "scale", k).integers(losses.lowest_tenths, losses.highest_tenths + 1)
        )
        around, inner = config.data.crop_lr, config.data.crop_lr - 2 * BORDER
        needed = -(-around * tenths // 10)
        lr_u8 = imresize_batch(pm1_to_u8(sample.hr_pm1[..., :needed, :needed]), Fraction(10, tenths))
        lr_part, hr_part = slice(BORDER, BORDER + inner), slice(tenths, tenths + inner * tenths // 10)
        return sample._replace(
            lr_01=u8_to_01(lr_u8[..., lr_part, lr_part]),
            hr_pm1=sample.hr_pm1[..., hr_part, hr_part],
            scale=tenths / 10,
        )

    def recordable(self, config: RunConfig) -> bool:
        """No: shapes change with the scale."""
        return False

    def forward(self, networks: Networks, sample: Sample) -> Outputs:
        return Outputs(networks["generator"](sample.lr_01, sample.scale))

    def updates(self, config: RunConfig) -> tuple[Update, ...]:
        return (Update("generator", (Term("l1", lambda c: l1_levels(c.sr, c.hr)),)),)

    def result_scale(self, built: float, wanted: float | None) -> float:
        """Any scale from 1 to 4, in hundredths: with finer ones no tile would begin on whole pixels."""
        scale = built if wanted is None else wanted
        if not 1 <= scale <= HIGHEST or Fraction(exact_scale(scale)).denominator > 100:
            raise UserError(f"--scale {scale}", f"1 to {HIGHEST}, in hundredths", "--scale 2.7")
        return scale

    def radius(self, network: nn.Module) -> int:
        assert isinstance(network, MetaSRNetwork)
        dense = sum(len(block.convs) for block in network.blocks if isinstance(block, DenseBlock))
        return 2 + dense + 2  # the heads; fusion and the patch

    def recognise(self, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        if not {"RDBs.0.convs.0.conv.0.weight", "P2W.meta_block.0.weight"} <= tensors.keys():
            return None
        ours = renamed(tensors, _AUTHORS)
        growth, channels = ours["blocks.0.convs.0.weight"].shape[:2]
        network = MetaSRSettings(
            channels=channels,
            growth=growth,
            blocks=count(ours, r"blocks\.(\d+)\."),
            layers=count(ours, r"blocks\.0\.convs\.(\d+)\."),
            hidden=ours["weights.0.weight"].shape[0],
        )
        return {"method": self.key, "network": network.as_dict(), "scale": HIGHEST}, ours


def _losses(config: RunConfig) -> MetaSRLosses:
    assert isinstance(config.losses, MetaSRLosses)
    return config.losses
