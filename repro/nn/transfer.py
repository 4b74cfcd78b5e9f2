"""The networks of SRNTT (Zhang et al., CVPR 2019, Figure 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repro.imaging.resize_torch import imresize_float_batch
from repro.nn.swap import match, similar_enough, similarity_map, swapped
from repro.nn.vgg import VGGFeatures, VGGWeights, with_random_layers

TAPS = ("conv3_1", "conv2_1", "conv1_1")
"""The VGG-19 layers whose features, after ReLU, are swapped: at 1, 2 and 4 times the LR resolution."""


def frozen(module: nn.Module) -> nn.Module:
    """The module with its parameters turned into buffers, in place.

    So they are in no optimiser and in no count of parameters, but under their names in the file of the
    network that the module is a part of.
    """
    for part in module.modules():
        for name, parameter in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, parameter.detach())
    return module


def texture_features(weights: VGGWeights | None = None) -> VGGFeatures:
    """VGG-19 up to conv3_1, frozen; without weights, random ones that a file's will replace."""
    features = VGGFeatures(weights or with_random_layers(None, TAPS, 0), TAPS)
    frozen(features)
    return features


class Block(nn.Module):
    """conv, BN, ReLU, conv, BN, plus its input; convolutions without bias."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))


def _up(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, 4 * channels, 3, padding=1), nn.PixelShuffle(2), nn.ReLU()
    )  # fmt: skip


def _out(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, 3, 1), nn.Tanh())


class Content(nn.Module):
    """The content extractor, trained as an upscaler: (N, 3, h, w) in [0, 1] to (N, 3, 4h, 4w) in [-1, 1].

    Args:
        channels: of the features.
        blocks: residual blocks.
    """

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(Block(channels) for _ in range(blocks)))
        self.body = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.body_bn = nn.BatchNorm2d(channels)
        self.upscale = nn.Sequential(_up(channels), _up(channels), _out(channels))

    def features(self, lr_01: Tensor) -> Tensor:
        """(N, C, h, w): what texture transfer starts from."""
        first = self.head(lr_01 * 2 - 1).relu()
        deep: Tensor = self.body_bn(self.body(self.blocks(first)))
        return deep + first

    def forward(self, lr_01: Tensor) -> Tensor:
        sr: Tensor = self.upscale(self.features(lr_01))
        return sr


class Level(nn.Module):
    """Texture transfer at one scale: features and a swapped map to features at the next scale."""

    def __init__(self, channels: int, mapped: int, blocks: int, last: nn.Module) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels + mapped, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(Block(channels) for _ in range(blocks)))
        self.body = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.body_bn = nn.BatchNorm2d(channels)
        self.last = last

    def forward(self, features: Tensor, swapped_map: Tensor) -> Tensor:
        x = self.conv1(torch.cat([features, swapped_map.to(features.dtype)], 1)).relu()
        out: Tensor = self.last(self.body_bn(self.body(self.blocks(x))) + features)
        return out


class Transfer(nn.Module):
    """Content features and the three swapped maps to SR: levels at 1, 2 and 4 times the LR resolution."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.small = Level(channels, 256, blocks, _up(channels))
        self.medium = Level(channels, 128, max(blocks // 2, 1), _up(channels))
        # no activation between the last two convolutions, as in the authors' code
        self.large = Level(
            channels, 64, max(blocks // 4, 1), nn.Conv2d(channels, channels // 2, 3, padding=1)
        )
        self.out = _out(channels // 2)

    def forward(self, content: Tensor, maps: Sequence[Tensor]) -> Tensor:
        x = self.small(content, maps[0])
        x = self.large(self.medium(x, maps[1]), maps[2])
        sr: Tensor = self.out(x)
        return sr


class Transferred(NamedTuple):
    """What :class:`SRNTTGenerator` gives.

    Attributes:
        sr: (N, 3, 4h, 4w) in [-1, 1].
        maps: the swapped features at 1, 2 and 4 times the LR resolution.
        similarity: (N, 1, h, w) of the patches that were found.
    """

    sr: Tensor
    maps: tuple[Tensor, ...]
    similarity: Tensor


class SRNTTGenerator(nn.Module):
    """The generator: 4,383,494 parameters, 1,518,147 of them the content extractor's.

    Args:
        channels: of the features.
        content_blocks: residual blocks of the content extractor.
        blocks: residual blocks of texture transfer at LR resolution; half and a quarter at the next ones.
        least_similarity: below which no patch of a reference is taken, but the same place of the image's own
            bicubic enlargement; 0 takes the best whatever it is, as the authors do.
    """

    def __init__(
        self,
        channels: int = 64,
        content_blocks: int = 16,
        blocks: int = 16,
        least_similarity: float = 0.0,
    ) -> None:
        super().__init__()
        self.least_similarity = least_similarity
        self.features = texture_features()
        self.content = Content(channels, content_blocks)
        self.transfer = Transfer(channels, blocks)

    def train(self, mode: bool = True) -> SRNTTGenerator:
        """A frozen content extractor keeps its running statistics: it does the same in training as in use."""
        super().train(mode)
        if next(self.content.parameters(), None) is None:
            self.content.eval()
        return self

    def forward(self, lr_01: Tensor, references_pm1: Sequence[Tensor]) -> Transferred:
        """Super-resolves by the references.

        Args:
            lr_01: (N, 3, h, w) in [0, 1].
            references_pm1: one or more of (N, 3, H_i, W_i) in [-1, 1], any size from 12 x 12; what exceeds a
                multiple of 4 is cut off.

        Raises:
            UserError: no reference, or one of fewer than 12 x 12 pixels.
        """
        maps, similarity = self.swap(lr_01, references_pm1)
        return Transferred(self.transfer(self.content.features(lr_01), maps), maps, similarity)

    @torch.no_grad()
    def swap(self, lr_01: Tensor, references_pm1: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], Tensor]:
        """The swapped maps and the similarity; both sides are matched after a bicubic way through LR size."""
        with torch.autocast(lr_01.device.type, enabled=False):
            own = self.features(imresize_float_batch(lr_01.float() * 2 - 1, 4))
            textures, degraded = [], []
            for image in references_pm1:
                image = image[:, :, : image.shape[2] // 4 * 4, : image.shape[3] // 4 * 4].float()
                textures.append(self.features(image))
                image = imresize_float_batch(imresize_float_batch(image, 0.25), 4)
                degraded.append(self.features(image)[TAPS[0]])
            return self._swap(own, degraded, textures)

    def _swap(
        self, own: Mapping[str, Tensor], degraded: Sequence[Tensor], textures: list[Mapping[str, Tensor]]
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        maps: list[list[Tensor]] = [[] for _ in TAPS]
        similarity = []
        if self.least_similarity > 0:
            textures = [*textures, own]
        for n, content in enumerate(own[TAPS[0]]):
            matches = match(content, [d[n] for d in degraded])
            if self.least_similarity > 0:
                matches = similar_enough(matches, self.least_similarity)
            similarity.append(similarity_map(matches)[None])
            for level, found in enumerate(maps):
                found.append(swapped(matches, [t[TAPS[level]][n] for t in textures], 2**level))
        return tuple(torch.stack(found) for found in maps), torch.stack(similarity)


class _Halving(nn.Conv2d):
    """conv k3s2 with TensorFlow's "same" padding: of an even side nothing before and one after."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, stride=2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (x.shape[3] % 2, 1, x.shape[2] % 2, 1)))


class Discriminator(nn.Module):
    """(N, 3, H, W) in [-1, 1] to logits (N, 1): ten convolutions with BN, dense 1024, dense 1.

    17,823,457 parameters for 160 x 160.

    Args:
        size: (H, W) of the images.
        channels: of the first convolution.
    """

    def __init__(self, size: tuple[int, int] = (160, 160), channels: int = 32) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs, positions = 3, 1
        for width in (channels * 2**level for level in range(5)):
            for conv in (nn.Conv2d(inputs, width, 3, padding=1, bias=False), _Halving(width)):
                layers += [conv, nn.BatchNorm2d(width), nn.LeakyReLU(0.2)]
            inputs = width
        for side in size:
            positions *= -(-side // 32)
        self.features = nn.Sequential(*layers)
        self.dense = nn.Sequential(
            nn.Flatten(), nn.Linear(inputs * positions, 1024), nn.LeakyReLU(0.2), nn.Linear(1024, 1)
        )

    def forward(self, image_pm1: Tensor) -> Tensor:
        logits: Tensor = self.dense(self.features(image_pm1))
        return logits
