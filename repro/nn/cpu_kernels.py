"""Three kinds of layers computed in the way that suits a CPU; the same functions, faster.

The plain layers are right everywhere; on a CPU they take most of an update's time that is not the residual
blocks' convolutions. :func:`suit_cpu` turns the layers of a finished network into these; parameters and their
names stay what they are.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class _SharedSlope(torch.autograd.Function):
    """PReLU with one slope: torch's kernel writes a gradient of the slope for every value, to sum it up."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(x, slope)
        return F.leaky_relu(x, float(slope))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, slope = ctx.saved_tensors
        of_x = of_slope = None
        if ctx.needs_input_grad[0]:
            of_x = torch.ops.aten.leaky_relu_backward(gradient, x, float(slope), False)
        if ctx.needs_input_grad[1]:
            # a sum over channels first: in half precision torch casts the whole tensor where it is asked to
            # sum in float32, which costs more than all the rest
            by_position = (gradient * x.clamp_max(0)).sum(1)
            of_slope = by_position.sum(dtype=torch.float32).to(slope.dtype).view_as(slope)
        return of_x, of_slope


class SharedPReLU(nn.PReLU):
    """PReLU with one slope for the layer (He et al. 2015, the channel-shared variant)."""

    def forward(self, x: Tensor) -> Tensor:
        return _SharedSlope.apply(x, self.weight)


class _ShiftedSum(torch.autograd.Function):
    """sum over r of rows[:, r, :, y + r - k // 2]: (N, k C, H, W) to (N, C, H, W) in float32."""

    @staticmethod
    def forward(ctx: Any, by_row: Tensor, kernel: int) -> Tensor:
        count, channels, height, width = by_row.shape
        ctx.kernel, ctx.dtype = kernel, by_row.dtype
        # plane by plane: of channels that lie side by side, three at a time would be picked out
        rows = by_row.contiguous().view(count, kernel, channels // kernel, height, width)
        total = rows[:, kernel // 2].float().contiguous()
        for row in range(kernel):
            shift = row - kernel // 2
            low, high = max(0, -shift), min(height, height - shift)
            if shift and low < high:
                total[:, :, low:high] += rows[:, row, :, low + shift : high + shift]
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        margin, height = ctx.kernel // 2, gradient.shape[2]
        padded = F.pad(gradient.to(ctx.dtype), (0, 0, margin, margin))
        rows = [padded[:, :, 2 * margin - row : 2 * margin - row + height] for row in range(ctx.kernel)]
        return torch.cat(rows, 1).contiguous(memory_format=torch.channels_last), None


class FewOutputsConv2d(nn.Conv2d):
    """A k x k convolution to few channels, stride 1, padding (k - 1) / 2.

    Vector units want 16 or more output channels; with 3 of them most lanes idle. Here each of the k rows of
    the kernel makes channels of its own in one 1 x k convolution (k times as many channels, the same
    multiplications), whose rows are then shifted and summed in float32.
    """

    def forward(self, x: Tensor) -> Tensor:
        outputs, inputs, kernel, _ = self.weight.shape
        rows = self.weight.permute(2, 0, 1, 3).reshape(kernel * outputs, inputs, 1, kernel)
        total = _ShiftedSum.apply(F.conv2d(x, rows, padding=(0, kernel // 2)), kernel)
        if self.bias is not None:
            total = total + self.bias.view(1, -1, 1, 1)
        return total


class ShuffledConv2d(nn.Conv2d):
    """A 3 x 3 convolution to 4 C channels and PixelShuffle 2: (N, C', H, W) to (N, C, 2 H, 2 W).

    PixelShuffle takes every fourth channel of a pixel. With the filters in another order, made again at each
    call from the parameter, the shuffle moves whole runs of C channels instead of single values.
    """

    def forward(self, x: Tensor) -> Tensor:
        channels = self.out_channels // 4
        weight = self.weight.unflatten(0, (channels, 4)).transpose(0, 1).flatten(0, 1)
        bias = None if self.bias is None else self.bias.view(channels, 4).t().flatten()
        count, _, height, width = x.shape
        y = F.conv2d(x, weight, bias, padding=1).permute(0, 2, 3, 1)
        y = y.reshape(count, height, width, 2, 2, channels).transpose(2, 3)
        return y.reshape(count, 2 * height, 2 * width, channels).permute(0, 3, 1, 2)


def suit_cpu(module: nn.Module) -> nn.Module:
    """``module`` with the layers that have a faster form here turned into it, in place.

    A convolution is joined with a PixelShuffle by 2 that comes next among the children of the same module:
    such pairs are applied one after the other.
    """
    for parent in list(module.modules()):
        children = list(parent.named_children())
        for (_, child), (after, following) in zip_longest(children, children[1:], fillvalue=("", None)):
            if type(child) is nn.PReLU and child.num_parameters == 1:
                child.__class__ = SharedPReLU
            elif type(child) is nn.Conv2d and _keeps_size(child):
                shuffled = isinstance(following, nn.PixelShuffle) and following.upscale_factor == 2
                if shuffled and child.kernel_size == (3, 3):
                    child.__class__ = ShuffledConv2d
                    setattr(parent, after, nn.Identity())
                elif child.out_channels <= _FEW and child.kernel_size[0] >= _LARGE and not shuffled:
                    child.__class__ = FewOutputsConv2d
    return module


_FEW, _LARGE = 4, 5
"""Output channels and kernel sides from which summing rows pays."""


def _keeps_size(conv: nn.Conv2d) -> bool:
    side = conv.kernel_size[0]
    square = conv.kernel_size == (side, side) and conv.padding == (side // 2, side // 2) and side % 2 == 1
    return square and conv.stride == (1, 1) and conv.groups == 1 and conv.padding_mode == "zeros"
