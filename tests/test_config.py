"""The configuration refuses what it cannot mean."""

import pytest

from repro.core.errors import UserError
from repro.methods.config import TrainConfig, config_from_dict


def test_settings_are_applied_and_typed() -> None:
    config = TrainConfig().with_settings(
        ["batch_size=8", "learning_rate=5e-4", "long_skip=off", "updates=1_000"]
    )
    assert (config.batch_size, config.learning_rate, config.long_skip, config.updates) == (
        8,
        5e-4,
        False,
        1000,
    )


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("lerning_rate=1", "learning_rate"),
        ("batchsize=1", "batch_size"),
        ("batch_size", "field=value"),
        ("batch_size=many", "type int"),
        ("batch_size=0", "1 or more"),
        ("learning_rate=3", "between 0 and 1"),
        ("precision=fp16", "float32, bfloat16, auto"),
        ("long_skip=perhaps", "type bool"),
        ("crop_hr=90", "multiple of 32"),
        ("ema_decay=1", "below 1"),
        ("tv_weight=-1", "0 or more"),
    ],
)
def test_bad_settings_are_errors_that_help(setting: str, says: str) -> None:
    with pytest.raises(UserError) as caught:
        TrainConfig().with_settings([setting])
    assert says in caught.value.message()


def test_a_discriminator_fixes_the_crop() -> None:
    with pytest.raises(UserError, match="crop_hr"):
        TrainConfig(adversarial_weight=1e-3, crop_hr=64)


def test_round_trip_and_strictness() -> None:
    config = TrainConfig(seed=3, ema_decay=0.9)
    assert config_from_dict(config.as_dict()) == config
    with pytest.raises(UserError, match="unknown setting"):
        config_from_dict(config.as_dict() | {"surplus": 1})
    values = config.as_dict()
    del values["seed"]
    with pytest.raises(UserError, match="seed"):
        config_from_dict(values)


def test_departures_name_what_differs() -> None:
    assert TrainConfig().departures() == {}
    assert TrainConfig(seed=2, updates=5).departures() == {"seed": 2, "updates": 5}
