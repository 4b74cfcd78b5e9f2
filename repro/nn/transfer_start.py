"""How SRNTT's networks may start: as an interpolation, and as what their first stage has learned.

So no update is spent on what is known before. The architectures stay what they are, and all weights that are
not named here are as they were.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from repro.nn.transfer import Content, Level, SRNTTGenerator

LEAST_CHANNELS = 6
"""Of features: three colours, each brighter and darker than grey."""

_KNOTS = 4
_WHITE = 0.995
"""What of the range [-1, 1] the inverse of the hyperbolic tangent is followed up to."""


@torch.no_grad()
def begin_as_interpolation(content: Content) -> None:
    """Sets weights, in place, so that the content extractor gives an interpolation before its first update.

    Three channels carry RGB; both upscaling convolutions interpolate by parabolas through three pixels. The
    last layer is a hyperbolic tangent, whose inverse is made before it of straight pieces: the second of
    the convolutions gives every colour several times, each cut off by its ReLU at another brightness.

    Args:
        content: with :data:`LEAST_CHANNELS` or more channels.
    """
    first, second, last = (_convolution(part) for part in content.upscale)
    content.head.weight[:3] = 0
    for c in range(3):
        content.head.weight[c, c, 1, 1] = 1
        assert content.head.bias is not None
        content.head.bias[c] = 1  # from [-1, 1] to [0, 2]: nothing is lost to the ReLU
    content.body_bn.weight.zero_()
    kernels = _parabolas().to(first.weight)
    places, slopes = inverse_tanh(min(_KNOTS, content.head.out_channels // LEAST_CHANNELS))
    assert first.bias is not None
    assert second.bias is not None
    last.weight.zero_()
    for c in range(3):
        _set(first, c, c, kernels, 0)
        for k, (place, slope) in enumerate(zip(places, slopes, strict=True)):
            for sign in (1, -1):
                channel = 2 * (len(places) * c + k) + (sign < 0)
                _set(second, channel, c, sign * kernels, -sign - place)
                last.weight[c, channel, 0, 0] = sign * slope


@torch.no_grad()
def begin_as_content(generator: SRNTTGenerator) -> None:
    """Sets weights of texture transfer, in place, so that it gives what the content extractor gives.

    Its layers take the extractor's own upscaling branch over; what the swapped maps add starts at zero.
    """
    transfer = generator.transfer
    first, second, last = (_convolution(part) for part in generator.content.upscale)
    for level, source in ((transfer.small, first), (transfer.medium, second)):
        _convolution(level.last).load_state_dict(source.state_dict())
    for level in (transfer.small, transfer.medium, transfer.large):
        assert isinstance(level, Level)
        level.body_bn.weight.zero_()
        level.body_bn.bias.zero_()
    narrow, out = transfer.large.last, _convolution(transfer.out)
    assert isinstance(narrow, nn.Conv2d)
    assert narrow.bias is not None
    assert last.bias is not None
    narrow.weight[:3] = 0
    narrow.weight[:3, :, 1, 1] = last.weight[:, :, 0, 0]
    narrow.bias[:3] = last.bias
    out.weight.zero_()
    out.bias.zero_() if out.bias is not None else None
    for c in range(3):
        out.weight[c, c] = 1


def inverse_tanh(count: int) -> tuple[list[float], list[float]]:
    """Where in [0, 1) ``count`` straight pieces begin, and by how much each is steeper than the one before.

    Summed up, sum_k slope_k relu(x - place_k) is near artanh x: its hyperbolic tangent is nearest to x in the
    mean square. Of four pieces the error is 1.6 grey levels (rms), of one 8.
    """
    places = torch.linspace(0, math.atanh(_WHITE), count + 1, dtype=torch.float64).tanh()[:-1]
    x = torch.linspace(0, 1, 513, dtype=torch.float64)[:-1, None]
    weight = 1 - x.square()  # the slope of tanh there
    slopes = torch.linalg.lstsq((x - places).relu() * weight, x.atanh() * weight).solution
    return places.tolist(), slopes.flatten().tolist()


def _parabolas() -> Tensor:
    """(4, 3, 3): a pixel's four quarters, each by the parabola through it and its neighbours on both axes."""
    axis = torch.tensor([[d * (d - 1) / 2, 1 - d * d, d * (d + 1) / 2] for d in (-0.25, 0.25)])
    return torch.einsum("ay,bx->abyx", axis, axis).flatten(0, 1)


def _set(conv: nn.Conv2d, channel: int, source: int, kernels: Tensor, bias: float) -> None:
    """Makes a channel, as it is after the pixel shuffle, of one channel before."""
    four = slice(4 * channel, 4 * channel + 4)
    conv.weight[four] = 0
    conv.weight[four, source] = kernels
    assert conv.bias is not None
    conv.bias[four] = bias


def _convolution(part: nn.Module) -> nn.Conv2d:
    conv = next(part.children())
    assert isinstance(conv, nn.Conv2d)
    return conv
