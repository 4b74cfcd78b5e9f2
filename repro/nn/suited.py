"""Three kinds of layers computed in the way that suits the processor; the same functions, faster.

The plain layers are right everywhere; on a CPU they take most of an update's time that is not the residual
blocks' convolutions. :func:`suit_cpu` and :func:`suit_gpu` turn the layers of a finished network into these;
parameters and their names stay what they are.
"""

from __future__ import annotations

from typing import Any, TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class _SharedSlope(torch.autograd.Function):
    """PReLU with one slope: torch's kernel writes a gradient of the slope for every value, to sum it up."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor, on_host: bool) -> Tensor:
        ctx.save_for_backward(x, slope)
        ctx.on_host = on_host
        if on_host:
            return F.leaky_relu(x, float(slope))
        return torch.where(x > 0, x, x * slope.to(x.dtype))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, slope = ctx.saved_tensors
        of_x = of_slope = None
        if ctx.needs_input_grad[0] and ctx.on_host:
            of_x = torch.ops.aten.leaky_relu_backward(gradient, x, float(slope), False)
        elif ctx.needs_input_grad[0]:
            of_x = torch.where(x > 0, gradient, gradient * slope.to(gradient.dtype))
        if ctx.needs_input_grad[1]:
            # a sum over channels first: in half precision torch casts the whole tensor where it is asked to
            # sum in float32, which costs more than all the rest
            by_position = (gradient * x.clamp_max(0)).sum(1)
            of_slope = by_position.sum(dtype=torch.float32).to(slope.dtype).view_as(slope)
        return of_x, of_slope, None


class SharedPReLU(nn.PReLU):
    """PReLU with one slope for the layer (He et al. 2015, the channel-shared variant)."""

    def forward(self, x: Tensor) -> Tensor:
        return _SharedSlope.apply(x, self.weight, True)


class DeviceSharedPReLU(nn.PReLU):
    """The same, whose slope never leaves the device: a recorded update cannot ask for its value."""

    def forward(self, x: Tensor) -> Tensor:
        return _SharedSlope.apply(x, self.weight, False)


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
    """``module`` with the layers that have a faster form on a CPU turned into it, in place.

    A convolution is joined with a PixelShuffle by 2 that comes next among the children of the same module:
    such pairs are applied one after the other.
    """
    for parent in list(module.modules()):
        children = list(parent.named_children())
        for number, (_, child) in enumerate(children):
            after, following = children[number + 1] if number + 1 < len(children) else ("", None)
            shuffled = isinstance(following, nn.PixelShuffle) and following.upscale_factor == 2
            if _shares_slope(child):
                child.__class__ = SharedPReLU
            elif shuffled and _keeps_size(child) and child.kernel_size == (3, 3):
                child.__class__ = ShuffledConv2d
                setattr(parent, after, nn.Identity())
            elif _has_few_outputs(child) and not shuffled:
                child.__class__ = FewOutputsConv2d
    return module


def suit_gpu(module: nn.Module) -> nn.Module:
    """``module`` with the layers that have a better form on a GPU turned into it, in place.

    The last convolution's 27 channels feed the tensor cores that 3 leave idle, and its sum is float32, as on
    a CPU. What is frozen there (VGG) takes the arithmetic that autocast would cast it to at each call:
    :func:`freeze_half`.
    """
    for child in list(module.modules()):
        if _shares_slope(child):
            child.__class__ = DeviceSharedPReLU
        elif _has_few_outputs(child):
            child.__class__ = FewOutputsConv2d
    return module


def freeze_half(module: nn.Module) -> nn.Module:
    """``module`` with its frozen convolutions in bfloat16, in place: the bits that autocast makes of them.

    Autocast keeps the cast of a parameter that learns, and makes a frozen one's again at each call.
    """
    for child in module.modules():
        if isinstance(child, nn.Conv2d) and not child.weight.requires_grad:
            child.to(torch.bfloat16)
    return module


_FEW, _LARGE = 4, 5
"""Output channels and kernel sides from which summing rows pays."""


def _shares_slope(module: nn.Module) -> bool:
    return type(module) is nn.PReLU and module.num_parameters == 1


def _has_few_outputs(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    return _keeps_size(module) and module.out_channels <= _FEW and module.kernel_size[0] >= _LARGE


def _keeps_size(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    if type(module) is not nn.Conv2d:
        return False
    side = module.kernel_size[0]
    square = module.kernel_size == (side, side) and module.padding == (side // 2, side // 2) and side % 2 == 1
    return square and module.stride == (1, 1) and module.groups == 1 and module.padding_mode == "zeros"
