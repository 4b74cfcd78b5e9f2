"""The discriminator of Figure 4."""

from __future__ import annotations

from torch import Tensor, nn

_STAGES = ((1, 2), (2, 1), (2, 2), (4, 1), (4, 2), (8, 1), (8, 2))
"""(width as a multiple of the first layer's, stride) of the seven stages with batch norm."""


class Discriminator(nn.Module):
    """D of Figure 4: (N, 3, 96, 96) in [-1, 1] to logits (N, 1); the sigmoid lives in the losses.

    23,565,505 parameters: conv k3n64s1 + LeakyReLU 0.2, seven conv + BN + LeakyReLU, dense 1024, dense 1.

    Args:
        crop_hr: side of the images; the paper's is 96.
        width: channels of the first layer; the paper's is 64 (tests take fewer).
        dense: width of the first dense layer; the paper's is 1024.
    """

    def __init__(self, crop_hr: int = 96, width: int = 64, dense: int = 1024) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1), nn.LeakyReLU(0.2)]
        channels = width
        for multiple, stride in _STAGES:
            layers += [
                nn.Conv2d(channels, multiple * width, 3, stride=stride, padding=1),
                nn.BatchNorm2d(multiple * width),
                nn.LeakyReLU(0.2),
            ]
            channels = multiple * width
        self.features = nn.Sequential(*layers)
        self.dense = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * (crop_hr // 16) ** 2, dense),
            nn.LeakyReLU(0.2),
            nn.Linear(dense, 1),
        )

    def forward(self, image_pm1: Tensor) -> Tensor:
        return self.dense(self.features(image_pm1))
