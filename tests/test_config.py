"""The configuration refuses what it cannot mean, and understands the names of earlier versions."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from repro.core.errors import UserError
from repro.core.settings import Settings, leaves
from repro.methods import METHODS, legacy, method
from repro.methods.config import RunConfig, differing
from repro.methods.ranksrgan import RANKER
from repro.methods.variants import config_from_dict, configure, deviations, trainable

PAPER = trainable()["SRResNet-MSE"]


def test_settings_are_applied_and_typed() -> None:
    config = PAPER.with_settings(
        ["batch_size=8", "learning_rate=5e-4", "long_skip=off", "schedule.updates=1_000"]
    )
    got = (config.data.batch_size, config.schedule.learning_rate, config.network.as_dict()["long_skip"])
    assert got == (8, 5e-4, False)
    assert config.schedule.updates == 1000


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("lerning_rate=1", "learning_rate"),
        ("batchsize=1", "batch_size"),
        ("batch_size", "field=value"),
        ("batch_size=many", "type int"),
        ("batch_size=0", "1 or more"),
        ("batch_size=1000000000", "at most"),
        ("updates=1" + "0" * 400, "at most"),
        ("learning_rate=3", "below 1"),
        ("learning_rate=nan", "above 0"),
        ("tv_weight=nan", "0 or more"),
        ("residual_blocks=1e308", "type int"),
        ("precision=fp16", "float32, bfloat16, auto"),
        ("long_skip=perhaps", "type bool"),
        ("crop_hr=90", "multiple of"),
        ("ema_decay=1", "below 1"),
        ("tv_weight=-1", "0 or more"),
        ("variant=../../evil", "the name says"),
        ("method=srcnn", "the name says"),
        # settings that would have no effect are refused
        ("late_from=5", "no effect"),
        ("muon_momentum=0.9", "optimiser=muon"),
        ("hold_share=0.5", "decay=hold"),
    ],
)
def test_bad_settings_are_errors_that_help(setting: str, says: str) -> None:
    with pytest.raises(UserError) as caught:
        PAPER.with_settings([setting])
    assert says in caught.value.message()


@pytest.mark.parametrize("optimiser", ["sgd", "muon"])
def test_settings_of_an_optimiser_go_together(optimiser: str) -> None:
    config = PAPER.with_settings([f"optimiser={optimiser}", "gradient_clip=1", "weight_decay=1e-4"])
    assert config.optimiser.optimiser == optimiser
    with pytest.raises(UserError, match="no effect"):
        config.with_settings(["muon_rate=3" if optimiser == "sgd" else "late_from=3"])


def test_a_discriminator_is_made_for_the_crop() -> None:
    config = PAPER.with_settings(["adversarial_weight=1e-3", "crop_hr=64"])
    how = method("srgan")
    how.check(config)
    logits = how.build(config)["discriminator"](torch.zeros(1, 3, 64, 64))
    assert logits.shape == (1, 1)
    assert "crop_hr 64 (paper: 96)" in " ".join(deviations(config))


def test_round_trip_and_strictness() -> None:
    config = PAPER.with_settings(["seed=3", "ema_decay=0.9"])
    assert config_from_dict(config.as_dict()) == config
    with pytest.raises(UserError, match="unknown setting"):
        config_from_dict(config.as_dict() | {"surplus": 1})
    with pytest.raises(UserError):
        config_from_dict({})


@pytest.mark.parametrize("path", [path for path, _ in leaves(PAPER)])
def test_every_field_is_a_deviation_or_no_part_of_what_is_computed(path: str) -> None:
    """By construction: a field that changes the result is declared, whatever it is."""
    changed: dict[str, Any] = {
        "start": "SRGAN-MSE", "network.residual_blocks": 3, "network.long_skip": False,
        "network.prelu": "channel", "network.initial": "interpolating",
        "losses.content": "vgg22", "losses.adversarial_weight": 0.5,
        "losses.tv_weight": 0.5, "losses.consistency_weight": 0.5, "losses.grid_weight": 0.5,
        "optimiser.optimiser": "sgd", "optimiser.adam_beta1": 0.5, "optimiser.adam_beta2": 0.5,
        "optimiser.weight_decay": 0.5, "optimiser.gradient_clip": 0.5,
        "optimiser.skip_above": 0.5,
        "schedule.updates": 2_000_000, "schedule.learning_rate": 0.5, "schedule.warmup_updates": 5,
        "schedule.decay": "cosine", "schedule.ema_decay": 0.5,
        "schedule.statistics_batches": 2, "data.scale": 2, "data.batch_size": 3,
        "data.crop_hr": 64, "data.augmentation": "none", "data.shrunk": "0.8/0.6",
    }  # fmt: skip
    group, _, name = path.rpartition(".")
    if path in {"variant", "method", "profile", "seed"} or group in {"arithmetic", "logging"}:
        assert path not in changed
        return
    whole = {"late_from", "milestones", "adversarial_from", "adversarial_ramp"}
    if path not in changed:  # counts only beside another setting, which is declared
        with pytest.raises(UserError, match="no effect"):
            PAPER.with_settings([f"{path}={5 if name in whole else 0.5}"])
        return
    config = PAPER.with_settings([f"{path}={changed[path]}"])
    (sentence,) = deviations(config)
    assert name in sentence
    assert [p for p, _, _ in differing(config, PAPER)] == [path]


def test_identity_is_what_changes_the_result() -> None:
    quiet = PAPER.with_settings(["log_every=7", "compile=off"])
    assert quiet.identity() == PAPER.identity()
    for setting in ("seed=1", "batch_size=8", "precision=bfloat16", "updates=5"):
        assert PAPER.with_settings([setting]).identity() != PAPER.identity()


@pytest.mark.parametrize("variant", list(trainable()))
def test_a_setting_that_is_off_names_no_run(variant: str) -> None:
    """A later version's settings leave the names of runs alone that were begun without them."""
    identity = configure(variant, "cpu").identity()
    assert identity["variant"] == variant
    assert "optimiser.gradient_clip" not in identity or identity["optimiser.gradient_clip"] != 0
    assert configure(variant, "cpu", seed=3).identity() == identity | {"seed": 3}


def test_flat_configurations_of_earlier_versions_are_read() -> None:
    flat = {
        "variant": "SRGAN-VGG22", "profile": "cpu", "seed": 0, "residual_blocks": 16, "long_skip": True,
        "prelu": "layer", "content": "vgg22", "adversarial_weight": 0.001, "tv_weight": 0.0,
        "start": "SRResNet-MSE", "updates": 2000, "batch_size": 16, "crop_hr": 96,
        "augmentation": "dihedral", "learning_rate": 1e-4, "warmup_updates": 200, "decay": "cosine",
        "late_from": 0, "learning_rate_late": 1e-5, "adam_beta1": 0.9, "adam_beta2": 0.999,
        "ema_decay": 0.995, "precision": "auto", "channels_last": True, "compile": "auto",
        "log_every": 20, "validate_every": 500, "sample_every": 1000, "checkpoint_every": 200,
        "validation_images": 24, "network": "srresnet", "filters": 256, "recursions": 16,
        "narrow_start": True, "optimiser": "adam", "weight_decay": 0.0, "gradient_clip": 0.0,
    }  # fmt: skip
    config = config_from_dict(flat)
    paths = dict(leaves(config))
    for name, value in flat.items():
        path = legacy.SETTINGS.get(name, name)
        if path in paths and name not in {"network", "learning_rate_late"}:
            assert paths[path] == value, name
    drcn = config_from_dict(configure("DRCN", "quick").as_dict())
    assert drcn == configure("DRCN", "quick")


def test_every_alias_leads_to_a_field() -> None:
    paths = {path for key in METHODS for c in method(key).variants.values() for path, _ in leaves(c)}
    assert set(legacy.SETTINGS.values()) - {"method"} <= paths


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(surplus=_JSON, group=st.sampled_from(["schedule", "network", "data", "start", "seed", "x"]))
def test_any_json_is_a_configuration_or_a_sentence(surplus: object, group: str) -> None:
    for values in (surplus, {"variant": "SRResNet-MSE", group: surplus}, PAPER.as_dict() | {group: surplus}):
        with contextlib.suppress(UserError):  # any other error fails the test
            assert isinstance(config_from_dict(values), RunConfig)


def _numbers(settings: Settings) -> Iterator[tuple[str, Any]]:
    for item in fields(settings):
        value = getattr(settings, item.name)
        if isinstance(value, Settings):
            yield from _numbers(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{type(settings).__name__}.{item.name}", item.metadata.get("bounds")


def test_every_number_has_finite_bounds() -> None:
    found = {name: bounds for config in trainable().values() for name, bounds in _numbers(config)}
    assert len(found) > 50
    assert [name for name, bounds in found.items() if bounds is None] == []
    assert all(math.isfinite(bounds.low) and math.isfinite(bounds.high) for bounds in found.values())


@pytest.mark.parametrize(
    ("variant", "settings", "says"),
    [
        ("SRResNet-noBN", ["pixel_weight=0"], "no term"),
        ("RankSRGAN", ["adversarial_weight=0", "crop_hr=8"], "32 or more"),
        ("ESRGAN-VGG34", ["content=none", "content_weight=1", "pixel_weight=1", "adversarial_weight=0",
                          "consistency_weight=1", "crop_hr=16"], "20 or more"),
        ("SRFBN-S", ["degradation=BD", "crop_hr=32"], "36 or more"),
    ],
)  # fmt: skip
def test_crops_and_terms_that_nothing_can_be_learned_from(
    variant: str, settings: list[str], says: str
) -> None:
    with pytest.raises(UserError, match=says):
        config = configure(variant).with_settings(settings)
        method(config.method).check_all(config)


@pytest.mark.parametrize(
    ("variant", "settings", "name"),
    [
        ("SRGAN-MSE", ["initial=interpolating"], "initial"),
        ("SROBB", ["initial=interpolating"], "initial"),
        ("SRNTT", ["initial=interpolating"], "initial"),
        ("CrossNet", ["start=CrossNet", "initial=interpolating"], "initial"),
        ("SRNTT-content", ["transfer_blocks=4"], "transfer_blocks"),
        ("SRNTT-content", ["elsewhere=0.5"], "elsewhere"),
        ("SRNTT-content", ["colour=0.2"], "colour"),
    ],
)
def test_settings_without_effect_on_a_method_are_refused(
    variant: str, settings: list[str], name: str
) -> None:
    config = configure(variant).with_settings(settings)
    with pytest.raises(UserError, match=f"{name} = .* has no effect here"):
        method(config.method).check_all(config)


def test_what_was_published_still_stands() -> None:
    paths = sorted((Path(__file__).parents[1] / "results/published/runs").glob("*/config.json"))
    assert paths
    for path in paths:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["variant"] != RANKER:
            assert values["variant"] in trainable()
            method(values["method"]).check_all(config_from_dict(values))
