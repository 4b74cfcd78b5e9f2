"""The contract of a method: one file in this folder, one line in :data:`repro.methods.METHODS`, its tests.

A method states its configurations, builds its networks, says what they compute for a sample and which terms
are minimised. Training (:mod:`repro.train`), inference (:mod:`repro.inference`) and tables know methods by
this contract alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from repro.core.errors import UserError
from repro.core.settings import from_dict
from repro.methods.config import NetworkSettings, RunConfig

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from repro.data.samples import Sample
    from repro.methods.context import Context

Profile = Literal["quick", "cpu", "paper"]
Networks = Mapping[str, "Callable[..., Any]"]
"""Networks by name as functions: the modules themselves, or their compiled or distributed forms."""


class Outputs(NamedTuple):
    """What a method's networks give for a sample.

    Attributes:
        sr: (N, 3, H, W) in [-1, 1], not clipped; luma methods (N, 1, H, W) in their own range.
        target: what ``sr`` is compared with where that is not the sample's ``hr_pm1`` (luma, inner parts).
        steps: intermediate results of the same kind, first to last (recursions, feedback).
        extra: whatever else the method's own terms read.
    """

    sr: Tensor
    target: Tensor | None = None
    steps: tuple[Tensor, ...] = ()
    extra: Any = None


@dataclass(frozen=True)
class Term:
    """One term of a loss.

    Attributes:
        name: in logs.
        of: the scalar float32 value for a :class:`repro.methods.context.Context`.
        weight: in the sum that is minimised; 0 is logged only. A function of the schedule's share that is
            done, from 0 to below 1, where the weight changes along it.
    """

    name: str
    of: Callable[[Context], Tensor]
    weight: float | Callable[[float], float] = 1.0


class Update(NamedTuple):
    """A descent of one network along its terms; a method's updates make one training step, in their order."""

    module: str
    terms: tuple[Term, ...]


@dataclass(frozen=True)
class VGGNeed:
    """The VGG-19 features that a method's terms ask of the context.

    Attributes:
        taps: Caffe's names of convolutions, e.g. ``("conv2_2",)``.
        before_relu: the convolution's output itself.
        normalised: unit mean activation per channel over training crops, then times 1/12.75 (the scale that
            SRGAN's paper means); otherwise the released weights' own scale.
    """

    taps: tuple[str, ...]
    before_relu: bool = False
    normalised: bool = False


class Exported(NamedTuple):
    """A module for other programs: its channels, and what `input` and `output` are in words."""

    module: nn.Module
    channels: int
    words: str


class Direct(ABC):
    """A way to super-resolve images that has no network.

    Attributes:
        key: its name in the image store.
        scales: that it can do.
        takes_grey: greyscale images come as (h, w), not as R = G = B, and still become (H, W, 3).
    """

    key: str
    scales: tuple[float, ...] = (4,)
    takes_grey: bool = False

    @abstractmethod
    def apply(self, image_u8: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 from an (h, w, 3) or, where it takes grey, (h, w) uint8 image."""

    def apply_all(
        self,
        images_u8: Sequence[NDArray[np.uint8]],
        scale: float,
        on_part: Callable[[int, int], None] = lambda done, total: None,
    ) -> Iterator[NDArray[np.uint8]]:
        """:meth:`apply` of each image, in their order, each as soon as it is done.

        ``on_part`` hears how much of a single image is done, where that takes long.
        """
        for image_u8 in images_u8:
            yield self.apply(image_u8, scale)

    def inputs(self) -> dict[str, str]:
        """Name -> hash or setting of what results depend on; decides whether stored ones are kept."""
        return {}


class Method(ABC):
    """A way to super-resolve images with networks that are trained and run.

    Attributes:
        key: its name in configurations and files' metadata, e.g. ``srgan``.
        citation: authors, venue and year, for cards.
        variants: configurations as the papers have them, by name; the first is the default.
        aliases: short names -> variants.
        settings: default network settings (their type decides which settings a file may have).
        scales: that it can be built for.
        needs: what it asks of a sample beyond the pair: ``reference``, ``regions``.
        several_references: whether it takes more than one reference image.
        luma: whether its networks see the Y channel alone (:class:`repro.methods.luma.LumaMethod`).
        exact: whether float64 makes its results the same on every processor; otherwise float32 stays.
        tile: default side of a tile at inference in LR pixels: bounds the activations' memory.
        overlap: LR pixels around tiles where :meth:`radius` is None; None is no tiles at all.
        onnx: whether an ONNX file, whose sizes vary, can hold its networks.
        chop_pixels: LR pixels from which ``upscale --chop`` quarters a quadrant again.
        declared: how networks are initialised, where the paper leaves it open.
    """

    key: str
    citation: str
    variants: Mapping[str, RunConfig]
    aliases: Mapping[str, str] = {}
    settings: NetworkSettings = NetworkSettings()
    scales: tuple[float, ...] = (4,)
    needs: frozenset[str] = frozenset()
    several_references: bool = False
    luma: bool = False
    exact: bool = True
    tile: int = 192
    overlap: int | None = None
    onnx: bool = True
    chop_pixels: int = 160_000
    declared: str = ""

    # --- configurations -----------------------------------------------------------------------------------

    @abstractmethod
    def profile(self, config: RunConfig, profile: Profile) -> RunConfig:
        """A variant's configuration under a profile; ``config`` is the paper's."""

    def check(self, config: RunConfig) -> None:  # noqa: B027 most methods demand nothing
        """What the method demands of its settings together.

        Raises:
            UserError: settings that contradict each other, or have no effect on this method.
        """

    def check_all(self, config: RunConfig) -> None:
        """:meth:`check`, and that its networks can be built for the scale.

        Raises:
            UserError: settings that cannot be.
        """
        if config.data.scale not in self.scales:
            scales = ", ".join(map(str, self.scales))
            got = f"{config.variant} at scale = {config.data.scale}"
            raise UserError(got, f"one of {scales}", f"--set scale={self.scales[-1]}")
        self.check(config)

    def asks(self, config: RunConfig) -> frozenset[str]:
        """Which of its ``needs`` a configuration has."""
        return self.needs

    def start_modules(self, config: RunConfig) -> Mapping[str, str]:
        """Network -> variant whose finished run gives its first (or, where frozen, its only) weights."""
        return {"generator": config.start} if config.start else {}

    # --- networks -----------------------------------------------------------------------------------------

    @abstractmethod
    def network(self, settings: Any, scale: float) -> nn.Module:
        """The network that maps LR to SR, its weights not yet set."""

    def build(self, config: RunConfig) -> dict[str, nn.Module]:
        """Every network that is trained or read, with initial weights from the seed: ``generator`` first.

        VGG features are built by the caller (:meth:`vgg`). Networks without an update are frozen.
        """
        network = self.network(config.network, config.data.scale)
        self.initialise(network, config)
        return {"generator": network}

    def complete(  # noqa: B027 most methods need not
        self, networks: Mapping[str, nn.Module], config: RunConfig
    ) -> None:
        """What is left to do before the first update, once every network has its weights, ``vgg`` too."""

    @abstractmethod
    def initialise(self, network: nn.Module, config: RunConfig) -> None:
        """Initial weights of the generator, in place, from named streams of the seed."""

    def vgg(self, config: RunConfig) -> VGGNeed | None:
        """The VGG-19 features that its terms need, or None."""
        return None

    # --- training -----------------------------------------------------------------------------------------

    def prepare(self, config: RunConfig, sample: Sample, k: int) -> Sample:
        """What training makes of batch ``k`` before the step: another degradation, a scale of its own."""
        return sample

    def recordable(self, config: RunConfig) -> bool:
        """Whether every update is the same kernels on the same shapes, so that a CUDA graph can hold it."""
        return True

    def splits(self, config: RunConfig) -> bool:
        """Whether several processes, each with its rows of the batch, make the update that one would: all
        terms are means over the batch, and nothing is drawn by row."""
        return True

    @abstractmethod
    def forward(self, networks: Networks, sample: Sample) -> Outputs:
        """What the networks make of a training sample."""

    @abstractmethod
    def updates(self, config: RunConfig) -> tuple[Update, ...]:
        """The descents of one training step, in their order."""

    def rate_scales(self, module: str) -> Mapping[str, float]:
        """Parameter name prefix -> factor on the learning rate, where a paper has such layers."""
        return {}

    # --- inference ----------------------------------------------------------------------------------------

    def encode(self, image_u8: NDArray[np.uint8], scale: float, dtype: Any) -> Tensor:
        """(1, C, h, w) input of :meth:`infer` from an (h, w, 3) or (h, w) image."""
        from repro.imaging.ranges import hwc_to_nchw, u8_to_01

        return u8_to_01(hwc_to_nchw(image_u8)).to(dtype)

    def infer(self, network: Callable[..., Any], x: Tensor, scale: float) -> Tensor:
        """The network's result for an encoded batch: (N, 3, H, W) in [-1, 1]."""
        from repro.data.samples import Sample

        return self.forward({"generator": network}, Sample(x, x, scale)).sr

    def infer_steps(self, network: Callable[..., Any], x: Tensor, scale: float) -> tuple[Tensor, ...]:
        """The results of :meth:`infer` of every step, first to last; of methods without steps the result."""
        from repro.data.samples import Sample

        outputs = self.forward({"generator": network}, Sample(x, x, scale))
        return outputs.steps or (outputs.sr,)

    def result_scale(self, built: float, wanted: float | None) -> float:
        """The scale of the results of a network that was built for one: what is wanted, where it can vary."""
        return built

    def infer_with(
        self, network: Callable[..., Any], x: Tensor, references_pm1: Sequence[Tensor], scale: float
    ) -> Tensor:
        """Likewise by (1, 3, H_i, W_i) reference images in [-1, 1], for methods that need them.

        Raises:
            UserError: the method takes no reference, or not so many, or not such ones.
        """
        raise UserError(f"a reference for {self.key}", "a method that takes one", "--method SRNTT")

    def decode(self, result: Tensor, image_u8: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
        """The (H, W, 3) image of one (1, C, H, W) result."""
        from repro.imaging.ranges import nchw_to_hwc, pm1_to_u8

        return nchw_to_hwc(pm1_to_u8(result))[0]

    def super_resolve(
        self,
        network: nn.Module,
        image_u8: NDArray[np.uint8],
        scale: float,
        device: Any,
        dtype: Any,
        references_u8: Sequence[NDArray[np.uint8]] = (),
    ) -> NDArray[np.uint8]:
        """One image by the network as it is, whole: (H, W, 3) from (h, w, 3) or (h, w)."""
        from repro.imaging.ranges import hwc_to_nchw, u8_to_pm1

        x = self.encode(image_u8, scale, dtype).to(device)
        if "reference" in self.needs:
            references = [u8_to_pm1(hwc_to_nchw(image).to(device)).to(dtype) for image in references_u8]
            result = self.infer_with(network, x, references, scale)
        else:
            result = self.infer(network, x, scale)
        return self.decode(result, image_u8, scale)

    @abstractmethod
    def radius(self, network: nn.Module) -> int | None:
        """LR pixels around a pixel that its result depends on; None where it looks at the whole image."""

    def folded(self, network: nn.Module) -> nn.Module:
        """A copy for inference: the same function, in evaluation mode, with less work."""
        from repro.nn.fold import folded

        return folded(network)

    def exported(self, network: nn.Module, scale: float) -> Exported:
        """What an ONNX file holds: RGB in [0, 1] in and out, clipped, so that no range is mixed up."""
        from repro.methods.exported import RGBInRGBOut

        side = f"{scale:g}"
        words = "`input`: RGB in [0, 1], (N, 3, h, w), float32. "
        words += f"`output`: RGB in [0, 1], (N, 3, {side} h, {side} w)."
        return Exported(RGBInRGBOut(self, self.folded(network), scale), 3, words)

    # --- files --------------------------------------------------------------------------------------------

    def described(self, config: RunConfig) -> dict[str, Any]:
        """What a generator's file says of itself: enough to build the network again."""
        return {"method": self.key, "network": config.network.as_dict(), "scale": config.data.scale}

    def from_description(self, metadata: Mapping[str, Any]) -> tuple[nn.Module, float]:
        """The network, its weights not yet set, and the scale that a file's metadata describe.

        Raises:
            UserError: settings that this method does not have.
        """
        scale = metadata.get("scale", 4)
        if not isinstance(scale, int | float) or scale not in self.scales:
            scales = ", ".join(map(str, self.scales))
            raise UserError(f"{self.key} at scale {scale!r}", f"one of {scales}", "train it at such a scale")
        return self.network(from_dict(self.settings, metadata.get("network", {})), scale), scale

    def recognise(self, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        """A file in a layout in circulation: (metadata as :meth:`described` has them, tensors by our names).

        Returns:
            None where the keys are not of this method.
        """
        return None
