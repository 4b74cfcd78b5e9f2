"""One update of the networks: equations 2 to 6, alternating as in Section 2.2."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from repro.data.samples import Batch
from repro.methods.config import TrainConfig
from repro.nn import losses
from repro.train.networks import Networks, update_average

Terms = dict[str, Tensor]
Forward = Callable[[Tensor], Tensor]


class NonFiniteLossError(Exception):
    """A loss term stopped being a number; no update was made with it."""

    def __init__(self, term: str, value: float) -> None:
        self.term = term
        super().__init__(f"{term} is {value}")


def make_optimiser(module: nn.Module, config: TrainConfig, device: torch.device) -> torch.optim.Adam:
    """Adam as in Section 3.2, fused; on a GPU its learning rate is a tensor, so that graphs can hold it."""
    on_gpu = device.type == "cuda"
    rate: float | Tensor = (
        torch.tensor(config.learning_rate, device=device) if on_gpu else config.learning_rate
    )
    return torch.optim.Adam(
        module.parameters(),
        lr=rate,
        betas=(config.adam_beta1, config.adam_beta2),
        fused=True,
        capturable=on_gpu,
    )


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Sets the learning rate, in place where it is a tensor; a group's ``rate_scale`` multiplies it."""
    for group in optimiser.param_groups:
        rate_of_group = rate * group.get("rate_scale", 1.0)
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate_of_group)
        else:
            group["lr"] = rate_of_group


class TrainingStep:
    """One update of G, and of D before it where there is one.

    Args:
        config: the run's configuration.
        networks: on ``device``.
        device: CPU or GPU.
        bfloat16: run the networks under autocast; weights, losses and Adam stay in float32.
        forwards: stand-ins for the networks' forward passes (compiled, or distributed), by the names
            ``generator``, ``discriminator`` (sees images while D learns) and ``critic`` (the same network
            while G learns) and ``vgg``.
    """

    def __init__(
        self,
        config: TrainConfig,
        networks: Networks,
        device: torch.device,
        bfloat16: bool = False,
        forwards: dict[str, Forward] | None = None,
    ) -> None:
        self.config = config
        self.networks = networks
        self.device = device
        self.bfloat16 = bfloat16
        forwards = forwards or {}
        self._g: Forward = forwards.get("generator", networks.generator)
        self._phi: Forward | None = forwards.get("vgg", networks.vgg)
        self._d: Forward | None = forwards.get("discriminator", networks.discriminator)
        self._critic: Forward | None = forwards.get("critic", networks.discriminator)
        self.adam_g = make_optimiser(networks.generator, config, device)
        self.adam_d: torch.optim.Adam | None = None
        if networks.discriminator is not None:
            self.adam_d = make_optimiser(networks.discriminator, config, device)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)

    def __call__(self, batch: Batch) -> Terms:
        """One update; the loss terms and D's opinions, detached, for the log.

        Raises:
            NonFiniteLossError: on the CPU, before the update. On a GPU the update is skipped on the device
                and the log's next look at the terms finds it (asking each step would stall the device).
        """
        with self._autocast():
            sr = self._g(batch.lr_01)
        terms: Terms = {}
        if self._d is not None:
            terms |= self._update_discriminator(batch.hr_pm1, sr.detach())
        terms |= self._update_generator(batch.hr_pm1, sr)
        if self.networks.average is not None:
            update_average(self.networks.average, self.networks.generator, self.config.ema_decay)
        return terms

    def _update_discriminator(self, hr_pm1: Tensor, sr_pm1: Tensor) -> Terms:
        assert self._d is not None
        assert self.adam_d is not None
        with self._autocast():
            logits_hr, logits_sr = self._d(hr_pm1), self._d(sr_pm1)
        loss = losses.discriminator(logits_hr, logits_sr)
        self._descend(loss, self.adam_d, {"discriminator": loss})
        return {
            "discriminator": loss.detach(),
            "d_hr": logits_hr.detach().float().sigmoid().mean(),
            "d_sr": logits_sr.detach().float().sigmoid().mean(),
        }

    def _update_generator(self, hr_pm1: Tensor, sr_pm1: Tensor) -> Terms:
        config = self.config
        terms: Terms = {}
        if self._phi is None:
            terms["content"] = losses.content_mse(sr_pm1, hr_pm1)
        else:
            with self._autocast():
                with torch.no_grad():
                    phi_hr = self._phi(hr_pm1)
                terms["content"] = losses.content_vgg(self._phi(sr_pm1), phi_hr)
        loss = terms["content"]
        if self._critic is not None:
            assert self.networks.discriminator is not None
            self.networks.discriminator.requires_grad_(False)
            with self._autocast():
                terms["adversarial"] = losses.adversarial(self._critic(sr_pm1))
            loss = loss + config.adversarial_weight * terms["adversarial"]
        if config.tv_weight > 0:
            terms["total_variation"] = losses.total_variation(sr_pm1)
            loss = loss + config.tv_weight * terms["total_variation"]
        self._descend(loss, self.adam_g, terms)
        if self.networks.discriminator is not None:
            self.networks.discriminator.requires_grad_(True)
        return {name: term.detach() for name, term in terms.items()}

    def _descend(self, loss: Tensor, optimiser: torch.optim.Adam, terms: Terms) -> None:
        if self.device.type == "cpu":
            for name, term in terms.items():
                if not torch.isfinite(term):
                    raise NonFiniteLossError(name, float(term.detach()))
        else:
            # fused Adam leaves everything as it is where this is 1, without asking the host
            optimiser.found_inf = (~torch.isfinite(loss.detach())).float()  # type: ignore[attr-defined]
            optimiser.grad_scale = None  # type: ignore[attr-defined]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()


@torch.no_grad()
def gradient_norm(module: nn.Module) -> Tensor:
    """The Euclidean length of a module's gradient, as the last backward pass left it."""
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    return torch.nn.utils.get_total_norm(gradients)
