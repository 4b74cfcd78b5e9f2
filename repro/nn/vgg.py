"""VGG-19 features for the content loss (Section 2.2.1), on the scale that the paper means.

phi_i,j is the j-th convolution before the i-th max pooling, after its ReLU. The features are normalised to
unit mean activation per channel and then rescaled by 1/12.75: only so is the loss "comparable to the MSE
loss" at phi_2,2 and phi_5,4 alike, and it works the same for torchvision's weights and the original ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors import safe_open
from torch import Tensor, nn

from repro.core.errors import UserError
from repro.core.torchfile import read_state_dict
from repro.nn.initialise import torch_generator
from repro.papers import srgan as paper

Convention = Literal["torchvision", "caffe"]

CONVOLUTIONS = {
    "conv1_1": 0, "conv1_2": 2,
    "conv2_1": 5, "conv2_2": 7,
    "conv3_1": 10, "conv3_2": 12, "conv3_3": 14, "conv3_4": 16,
    "conv4_1": 19, "conv4_2": 21, "conv4_3": 23, "conv4_4": 25,
    "conv5_1": 28, "conv5_2": 30, "conv5_3": 32, "conv5_4": 34,
}  # fmt: skip
"""Caffe's names and the positions in torchvision's ``vgg19().features``."""

_WIDTHS = (64, 128, 256, 512, 512)

GET_WEIGHTS = 'python -c "import torchvision.models as m; m.vgg19(weights=m.VGG19_Weights.IMAGENET1K_V1)"'
"""The command that downloads torchvision's VGG-19 into its cache (548 MB)."""


@dataclass(frozen=True)
class VGGWeights:
    """Convolution weights by Caffe's layer names, with where they came from.

    Attributes:
        tensors: ``"conv1_1.weight"`` (out, in, 3, 3) and ``"conv1_1.bias"`` (out,), float32.
        convention: the input that they were trained for: ``torchvision`` RGB, (x - mean) / std on [0, 1];
            ``caffe`` BGR 0..255 minus (103.939, 116.779, 123.68).
        origin: a sentence for the manifest.
        random_layers: the names of layers that are random, in order.
    """

    tensors: dict[str, Tensor]
    convention: Convention
    origin: str
    random_layers: tuple[str, ...] = ()

    def digest(self) -> str:
        """SHA-256 over names, values and convention."""
        digest = hashlib.sha256(self.convention.encode())
        for name in sorted(self.tensors):
            digest.update(name.encode())
            digest.update(self.tensors[name].contiguous().numpy().tobytes())
        return digest.hexdigest()


def layers_up_to(taps: Iterable[str]) -> tuple[str, ...]:
    """The convolutions that features at ``taps`` need, first to last."""
    names = tuple(CONVOLUTIONS)
    return names[: max(names.index(tap) for tap in taps) + 1]


def load_weights(path: Path, convention: Convention | Literal["auto"] = "auto") -> VGGWeights:
    """VGG-19 weights from a file, as many layers as it holds.

    Args:
        path: safetensors, or a torchvision state dict (``.pth``; read with ``weights_only=True``).
        convention: the input they expect; ``auto`` takes ``caffe`` where the file's name or metadata say
            so, ``torchvision`` otherwise.

    Raises:
        UserError: missing, unreadable, or wrong shapes.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such VGG-19 weights", "a .safetensors or .pth file", GET_WEIGHTS)
    state = read_state_dict(path)
    if convention == "auto":
        told: dict[str, str] = {}
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                told = file.metadata() or {}
        hint = " ".join([path.name, *told.values()]).lower()
        convention = "caffe" if "caffe" in hint or "bgr" in hint else "torchvision"
    tensors = _by_caffe_name(state, path)
    return VGGWeights(tensors, convention, f"{path.name} ({convention} input convention)")


def _by_caffe_name(state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    shapes = dict(_shapes())
    for name, position in CONVOLUTIONS.items():
        for kind in ("weight", "bias"):
            keys = (f"features.{position}.{kind}", f"{position}.{kind}", f"{name}.{kind}")
            value = next((state[key] for key in keys if key in state), None)
            if value is None:
                break
            expected = shapes[name] if kind == "weight" else shapes[name][:1]
            if tuple(value.shape) != expected:
                got = f"{path}: {name}.{kind} has shape {tuple(value.shape)}"
                raise UserError(got, f"{expected}", GET_WEIGHTS)
            tensors[f"{name}.{kind}"] = value.detach().float().cpu().contiguous()
        else:
            continue
        break  # a deeper layer is of no use without this one
    if not tensors:
        raise UserError(f"{path}: no layer of VGG-19 in it", "keys such as features.0.weight", GET_WEIGHTS)
    return tensors


def _shapes() -> Iterable[tuple[str, tuple[int, int, int, int]]]:
    channels = 3
    for name in CONVOLUTIONS:
        width = _WIDTHS[int(name[4]) - 1]
        yield name, (width, channels, 3, 3)
        channels = width


def torchvision_weights(download: bool) -> VGGWeights | None:
    """torchvision's ImageNet weights; ``None`` where they are neither cached nor (to be) downloaded.

    Raises:
        UserError: the cached file is damaged, or the download was asked for and failed.
    """
    from torchvision.models import VGG19_Weights

    entry = VGG19_Weights.IMAGENET1K_V1
    cached = Path(torch.hub.get_dir()) / "checkpoints" / entry.url.rsplit("/", 1)[1]
    if not cached.is_file() and not download:
        return None
    try:
        state = (
            read_state_dict(cached)
            if cached.is_file()
            else entry.get_state_dict(progress=True, check_hash=True, weights_only=True)
        )
    except UserError as error:
        raise UserError(error.got, "torchvision's VGG-19", f"remove it, then {GET_WEIGHTS}") from None
    except (OSError, RuntimeError) as error:  # of another hash than its name says, too
        raise UserError(
            f"torchvision could not download VGG-19 ({error})",
            "a network, or a file given by --vgg-weights",
            GET_WEIGHTS,
        ) from None
    return VGGWeights(
        _by_caffe_name(dict(state), cached), "torchvision", "torchvision VGG19_Weights.IMAGENET1K_V1"
    )


def with_random_layers(weights: VGGWeights | None, taps: Iterable[str], seed: int) -> VGGWeights:
    """``weights`` completed up to the deepest tap with He-normal random layers, which the result names."""
    tensors = dict(weights.tensors) if weights else {}
    shapes = dict(_shapes())
    random_layers = tuple(n for n in layers_up_to(taps) if f"{n}.weight" not in tensors)
    for name in random_layers:
        values = torch.empty(shapes[name])
        nn.init.kaiming_normal_(values, nonlinearity="relu", generator=torch_generator(seed, "vgg", name))
        tensors[f"{name}.weight"] = values
        tensors[f"{name}.bias"] = torch.zeros(shapes[name][0])
    origin = weights.origin if weights else "no trained weights"
    if random_layers:
        origin += f"; random: {random_layers[0]} to {random_layers[-1]}"
    return VGGWeights(tensors, weights.convention if weights else "torchvision", origin, random_layers)


class VGGFeatures(nn.Module):
    """Features of VGG-19, frozen: (N, 3, H, W) in [-1, 1] to a dictionary of (N, C, h, w) by tap.

    Args:
        weights: complete up to the deepest tap.
        taps: names of convolutions, e.g. ``conv2_2`` (128 channels, H / 2) or ``conv5_4`` (512, H / 16).
        before_relu: take the convolution's output itself.
        channel_means: tap -> (C,) mean activation per channel over training images: features are divided by
            it and rescaled by 1/12.75. ``None`` leaves the released scale.
    """

    input_scale: Tensor
    input_shift: Tensor

    def __init__(
        self,
        weights: VGGWeights,
        taps: Sequence[str],
        before_relu: bool = False,
        channel_means: Mapping[str, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.taps = tuple(taps)
        self.normalised = channel_means is not None
        self._ends: list[tuple[str, int]] = []
        layers: list[nn.Module] = []
        names = layers_up_to(taps)
        for position, name in enumerate(names):
            if position and name[4] != names[position - 1][4]:
                layers.append(nn.MaxPool2d(2))
            conv_weight = weights.tensors[f"{name}.weight"]
            if position == 0 and weights.convention == "caffe":
                conv_weight = conv_weight.flip(1)  # BGR input: flip the filters once, not every image
            conv = nn.Conv2d(conv_weight.shape[1], conv_weight.shape[0], 3, padding=1)
            conv.load_state_dict({"weight": conv_weight, "bias": weights.tensors[f"{name}.bias"]})
            layers += [conv, nn.ReLU()]
            if name in self.taps:
                self._ends.append((name, len(layers) - 1 if before_relu else len(layers)))
                if channel_means is not None:
                    self.register_buffer(f"scale_{name}", _feature_scale(channel_means[name]))
        self.features = nn.Sequential(*layers)
        scale, shift = _input_affine(weights.convention)
        self.register_buffer("input_scale", scale)
        self.register_buffer("input_shift", shift)
        self.requires_grad_(False)
        self.eval()

    def forward(self, image_pm1: Tensor) -> dict[str, Tensor]:
        x = image_pm1 * self.input_scale + self.input_shift
        found, start = {}, 0
        for name, end in self._ends:
            x = self.features[start:end](x)
            found[name] = x * self.get_buffer(f"scale_{name}") if self.normalised else x
            start = end
        return found


def _feature_scale(channel_means: Tensor) -> Tensor:
    # a filter that never fires on the training images has no scale and no say
    scale = torch.where(channel_means > 1e-6, paper.VGG_RESCALE / channel_means.clamp_min(1e-6), 0.0)
    return scale.float().view(1, -1, 1, 1)


def _input_affine(convention: Convention) -> tuple[Tensor, Tensor]:
    """Scale and shift (1, 3, 1, 1), RGB order, that take [-1, 1] to the input that the weights expect."""
    if convention == "torchvision":
        mean = torch.tensor([0.485, 0.456, 0.406])
        std = torch.tensor([0.229, 0.224, 0.225])
        scale, shift = 0.5 / std, (0.5 - mean) / std
    else:
        scale = torch.full((3,), 127.5)
        shift = 127.5 - torch.tensor([123.68, 116.779, 103.939])
    return scale.view(1, 3, 1, 1), shift.view(1, 3, 1, 1)


@torch.no_grad()
def mean_activations(
    weights: VGGWeights, taps: Sequence[str], before_relu: bool, batches_pm1: Iterable[Tensor]
) -> dict[str, Tensor]:
    """Tap -> (C,) mean activation of each channel over images and positions, in float64 sums.

    Args:
        weights, taps, before_relu: as for :class:`VGGFeatures`.
        batches_pm1: training images, (N, 3, H, W) in [-1, 1].
    """
    features = VGGFeatures(weights, taps, before_relu)
    totals: dict[str, Tensor] = {}
    counts: dict[str, int] = {}
    for batch in batches_pm1:
        for name, maps in features(batch).items():
            total = maps.double().sum((0, 2, 3))
            totals[name] = totals[name] + total if name in totals else total
            counts[name] = counts.get(name, 0) + maps.shape[0] * maps.shape[2] * maps.shape[3]
    return {name: (total / counts[name]).float() for name, total in totals.items()}
