"""One update of a reference method's network, on the luma of the batch, with its own paper's loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from repro.data.samples import Batch
from repro.imaging.ranges import pm1_to_01, rgb01_to_y01
from repro.imaging.resize_torch import imresize_float_batch
from repro.methods.config import TrainConfig
from repro.methods.luma import DRCN, ESPCN, SRCNN, LumaNetwork
from repro.methods.references import BORDER, MOMENTUM, SUB_IMAGE
from repro.papers.srgan import SCALE
from repro.train.networks import Networks, update_average
from repro.train.step import NonFiniteLossError, Terms

LAST_LAYER_RATE = 0.1
"""Of SRCNN's and ESPCN's last layer (Dong et al., Section 3.3; Shi et al., Section 3.2)."""


def srcnn_loss(sr_y01: Tensor, hr_y01: Tensor) -> Tensor:
    """Dong et al., equation 3: squared distance, a sum over pixels and a mean over sub-images."""
    return (sr_y01 - hr_y01).square().sum((1, 2, 3)).mean()


def espcn_loss(sr_y01: Tensor, hr_y01: Tensor) -> Tensor:
    """Shi et al., equation 7: the pixel-wise mean squared error."""
    return (sr_y01 - hr_y01).square().mean()


def drcn_losses(outputs: list[Tensor], ensemble: Tensor, hr_y01: Tensor) -> tuple[Tensor, Tensor]:
    """Kim et al., equations 9 and 10: l1 of every recursion's output, and l2 of their weighted sum.

    The squared norms are taken as means over pixels (the paper does not say how its were scaled).
    """
    l1 = torch.stack([(output - hr_y01).square().mean() for output in outputs]).mean() / 2
    l2 = (ensemble - hr_y01).square().mean() / 2
    return l1, l2


def alpha(k: int, updates: int) -> float:
    """DRCN's weight of l1 at update k: from 1 to 0 in a line ("high at first, then decays", Section 4.2)."""
    return 1 - k / updates


def make_reference_optimiser(network: LumaNetwork, config: TrainConfig) -> torch.optim.Optimizer:
    """The optimiser; the last layer of SRCNN and ESPCN learns ten times slower."""
    last = {id(p) for p in network.conv3.parameters()} if isinstance(network, SRCNN | ESPCN) else set()
    groups = [
        {"params": [p for p in network.parameters() if id(p) not in last], "rate_scale": 1.0},
        {"params": [p for p in network.parameters() if id(p) in last], "rate_scale": LAST_LAYER_RATE},
    ]
    groups = [group for group in groups if group["params"]]
    if config.optimiser == "sgd":
        return torch.optim.SGD(
            groups, lr=config.learning_rate, momentum=MOMENTUM, weight_decay=config.weight_decay
        )
    return torch.optim.Adam(
        groups,
        lr=config.learning_rate,
        betas=(config.adam_beta1, config.adam_beta2),
        weight_decay=config.weight_decay,
    )


class ReferenceStep:
    """One update of a luma network; what :class:`repro.train.step.TrainingStep` is for SRResNet and SRGAN.

    Attributes:
        k: the number of the update, which the loop sets.
        adam_g: the optimiser, whichever it is; adam_d: none.
    """

    def __init__(
        self, config: TrainConfig, networks: Networks, device: torch.device, bfloat16: bool = False
    ) -> None:
        assert isinstance(networks.generator, LumaNetwork)
        self.config = config
        self.networks = networks
        self.device = device
        self.bfloat16 = bfloat16
        self.network = networks.generator
        self.adam_g = make_reference_optimiser(self.network, config)
        self.adam_d: torch.optim.Adam | None = None
        self.k = 0

    def __call__(self, batch: Batch) -> Terms:
        """One update; the loss and its parts, detached.

        Raises:
            NonFiniteLossError: before the update.
        """
        lr_y01 = rgb01_to_y01(batch.lr_01)
        hr_y01 = rgb01_to_y01(pm1_to_01(batch.hr_pm1))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            terms = self._loss(lr_y01, hr_y01)
        for name, term in terms.items():
            if not torch.isfinite(term):
                raise NonFiniteLossError(name, float(term.detach()))
        self.adam_g.zero_grad(set_to_none=True)
        terms["content"].backward()
        if self.config.gradient_clip:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.gradient_clip)
        self.adam_g.step()
        if self.networks.average is not None:
            update_average(self.networks.average, self.network, self.config.ema_decay)
        return {name: term.detach() for name, term in terms.items()}

    def _loss(self, lr_y01: Tensor, hr_y01: Tensor) -> Terms:
        network = self.network
        if isinstance(network, ESPCN):
            return {"content": espcn_loss(network(lr_y01).float(), hr_y01)}
        inner = slice(BORDER, BORDER + self._side(hr_y01))
        x = imresize_float_batch(lr_y01, SCALE)[..., inner, inner]
        hr_y01 = hr_y01[..., inner, inner]
        if isinstance(network, SRCNN):
            return {"content": srcnn_loss(network.valid(x).float(), F.pad(hr_y01, (-network.radius,) * 4))}
        assert isinstance(network, DRCN)
        outputs = network.outputs(x)
        l1, l2 = drcn_losses(outputs, network.ensemble(outputs), hr_y01)
        a = alpha(self.k, self.config.updates)
        return {"content": a * l1 + (1 - a) * l2, "recursions": l1, "ensemble": l2}

    def _side(self, hr_y01: Tensor) -> int:
        """Side of the sub-images: the paper's, or what smaller crops have inside."""
        return min(SUB_IMAGE[self.config.network], hr_y01.shape[-1] - 2 * BORDER)
