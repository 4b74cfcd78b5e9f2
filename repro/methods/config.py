"""The configuration of a training run: one frozen dataclass, checked when it is made."""

from __future__ import annotations

import difflib
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args, get_type_hints

from repro.core.errors import UserError
from repro.papers import srgan as paper

Content = Literal["mse", "vgg22", "vgg54"]
Precision = Literal["float32", "bfloat16", "auto"]
Arithmetic = Literal["float32", "bfloat16", "float64"]  # of enlarging
Decay = Literal["constant", "two-phase", "cosine", "geometric", "staircase"]
Augmentation = Literal["none", "flip", "dihedral"]
PReLUSharing = Literal["layer", "channel"]
Switch = Literal["on", "off", "auto"]
Network = Literal["srresnet", "srcnn", "espcn", "drcn"]
Optimiser = Literal["adam", "sgd"]


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides what a run computes; the defaults are the paper's SRResNet-MSE.

    Fields that the paper leaves open are marked "open" below; the manifest repeats the choice.
    """

    variant: str = "SRResNet-MSE"
    profile: str = "paper"
    seed: int = 0

    # generator (Figure 4)
    residual_blocks: int = paper.RESIDUAL_BLOCKS
    long_skip: bool = True
    prelu: PReLUSharing = "layer"  # open

    # losses (equations 3 to 6, Section 2.2.1)
    content: Content = "mse"
    adversarial_weight: float = 0.0
    tv_weight: float = 0.0
    start: str = ""  # variant whose generator this one starts from; "" is from scratch

    # schedule (Section 3.2)
    updates: int = paper.SRRESNET_UPDATES
    batch_size: int = paper.BATCH_SIZE
    crop_hr: int = paper.CROP_HR
    augmentation: Augmentation = "flip"  # open
    learning_rate: float = paper.LEARNING_RATE
    warmup_updates: int = 0
    decay: Decay = "constant"
    late_from: int = 0  # decay = "two-phase": the first update at learning_rate_late
    learning_rate_late: float = paper.LEARNING_RATE_LATE
    adam_beta1: float = paper.ADAM_BETA1
    adam_beta2: float = 0.999  # open
    ema_decay: float = 0.0  # 0: no averaging of the generator's weights

    # arithmetic: changes speed, and results within rounding
    precision: Precision = "float32"
    channels_last: bool = True
    compile: Switch = "auto"

    # what is written, and when
    log_every: int = 100
    validate_every: int = 5_000
    sample_every: int = 50_000
    checkpoint_every: int = 1_000
    validation_images: int = 24

    # the reference methods (repro.methods.references); at these defaults none of it touches SRResNet or SRGAN
    network: Network = "srresnet"
    filters: int = 256  # of DRCN
    recursions: int = 16  # of DRCN
    narrow_start: bool = True  # of SRCNN: its paper's initial weights
    optimiser: Optimiser = "adam"  # sgd has momentum 0.9
    weight_decay: float = 0.0
    gradient_clip: float = 0.0  # most that a gradient's length may be; 0 is no bound

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for field in fields(self):
            _check_type(field.name, getattr(self, field.name), hints[field.name])
        self._check_ranges()

    def _check_ranges(self) -> None:
        positive = ("updates", "batch_size", "residual_blocks", "log_every", "checkpoint_every")
        for name in (*positive, "validate_every", "sample_every", "filters", "recursions"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} = {getattr(self, name)}", "1 or more", f"--set {name}=1")
        if self.network != "srresnet":
            self._check_reference()
        elif self.crop_hr < 32 or self.crop_hr % 32:
            raise UserError(
                f"crop_hr = {self.crop_hr}",
                "a multiple of 32, 32 or more (VGG-19 halves five times; LR crops are a quarter)",
                "--set crop_hr=96",
            )
        if self.adversarial_weight > 0 and self.crop_hr != paper.CROP_HR:
            raise UserError(
                f"crop_hr = {self.crop_hr} with an adversarial loss",
                f"{paper.CROP_HR}: the discriminator's dense layer is made for it (Figure 4)",
                f"--set crop_hr={paper.CROP_HR}",
            )
        for name in ("learning_rate", "learning_rate_late"):
            if not 0 < getattr(self, name) < 1:
                raise UserError(f"{name} = {getattr(self, name)}", "between 0 and 1", f"--set {name}=1e-4")
        for name in ("adam_beta1", "adam_beta2", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(
                    f"{name} = {getattr(self, name)}", "0 or more and below 1", f"--set {name}=0.9"
                )
        for name in (
            "adversarial_weight",
            "tv_weight",
            "weight_decay",
            "gradient_clip",
            "warmup_updates",
            "late_from",
            "validation_images",
            "seed",
        ):
            if getattr(self, name) < 0:
                raise UserError(f"{name} = {getattr(self, name)}", "0 or more", f"--set {name}=0")

    def _check_reference(self) -> None:
        if self.crop_hr < 36 or self.crop_hr % paper.SCALE:
            raise UserError(
                f"crop_hr = {self.crop_hr}", f"a multiple of {paper.SCALE}, 36 or more", "--set crop_hr=68"
            )
        if self.content != "mse" or self.adversarial_weight or self.tv_weight or self.start:
            raise UserError(
                f"network {self.network} with a content, adversarial, TV or start setting",
                "its own paper's loss, from scratch",
                "leave the setting out",
            )

    @property
    def adversarial(self) -> bool:
        """Whether this is an SRGAN (it has a discriminator)."""
        return self.adversarial_weight > 0

    @property
    def crop_lr(self) -> int:
        return self.crop_hr // paper.SCALE

    def as_dict(self) -> dict[str, Any]:
        """The fields, JSON-ready."""
        return asdict(self)

    def identity(self) -> dict[str, Any]:
        """What a run is named after; fields that came later count only where they are not at their defaults.

        So no field that is added renames a run that was made before it.
        """
        departures = self.departures()
        return {k: v for k, v in self.as_dict().items() if k not in _LATER_FIELDS or k in departures}

    def departures(self) -> dict[str, Any]:
        """The fields that are not at their defaults."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}

    def with_settings(self, settings: list[str]) -> TrainConfig:
        """A copy with ``field=value`` settings applied, each checked.

        Raises:
            UserError: not of that form, an unknown field (the nearest one is named), a value of
                another type or out of range.
        """
        changes: dict[str, Any] = {}
        hints = get_type_hints(type(self))
        for setting in settings:
            name, equals, text = setting.partition("=")
            if not equals:
                raise UserError(f"--set {setting!r}", "field=value", "e.g. --set batch_size=8")
            field = _known_field(name.strip(), list(hints))
            changes[field] = _parse(field, text.strip(), hints[field])
        return replace(self, **changes)


_LATER_FIELDS = (
    "network",
    "filters",
    "recursions",
    "narrow_start",
    "optimiser",
    "weight_decay",
    "gradient_clip",
)


def config_from_dict(values: dict[str, Any]) -> TrainConfig:
    """The config that :meth:`TrainConfig.as_dict` told; unknown or missing fields are errors."""
    names = [field.name for field in fields(TrainConfig)]
    for name in values:
        _known_field(name, names)
    missing = sorted(set(names) - set(values) - set(_LATER_FIELDS))
    if missing:
        raise UserError(f"configuration without {', '.join(missing)}", "every field", "start the run anew")
    return TrainConfig(**values)


def _known_field(name: str, names: list[str]) -> str:
    if name not in names:
        nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.0)[0]
        raise UserError(
            f"unknown setting {name!r}", f"the nearest field is {nearest!r}", f"--set {nearest}=..."
        )
    return name


def _parse(name: str, text: str, hint: Any) -> Any:
    if get_args(hint) or hint is str:
        return text
    if hint is bool:
        if text.lower() in {"true", "yes", "on", "1"}:
            return True
        if text.lower() in {"false", "no", "off", "0"}:
            return False
    else:
        try:
            return int(text.replace("_", "")) if hint is int else float(text)
        except ValueError:
            pass
    raise UserError(f"{name} = {text!r}", f"a value of type {hint.__name__}", f"--set {name}=...")


def _check_type(name: str, value: Any, hint: Any) -> None:
    choices = get_args(hint)
    if choices:
        if value not in choices:
            raise UserError(
                f"{name} = {value!r}", f"one of {', '.join(choices)}", f"--set {name}={choices[0]}"
            )
        return
    allowed = (int, float) if hint is float else (hint,)
    if not isinstance(value, allowed) or (isinstance(value, bool) and hint is not bool):
        raise UserError(f"{name} = {value!r}", f"a value of type {hint.__name__}", f"--set {name}=...")
