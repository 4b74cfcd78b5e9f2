"""The discriminator of Figure 4."""

from __future__ import annotations

from torch import Tensor, nn

_STAGES = ((64, 2), (128, 1), (128, 2), (256, 1), (256, 2), (512, 1), (512, 2))


class Discriminator(nn.Module):
    """D of Figure 4: (N, 3, 96, 96) in [-1, 1] to logits (N, 1); the sigmoid lives in the losses.

    23,565,505 parameters: conv k3n64s1 + LeakyReLU 0.2, seven conv + BN + LeakyReLU, dense 1024, dense 1.
    """

    def __init__(self, crop_hr: int = 96) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, padding=1), nn.LeakyReLU(0.2)]
        channels = 64
        for width, stride in _STAGES:
            layers += [
                nn.Conv2d(channels, width, 3, stride=stride, padding=1),
                nn.BatchNorm2d(width),
                nn.LeakyReLU(0.2),
            ]
            channels = width
        self.features = nn.Sequential(*layers)
        self.dense = nn.Sequential(
            nn.Flatten(),
            nn.Linear(512 * (crop_hr // 16) ** 2, 1024),
            nn.LeakyReLU(0.2),
            nn.Linear(1024, 1),
        )

    def forward(self, image_pm1: Tensor) -> Tensor:
        return self.dense(self.features(image_pm1))
