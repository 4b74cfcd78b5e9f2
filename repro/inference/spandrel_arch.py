"""SRResNet and SRGAN for spandrel, which chaiNNer and others load networks with: on request, never at import.

from repro.inference.spandrel_arch import register
register()
spandrel.ModelLoader().load_from_file("SRGAN-VGG22.pth")  # or a model.safetensors of `export --hub`
"""

from __future__ import annotations

from typing import Any

from spandrel import MAIN_REGISTRY, Architecture, ArchRegistry, ArchSupport, ImageModelDescriptor
from torch import Tensor

from repro.imaging.ranges import pm1_to_01
from repro.inference.loading import network_from
from repro.methods import method
from repro.methods.srgan import GENERATOR_KEYS, Generator


class SRGANArchitecture(Architecture[Generator]):
    """Figure 4's generator, by the names of its tensors; it sees and gives RGB in [0, 1]."""

    def __init__(self) -> None:
        super().__init__(
            id="SRGAN", name="SRResNet / SRGAN", detect=lambda state: state.keys() >= GENERATOR_KEYS
        )

    def load(self, state_dict: dict[str, Any]) -> ImageModelDescriptor[Generator]:
        found = method("srgan").recognise(state_dict)
        assert found is not None
        network = network_from(found[1], found[0], self.id).network
        assert isinstance(network, Generator)
        return ImageModelDescriptor(
            network,
            state_dict,
            architecture=self,
            purpose="SR",
            tags=[f"{len(network.blocks)}b"],
            supports_half=False,  # a batch norm's variance may lie beyond float16
            supports_bfloat16=True,
            scale=4,
            input_channels=3,
            output_channels=3,
            call_fn=_of_01,
        )


def _of_01(network: Generator, lr_01: Tensor) -> Tensor:
    return pm1_to_01(network(lr_01)).clamp(0, 1)


def register(registry: ArchRegistry = MAIN_REGISTRY) -> None:
    """Adds the architecture to a registry of spandrel's, by default the one that its loader uses."""
    registry.add(ArchSupport.from_architecture(SRGANArchitecture()), ignore_duplicates=True)
