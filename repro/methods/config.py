"""The configuration of a training run: frozen groups of settings, each checked when it is made.

What a method's paper leaves open is marked "open" where the method states its values; the manifest repeats
the choice. Every field either changes what a run computes, or is refused where it would have no effect.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from repro.core.errors import UserError
from repro.core.settings import Precision, Settings, known, leaves, parsed, setting
from repro.data.plan import DataSettings

Decay = Literal["constant", "two-phase", "halving", "cosine", "hold", "geometric", "staircase"]
Switch = Literal["on", "off", "auto"]
OptimiserKind = Literal["adam", "sgd", "muon"]


@dataclass(frozen=True)
class NetworkSettings(Settings):
    """What a method's networks are made from; a method with settings of its own derives from it."""


@dataclass(frozen=True)
class LossSettings(Settings):
    """What a method's loss terms take; likewise."""


@dataclass(frozen=True)
class OptimiserSettings(Settings):
    """How gradients become updates.

    Attributes:
        optimiser: ``adam``; ``sgd`` with momentum 0.9; ``muon`` for kernels between many channels, Adam for
            the rest.
        adam_beta1, adam_beta2: Adam's decay rates.
        weight_decay: L2, added to the gradient.
        gradient_clip: the most that the length of a network's gradient may be; 0 is no bound.
        skip_above: no step is made with a loss that is this many times the last step's, or more; 0 is no
            bound.
        muon_rate: Muon's learning rate as a multiple of the schedule's, which is Adam's.
        muon_momentum: of Muon.
    """

    optimiser: OptimiserKind = "adam"
    adam_beta1: float = setting(0.9, 0, 1, high_open=True)
    adam_beta2: float = setting(0.999, 0, 1, high_open=True)
    weight_decay: float = setting(0.0, 0, 1)
    gradient_clip: float = setting(0.0, 0, 1e6)
    skip_above: float = setting(0.0, 0, 1e6)
    muon_rate: float = setting(2.0, 0, 1000, low_open=True)
    muon_momentum: float = setting(0.95, 0, 1, high_open=True)

    def check(self) -> None:
        self.only_where(self.optimiser != "sgd", "--set optimiser=adam|muon", "adam_beta1", "adam_beta2")
        self.only_where(self.optimiser == "muon", "--set optimiser=muon", "muon_rate", "muon_momentum")


@dataclass(frozen=True)
class ScheduleSettings(Settings):
    """How long a run is, and the learning rate of each of its updates.

    Attributes:
        updates: how many.
        learning_rate: the highest.
        warmup_updates: over which it rises linearly from 0.
        decay: what follows (:func:`repro.train.schedule.learning_rate`).
        late_from: ``two-phase``: the first update at ``learning_rate_late``.
        learning_rate_late: of the second phase; where ``geometric`` and ``staircase`` end.
        hold_share: ``hold``: the share of the updates before the decay to zero begins.
        milestones: ``halving``: after how many updates the rate is halved, joined by ``/``.
        ema_decay: of the averaged copy of the generator (:func:`repro.train.ema.decay_at`); 0 is none.
        statistics_batches: training batches over which the final generator's batch norm statistics are
            estimated again, since those of averaged weights are not averages of statistics; 0 keeps these.
    """

    updates: int = setting(1_000_000, 1, 100_000_000)
    learning_rate: float = setting(1e-4, 0, 1, low_open=True, high_open=True)
    warmup_updates: int = setting(0, 0, 100_000_000)
    decay: Decay = "constant"
    late_from: int = setting(0, 0, 100_000_000)
    learning_rate_late: float = setting(1e-5, 0, 1, low_open=True, high_open=True)
    hold_share: float = setting(0.75, 0, 1, high_open=True)
    milestones: str = ""
    ema_decay: float = setting(0.0, 0, 1, high_open=True)
    statistics_batches: int = setting(0, 0, 10_000)

    def check(self) -> None:
        self.only_where(self.decay == "two-phase", "--set decay=two-phase", "late_from")
        late = self.decay in {"two-phase", "geometric", "staircase"}
        self.only_where(late, "--set decay=two-phase|geometric|staircase", "learning_rate_late")
        self.only_where(self.decay == "hold", "--set decay=hold", "hold_share")
        self.only_where(self.decay == "halving", "--set decay=halving", "milestones")
        if not all(part.isdecimal() for part in self.milestones.split("/") if self.milestones):
            raise UserError(
                f"milestones = {self.milestones!r}", "updates joined by /", "--set milestones=100/200"
            )


@dataclass(frozen=True)
class ArithmeticSettings(Settings):
    """In what the networks compute: changes speed, and results within rounding.

    Attributes:
        precision: ``bfloat16`` is autocast; ``auto`` takes it where the processor has instructions for it.
        channels_last: memory layout.
        compile: by torch.compile.
    """

    precision: Precision = "float32"
    channels_last: bool = True
    compile: Switch = "auto"


@dataclass(frozen=True)
class LoggingSettings(Settings):
    """What is written and when; no part of a run's identity, but for how many images are held out."""

    log_every: int = setting(100, 1, 1e9)
    validate_every: int = setting(5_000, 1, 1e9)
    sample_every: int = setting(50_000, 1, 1e9)
    checkpoint_every: int = setting(1_000, 1, 1e9)
    validation_images: int = setting(24, 0, 10_000)


@dataclass(frozen=True)
class RunConfig(Settings):
    """Everything that decides what a run computes.

    Attributes:
        variant: its name in tables; names the configuration of its paper and is no setting.
        method: key of :data:`repro.methods.METHODS`.
        profile: ``quick``, ``cpu`` or ``paper``.
        seed: of every random draw.
        start: variant whose generator this one starts from; "" is from scratch.
    """

    variant: str = ""
    method: str = ""
    profile: str = "paper"
    seed: int = setting(0, 0, 2**62)
    start: str = ""
    network: NetworkSettings = field(default_factory=NetworkSettings)
    losses: LossSettings = field(default_factory=LossSettings)
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    data: DataSettings = field(default_factory=DataSettings)
    arithmetic: ArithmeticSettings = field(default_factory=ArithmeticSettings)
    logging: LoggingSettings = field(default_factory=LoggingSettings)

    def but(self, **changes: Any) -> RunConfig:
        """A copy with changes; those of a group are given as its name and a dictionary of its fields."""
        return replace(
            self,
            **{k: replace(getattr(self, k), **v) if isinstance(v, dict) else v for k, v in changes.items()},
        )

    def with_settings(self, settings: list[str]) -> RunConfig:
        """A copy with ``field=value`` settings applied together; old and short names are understood.

        Raises:
            UserError: not of that form, an unknown field (the nearest is named), a value of another type, out
                of range, or without effect; or a field that names the run (variant, method, profile).
        """
        config, paths = self, [path for path, _ in leaves(self)]
        changes: dict[str, dict[str, Any]] = {}
        for text in settings:
            name, equals, value = text.partition("=")
            if not equals:
                raise UserError(f"--set {text!r}", "field=value", "e.g. --set batch_size=8")
            path = known(name.strip(), paths)
            if path in _NAMES:
                raise UserError(
                    f"--set {path}=...", "a setting: the name says which configuration this is",
                    f"python -m repro train VARIANT --{'profile' if path == 'profile' else 'help'}",
                )  # fmt: skip
            group, _, leaf = path.rpartition(".")
            changes.setdefault(group, {})[leaf] = parsed(self, path, value.strip())
        # a group's settings are applied at once: some are allowed only together
        for group, values in changes.items():
            config = config.but(**(values if not group else {group: values}))
        return config

    def identity(self) -> dict[str, Any]:
        """What a run is named after: every field that changes its result and has not its default value.

        So a setting that a later version adds, off by default, renames no run that was begun before it.
        """
        groups: dict[str, Any] = {
            item.name: type(value)()
            for item in fields(self)
            if isinstance(value := getattr(self, item.name), Settings)
        }
        defaults = dict(leaves(RunConfig(**groups)))
        return {
            path: value
            for path, value in leaves(self)
            if value != defaults[path] and not path.startswith("logging.") and path != "arithmetic.compile"
        }


_NAMES = ("variant", "method", "profile")


def differing(config: RunConfig, other: RunConfig) -> list[tuple[str, Any, Any]]:
    """(dotted path, value here, value there) of every field in which two configurations differ."""
    theirs = dict(leaves(other))
    return [(path, value, theirs.get(path)) for path, value in leaves(config) if theirs.get(path) != value]
