"""Checkpoint layouts in circulation of ESRGAN, MSRResNet and RankSRGAN, in our names and with their settings.

Our names are BasicSR's. Depth, width, growth and scale are read from the tensors' shapes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from repro.core.errors import UserError

_RRDB_SUB = {"0": "conv_first", "3": "conv_up1", "6": "conv_up2", "8": "conv_hr", "10": "conv_last"}
_RESNET_SUB = {"0": "conv_first", "2": "upconv1", "5": "upconv2", "8": "conv_hr", "10": "conv_last"}
_RENAMED = {"trunk_conv": "conv_body", "HRconv": "conv_hr", "LRconv": "conv_body"}


@dataclass(frozen=True)
class Recognised:
    """A generator that was found in a file.

    Attributes:
        network: ``rrdb``, ``msrresnet`` or ``ranksrgan``.
        blocks, channels, growth, scale: of the network; growth is 0 where it has none.
        tensors: by our names.
    """

    network: str
    blocks: int
    channels: int
    growth: int
    scale: int
    tensors: dict[str, Tensor]


def recognise(tensors: Mapping[str, Tensor]) -> Recognised | None:
    """What generator of this family tensors are, by their names and shapes.

    Known are ESRGAN's three layouts (``model.1.sub.N``, ``RRDB_trunk``, ``body``), MSRResNet in BasicSR's
    and mmsr's names, RankSRGAN's in mmsr's and in those of its older files.

    Returns:
        None where the names are of another family.

    Raises:
        UserError: names of this family with tensors missing, or shapes that no network of it has.
    """
    renamed = _renamed(tensors)
    if renamed is None:
        return None
    try:
        first, blocks = renamed["conv_first.weight"].shape, _blocks(renamed)
        if any(".rdb1." in name for name in renamed):
            growth = renamed["body.0.rdb1.conv1.weight"].shape[0]
            scale = {3: 4, 12: 2, 48: 1}.get(first[1])
            network = "rrdb"
        else:
            growth = 0
            factor = renamed["upconv1.weight"].shape[0] // first[0]
            scale = {(4, True): 4, (9, False): 3, (4, False): 2}.get((factor, "upconv2.weight" in renamed))
            network = "ranksrgan" if "conv_body.weight" in renamed else "msrresnet"
    except (KeyError, IndexError) as error:
        raise UserError(
            f"weights named as ESRGAN's family, without {error}", "the whole network", "get the file again"
        ) from None
    if scale is None:
        two = not {"upconv2.weight", "conv_up2.weight"}.isdisjoint(renamed)
        raise UserError(
            f"{network}: a first layer of shape {tuple(first)}, {'two' if two else 'one'} upsampling layers",
            "x4, x2 or x1 (3, 12 or 48 input channels)" if growth else "x4, x3 or x2",
            "such a network is not supported",
        )
    return Recognised(network, blocks, first[0], growth, scale, renamed)


def _blocks(tensors: Mapping[str, Tensor]) -> int:
    numbers = {int(name.split(".")[1]) for name in tensors if name.startswith("body.")}
    if numbers != set(range(len(numbers))):
        missing = sorted(set(range(max(numbers))) - numbers)
        raise KeyError(f"body.{missing[0]}")
    return len(numbers)


def _renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    dense = any(re.match(r"(model\.1\.sub|RRDB_trunk|body)\.\d+\.(RDB|rdb)1\.", name) for name in tensors)
    plain = any(
        re.match(r"(model\.1\.sub\.\d+\.res|(recon_trunk|body)\.\d+\.conv1)\.", name) for name in tensors
    )
    if "conv_first.weight" not in tensors and "model.0.weight" not in tensors:
        return None
    if not dense and not plain:
        return None
    found = {}
    for name, value in tensors.items():
        ours = _name(name, dense)
        if ours is None:
            return None
        found[ours] = value
    return found


def _name(name: str, dense: bool) -> str | None:
    """Our name of a tensor, None where there is none."""
    layer, _, kind = name.rpartition(".")
    if kind not in {"weight", "bias"}:
        return None
    if match := re.fullmatch(r"model\.(\d+)", layer):
        inner = (_RRDB_SUB if dense else _RESNET_SUB).get(match[1])
    elif match := re.fullmatch(r"model\.1\.sub\.\d+", layer):
        inner = "conv_body"
    elif match := re.fullmatch(
        r"(?:model\.1\.sub|RRDB_trunk|body)\.(\d+)\.(?:RDB|rdb)(\d)\.conv(\d)(?:\.0)?", layer
    ):
        inner = f"body.{match[1]}.rdb{match[2]}.conv{match[3]}"
    elif match := re.fullmatch(r"model\.1\.sub\.(\d+)\.res\.([02])", layer):
        inner = f"body.{match[1]}.conv{1 + int(match[2]) // 2}"
    elif match := re.fullmatch(r"(?:recon_trunk|body)\.(\d+)\.conv([12])", layer):
        inner = f"body.{match[1]}.conv{match[2]}"
    elif dense and (match := re.fullmatch(r"upconv([12])", layer)):
        inner = f"conv_up{match[1]}"
    else:
        plain = r"conv_first|conv_body|conv_up[12]|upconv[12]|conv_hr|conv_last"
        inner = _RENAMED.get(layer, layer)
        inner = inner if re.fullmatch(plain, inner) else None
    return None if inner is None else f"{inner}.{kind}"
