"""Frozen settings that are checked when they are made: types, choices and finite bounds, field by field."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeVar, get_args, get_type_hints

from repro.core.errors import UserError

Precision = Literal["float32", "bfloat16", "auto"]
"""Of training."""
Arithmetic = Literal["float32", "bfloat16", "float64"]
"""Of inference."""

S = TypeVar("S", bound="Settings")


@dataclass(frozen=True)
class Bounds:
    """What a number may be: from ``low`` to ``high``, each included unless said to be open."""

    low: float
    high: float
    low_open: bool = False
    high_open: bool = False

    def hold(self, value: float) -> bool:
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return -math.inf < value < math.inf and above and below  # math.isfinite fails at large whole numbers

    def __str__(self) -> str:
        left = f"above {self.low:g}" if self.low_open else f"{self.low:g} or more"
        right = f"below {self.high:g}" if self.high_open else f"at most {self.high:g}"
        return f"{left} and {right}"


def setting(
    default: Any,
    low: float | None = None,
    high: float = 1e9,
    *,
    low_open: bool = False,
    high_open: bool = False,
) -> Any:
    """A dataclass field with its default and, for numbers, its bounds."""
    if low is None:
        return field(default=default)
    return field(default=default, metadata={"bounds": Bounds(low, high, low_open, high_open)})


@dataclass(frozen=True)
class Settings:
    """Base of every group of settings; a subclass declares its fields with :func:`setting`.

    Raises:
        UserError: at construction, for a value of another type, outside its bounds, or not among its choices.
    """

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for item in fields(self):
            value, hint = getattr(self, item.name), hints[item.name]
            _check_type(item.name, value, hint)
            bounds = item.metadata.get("bounds")
            if bounds is not None and not bounds.hold(value):
                got = f"{item.name} = {str(value)[:80]}"
                raise UserError(got, str(bounds), f"--set {item.name}={item.default}")
        self.check()

    def check(self) -> None:
        """What fields demand of each other; overridden where they do."""

    def as_dict(self) -> dict[str, Any]:
        """The fields, JSON-ready, groups as dictionaries of their own."""
        values = ((item.name, getattr(self, item.name)) for item in fields(self))
        return {name: value.as_dict() if isinstance(value, Settings) else value for name, value in values}

    def only_where(self, condition: bool, why: str, *names: str) -> None:
        """Refuses values other than the defaults of fields that would have no effect.

        Args:
            condition: whether they have an effect.
            why: when they would.
            names: the fields.
        """
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name in names and not condition and value != item.default:
                raise UserError(f"{item.name} = {value} has no effect here", why, f"leave {item.name} out")


def leaves(settings: Settings, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted path, value) of every field, in the order of declaration."""
    for item in fields(settings):
        value = getattr(settings, item.name)
        if isinstance(value, Settings):
            yield from leaves(value, f"{prefix}{item.name}.")
        else:
            yield f"{prefix}{item.name}", value


def parsed(settings: Settings, path: str, text: str) -> Any:
    """The value that ``text`` means for the field at a dotted path.

    Raises:
        UserError: a text that is no value of the field's type.
    """
    owner: Any = settings
    *groups, name = path.split(".")
    for group in groups:
        owner = getattr(owner, group)
    hint = get_type_hints(type(owner))[name]
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
    raise UserError(f"{name} = {text[:80]!r}", f"a value of type {hint.__name__}", f"--set {name}=...")


def known(name: str, paths: list[str]) -> str:
    """The dotted path that a setting's name, short or dotted, stands for.

    Raises:
        UserError: no field of that name (the nearest is told), or several (all are).
    """
    fitting = [path for path in paths if name in {path, path.rpartition(".")[2]}]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise UserError(
            f"setting {name!r} stands for several", " or ".join(fitting), f"--set {fitting[0]}=..."
        )
    short = [path.rpartition(".")[2] for path in paths]
    nearest = difflib.get_close_matches(name, short + paths, n=1, cutoff=0.0)[0]
    raise UserError(
        f"unknown setting {name[:80]!r}", f"the nearest field is {nearest!r}", f"--set {nearest}=..."
    )


def from_dict(default: S, values: Any) -> S:
    """Settings of the default's type from what :meth:`Settings.as_dict` gave.

    Args:
        default: where missing fields come from.
        values: a dictionary; fields that it lacks keep the default's values.

    Raises:
        UserError: no dictionary, an unknown field, or a value that the type refuses.
    """
    if not isinstance(values, dict):
        kind = type(default).__name__
        raise UserError(f"{kind}: {type(values).__name__}", "a dictionary of settings", "train it again")
    names = [item.name for item in fields(default)]
    for name in values:
        if name not in names:
            known(str(name), names)
    changes = {}
    for name, value in values.items():
        inner = getattr(default, name)
        changes[name] = from_dict(inner, value) if isinstance(inner, Settings) else value
    return replace(default, **changes)


def _check_type(name: str, value: Any, hint: Any) -> None:
    if isinstance(hint, type) and issubclass(hint, Settings):
        if not isinstance(value, hint):
            raise UserError(f"{name}: {type(value).__name__}", hint.__name__, "use the method's own settings")
        return
    choices = get_args(hint)
    if choices:
        if value not in choices:
            raise UserError(
                f"{name} = {value!r}", f"one of {', '.join(map(str, choices))}", f"--set {name}={choices[0]}"
            )
        return
    allowed = (int, float) if hint is float else (hint,)
    if not isinstance(value, allowed) or (isinstance(value, bool) and hint is not bool):
        raise UserError(f"{name} = {value!r}", f"a value of type {hint.__name__}", f"--set {name}=...")
