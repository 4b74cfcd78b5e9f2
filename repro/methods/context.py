"""What the terms of a loss read: computed when first asked for, and once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from repro.data.samples import Sample
from repro.methods.base import Networks, Outputs


class Context:
    """The quantities of one update of one network.

    Args:
        outputs: of the method; detached where the network that is updated is not the generator.
        sample: the batch.
        networks: by name, as functions.
        autocast: makes the context manager under which networks run; terms themselves compute outside it.
        k: number of the update, from 0.
    """

    def __init__(
        self,
        outputs: Outputs,
        sample: Sample,
        networks: Networks,
        autocast: Callable[[], Any],
        k: int,
    ) -> None:
        self.outputs = outputs
        self.sample = sample
        self.networks = networks
        self.autocast = autocast
        self.k = k
        self._phi: tuple[dict[str, Tensor], dict[str, Tensor]] | None = None

    @property
    def sr(self) -> Tensor:
        """The result, as :class:`Outputs` has it."""
        return self.outputs.sr

    @property
    def hr(self) -> Tensor:
        """What the result is compared with."""
        return self.sample.hr_pm1 if self.outputs.target is None else self.outputs.target

    @property
    def steps(self) -> tuple[Tensor, ...]:
        """Intermediate results, first to last."""
        return self.outputs.steps

    def phi(self, tap: str) -> tuple[Tensor, Tensor]:
        """VGG-19 features of SR and of HR (without gradient) at a tap; all taps are computed together."""
        if self._phi is None:
            with self.autocast():
                with torch.no_grad():
                    of_hr = self.networks["vgg"](self.hr)
                self._phi = (self.networks["vgg"](self.sr), of_hr)
        return self._phi[0][tap], self._phi[1][tap]

    def discriminate(self, image_pm1: Tensor) -> Tensor:
        """A forward pass of the discriminator: logits (N, 1)."""
        with self.autocast():
            logits: Tensor = self.networks["discriminator"](image_pm1)
        return logits

    @cached_property
    def logits_hr(self) -> Tensor:
        """The discriminator's logits for HR."""
        return self.discriminate(self.hr)

    @cached_property
    def logits_sr(self) -> Tensor:
        """The discriminator's logits for SR."""
        return self.discriminate(self.sr)
