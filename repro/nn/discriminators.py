"""VGG-style networks that judge whole images: BasicSR's discriminator and RankSRGAN's ranker."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from repro.nn.initialise_he import framework_default

_SLOPE = 0.2


class VGGStyleTrunk(nn.Module):
    """Stages of conv3 and a 4 x 4 convolution of stride 2, with batch norm after all but the first.

    Widths are ``width`` times 1, 2, 4, 8, 8, ...; layers are called as in the authors' files (``conv0_0``).

    Args:
        stages: each halves the sides, rounding down.
        width: channels of the first stage.
        biases: of all convolutions; without, only the first has one.
    """

    def __init__(self, stages: int, width: int, biases: bool) -> None:
        super().__init__()
        self.stages = stages
        channels = 3
        for stage in range(stages):
            wider = width * min(2**stage, 8)
            self.add_module(
                f"conv{stage}_0", nn.Conv2d(channels, wider, 3, padding=1, bias=biases or stage == 0)
            )
            if stage:
                self.add_module(f"bn{stage}_0", nn.BatchNorm2d(wider))
            self.add_module(f"conv{stage}_1", nn.Conv2d(wider, wider, 4, stride=2, padding=1, bias=biases))
            self.add_module(f"bn{stage}_1", nn.BatchNorm2d(wider))
            channels = wider
        self.channels = channels

    def features(self, image_pm1: Tensor) -> Tensor:
        """(N, C, H / 2^stages, W / 2^stages) of images in [-1, 1]; the layers see [0, 1]."""
        x = (image_pm1 + 1) / 2
        for stage in range(self.stages):
            for part in (0, 1):
                x = self.get_submodule(f"conv{stage}_{part}")(x)
                if stage or part:
                    x = self.get_submodule(f"bn{stage}_{part}")(x)
                x = F.leaky_relu(x, _SLOPE)
        return x

    def initialise(self, seed: int, name: str) -> None:
        """The framework's own, as the authors leave it."""
        framework_default(self, seed, name)


class VGGStyleDiscriminator(VGGStyleTrunk):
    """D of ESRGAN: (N, 3, S, S) in [-1, 1] to logits (N, 1); 14,499,401 parameters for S = 128.

    Args:
        side: S. 256 takes a sixth stage (BasicSR); other sides five, 296 among them (RankSRGAN).
        width: channels of the first stage.
    """

    def __init__(self, side: int = 128, width: int = 64) -> None:
        super().__init__(6 if side == 256 else 5, width, biases=False)
        self.side = side
        self.linear1 = nn.Linear(self.channels * (side >> self.stages) ** 2, 100)
        self.linear2 = nn.Linear(100, 1)

    def forward(self, image_pm1: Tensor) -> Tensor:
        x = self.features(image_pm1).flatten(1)
        return self.linear2(F.leaky_relu(self.linear1(x), _SLOPE))


class Ranker(VGGStyleTrunk):
    """R of RankSRGAN: (N, 3, H, W) in [-1, 1], W >= H, to scores (N, 1); a higher score means a worse image.

    13,734,281 parameters. Features are averaged over a square of the features' height, as the authors' code
    does; what a wider image has beyond it is not looked at.

    Args:
        width: channels of the first stage.
        batch_statistics: normalise by the batch even where the network is frozen, as the authors' code does
            when the generator is trained; running statistics then drift.
    """

    def __init__(self, width: int = 64, batch_statistics: bool = False) -> None:
        super().__init__(5, width, biases=True)
        self.batch_statistics = batch_statistics
        self.classifier = nn.Sequential(
            nn.Linear(self.channels, 100), nn.LeakyReLU(_SLOPE), nn.Linear(100, 1)
        )

    def forward(self, image_pm1: Tensor) -> Tensor:
        x = self.features(image_pm1)
        return self.classifier(x[..., : x.shape[2]].mean((2, 3)))

    def train(self, mode: bool = True) -> Ranker:
        return super().train(mode or self.batch_statistics)
