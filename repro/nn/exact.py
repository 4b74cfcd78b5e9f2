"""Convolutions in float64 as matrix products: for results that are the same everywhere.

In float32 two processors add in different orders, and a few pixels in a thousand round to the neighbouring
grey level. In float64 the orders differ by 1e-13 grey levels, which no rounding shows. torch has no fast
convolution for float64 on a CPU; matrix products are twice as fast as the one it has.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_FEW = 16
"""Channels below which a product over channels alone would be too thin to be fast."""


class ExactConv2d(nn.Module):
    """A float64 convolution of stride 1, padded with zeros or not at all, from an ordinary one."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        if not fits(conv):
            raise ValueError(f"not a square convolution of stride 1: {conv}")
        self.size = conv.kernel_size[0]
        self.padding = int(conv.padding[0])
        self.weight: Tensor
        self.bias: Tensor
        bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias.detach()
        self.register_buffer("weight", conv.weight.detach().double().contiguous())
        self.register_buffer("bias", bias.double().clone())

    def forward(self, x: Tensor) -> Tensor:
        """(N, O, H, W) from (N, C, H, W), both float64."""
        return torch.stack([self._one(image) for image in x])

    def _one(self, x: Tensor) -> Tensor:
        shrinks = self.size - 1 - 2 * self.padding
        channels, height, width = x.shape[0], x.shape[1] - shrinks, x.shape[2] - shrinks
        out = self.weight.shape[0]
        if channels < _FEW:
            columns = F.unfold(x[None], self.size, padding=self.padding)[0]
            product = torch.addmm(self.bias[:, None], self.weight.reshape(out, -1), columns)
            return product.view(out, height, width)
        padded = F.pad(x, (self.padding,) * 4)
        if out < _FEW:
            return self._by_rows(padded, height, width)
        total = self.bias[:, None].expand(out, height * width).contiguous()
        for i in range(self.size):
            for j in range(self.size):
                part = padded[:, i : i + height, j : j + width].reshape(channels, -1)
                total.addmm_(self.weight[:, :, i, j], part)
        return total.view(out, height, width)

    def _by_rows(self, padded: Tensor, height: int, width: int) -> Tensor:
        """Few output channels: all of a kernel row's taps in one product, moved and added afterwards."""
        out, channels = self.weight.shape[:2]
        total = self.bias.view(-1, 1, 1).expand(out, height, width).contiguous()
        for i in range(self.size):
            taps = self.weight[:, :, i].permute(0, 2, 1).reshape(-1, channels)
            rows = padded[:, i : i + height].reshape(channels, -1)
            maps = (taps @ rows).view(out, self.size, height, -1)
            for j in range(self.size):
                total += maps[:, j, :, j : j + width]
        return total


def fits(conv: nn.Conv2d) -> bool:
    """Whether :class:`ExactConv2d` can stand for a convolution."""
    size, padding = conv.kernel_size[0], conv.padding[0]
    square = conv.kernel_size == (size, size) and conv.padding == (padding, padding) and size % 2 == 1
    plain = conv.stride == (1, 1) and conv.dilation == (1, 1) and conv.groups == 1
    return square and plain and conv.padding_mode == "zeros"


def with_exact_convolutions(module: nn.Module) -> nn.Module:
    """A float64 copy of ``module`` (batch norm folded) whose convolutions of stride 1 are products."""
    copied = copy.deepcopy(module).double()
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv2d) and fits(child):
                setattr(parent, name, ExactConv2d(child))
    return copied
