"""The reference methods' networks, which enlarge luma alone: SRCNN, ESPCN and DRCN.

Luma is BT.601 in limited range (:mod:`repro.imaging.color`) over 255, so 16/255..235/255 (``_y01``).
SRCNN and DRCN take it enlarged by bicubic interpolation, ESPCN at low resolution. Nothing clips their output.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repro.nn.initialise import torch_generator
from repro.papers.srgan import SCALE

Kind = Literal["srcnn", "espcn", "drcn"]


class LumaNetwork(nn.Module, ABC):
    """(N, 1, 4 h, 4 w) luma from the (N, 1, h, w) luma, or from its interpolation.

    Attributes:
        interpolates: whether it takes luma enlarged by bicubic interpolation.
        radius: how many pixels of its input around a pixel its output there depends on.
    """

    interpolates: bool
    radius: int

    @abstractmethod
    def initialise(self, seed: int) -> None:
        """Initial weights as the network's paper has them; they depend on the seed alone."""


def _filled(conv: nn.Conv2d, seed: int, name: str, how: Literal["normal", "glorot", "he"]) -> None:
    generator = torch_generator(seed, "init", "generator", name)
    if how == "normal":
        nn.init.normal_(conv.weight, std=0.001, generator=generator)
    elif how == "glorot":
        nn.init.xavier_uniform_(conv.weight, generator=generator)
    else:
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu", generator=generator)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)


class SRCNN(LumaNetwork):
    """9-1-5 with 64 and 32 filters (Dong et al., PAMI 2016, Section 4): 8,129 parameters.

    Attributes:
        narrow: start from the paper's Gaussian of standard deviation 0.001 (Section 3.3) instead of from
            Glorot's range, which short schedules need.
    """

    interpolates = True
    radius = 4 + 0 + 2

    def __init__(self, narrow: bool = True) -> None:
        super().__init__()
        self.narrow = narrow
        self.conv1 = nn.Conv2d(1, 64, 9)
        self.conv2 = nn.Conv2d(64, 32, 1)
        self.conv3 = nn.Conv2d(32, 1, 5)

    def forward(self, y01: Tensor) -> Tensor:
        """Every pixel; layers repeat their input's border (the authors' code)."""
        hidden = F.relu(self.conv1(F.pad(y01, (4,) * 4, mode="replicate")))
        hidden = F.relu(self.conv2(hidden))
        return self.conv3(F.pad(hidden, (2,) * 4, mode="replicate"))

    def valid(self, y01: Tensor) -> Tensor:
        """The pixels that depend on no border, 6 fewer a side: what training looks at (Section 4.1)."""
        return self.conv3(F.relu(self.conv2(F.relu(self.conv1(y01)))))

    def initialise(self, seed: int) -> None:
        for name, conv in self.named_children():
            assert isinstance(conv, nn.Conv2d)
            _filled(conv, seed, name, "normal" if self.narrow else "glorot")


class ESPCN(LumaNetwork):
    """5-3-3 with 64 and 32 filters, tanh, sub-pixel shuffle (Shi et al., CVPR 2016): 24,752 parameters."""

    interpolates = False
    radius = 2 + 1 + 1

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, 5, padding=2)
        self.conv2 = nn.Conv2d(64, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, SCALE**2, 3, padding=1)

    def forward(self, y01: Tensor) -> Tensor:
        hidden = torch.tanh(self.conv2(torch.tanh(self.conv1(y01))))
        return F.pixel_shuffle(self.conv3(hidden), SCALE)

    def initialise(self, seed: int) -> None:
        for name, conv in self.named_children():
            assert isinstance(conv, nn.Conv2d)
            _filled(conv, seed, name, "glorot")


class DRCN(LumaNetwork):
    """Deeply-recursive network (Kim et al., CVPR 2016): 1,775,121 parameters, 20 layers deep.

    Two embedding layers, one layer applied ``recursions`` times, and two reconstruction layers that all
    recursions share; each recursion's output is added to the input (skip connection), and their weighted
    sum, with learned weights, is the result (recursive supervision).
    """

    interpolates = True

    def __init__(self, filters: int = 256, recursions: int = 16) -> None:
        super().__init__()
        self.recursions = recursions
        self.radius = 2 + recursions + 2
        self.embed1 = nn.Conv2d(1, filters, 3, padding=1)
        self.embed2 = nn.Conv2d(filters, filters, 3, padding=1)
        self.recursion = nn.Conv2d(filters, filters, 3, padding=1)
        self.reconstruct1 = nn.Conv2d(filters, filters, 3, padding=1)
        self.reconstruct2 = nn.Conv2d(filters, 1, 3, padding=1)
        self.weights = nn.Parameter(torch.full((recursions,), 1 / recursions))

    def outputs(self, y01: Tensor) -> list[Tensor]:
        """The D outputs, one a recursion (equation 7 of the paper)."""
        hidden = F.relu(self.embed2(F.relu(self.embed1(y01))))
        out = []
        for _ in range(self.recursions):
            hidden = F.relu(self.recursion(hidden))
            out.append(y01 + self.reconstruct2(F.relu(self.reconstruct1(hidden))))
        return out

    def ensemble(self, outputs: list[Tensor]) -> Tensor:
        """The weighted sum of the outputs."""
        total = self.weights[0] * outputs[0]
        for weight, output in zip(self.weights[1:], outputs[1:], strict=True):
            total = total + weight * output
        return total

    def forward(self, y01: Tensor) -> Tensor:
        return self.ensemble(self.outputs(y01))

    def initialise(self, seed: int) -> None:
        """He et al.'s for all layers but the recursive one, which starts as the identity (Section 5.2)."""
        for name in ("embed1", "embed2", "reconstruct1", "reconstruct2"):
            _filled(getattr(self, name), seed, name, "he")
        nn.init.dirac_(self.recursion.weight)
        assert self.recursion.bias is not None
        nn.init.zeros_(self.recursion.bias)
        nn.init.constant_(self.weights, 1 / self.recursions)


def make_luma_network(kind: str, **settings: Any) -> LumaNetwork:
    """The network called ``kind``; ``settings`` are DRCN's filters and recursions, SRCNN's ``narrow``."""
    makers: dict[str, type[LumaNetwork]] = {"srcnn": SRCNN, "espcn": ESPCN, "drcn": DRCN}
    return makers[kind](**settings)
