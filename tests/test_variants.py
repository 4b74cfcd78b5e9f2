"""The five variants carry the paper's numbers, and a shortened schedule says so."""

import pytest

from repro.core.errors import UserError
from repro.methods.srgan import SRGANLosses, SRGANNetwork
from repro.methods.variants import PROFILES, canonical_variant, configure, deviations, trainable
from repro.papers import srgan as paper

VARIANTS = {name: trainable()[name] for name in paper.VARIANTS}


def test_the_paper_profile_is_the_papers() -> None:
    for name, config in VARIANTS.items():
        run = configure(name, "paper")
        assert isinstance(run.losses, SRGANLosses)
        assert isinstance(config.network, SRGANNetwork)
        assert run.schedule.updates == (200_000 if name.startswith("SRGAN") else 1_000_000)
        assert (run.data.batch_size, run.data.crop_hr, run.schedule.learning_rate) == (16, 96, 1e-4)
        assert run.optimiser.adam_beta1 == 0.9
        assert run.schedule.ema_decay == 0
        assert run.losses.adversarial_weight == (1e-3 if name.startswith("SRGAN") else 0)
        assert run.losses.tv_weight == (2e-8 if name == "SRResNet-VGG22" else 0)
        assert config.network.residual_blocks == paper.RESIDUAL_BLOCKS
        assert deviations(run) == []
    assert {n: c.losses.as_dict()["content"] for n, c in VARIANTS.items()} == {
        "SRResNet-MSE": "mse",
        "SRResNet-VGG22": "vgg22",
        "SRGAN-MSE": "mse",
        "SRGAN-VGG22": "vgg22",
        "SRGAN-VGG54": "vgg54",
    }
    assert {n for n, c in VARIANTS.items() if c.start == "SRResNet-MSE"} == {
        "SRGAN-MSE",
        "SRGAN-VGG22",
        "SRGAN-VGG54",
    }
    late = configure("SRGAN", "paper").schedule
    assert (late.decay, late.late_from, late.learning_rate_late) == ("two-phase", 100_000, 1e-5)


@pytest.mark.parametrize("profile", ["quick", "cpu"])
@pytest.mark.parametrize("variant", list(VARIANTS))
def test_a_shortened_schedule_says_so(variant: str, profile: str) -> None:
    assert any("shortened schedule" in sentence for sentence in deviations(configure(variant, profile)))


def test_names() -> None:
    assert canonical_variant("srgan") == "SRGAN-VGG54"
    assert canonical_variant("SRResNet") == "SRResNet-MSE"
    with pytest.raises(UserError, match="unknown variant") as caught:
        canonical_variant("SRGAN-VGG45")
    assert "SRGAN-VGG54" in caught.value.next_step
    with pytest.raises(UserError, match="profile"):
        configure("SRGAN", "fast")
    assert PROFILES == ("quick", "cpu", "paper")
