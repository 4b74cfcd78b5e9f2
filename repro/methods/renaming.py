"""State dicts in the names that authors gave them, brought to ours."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from torch import Tensor

Renaming = Sequence[tuple[str, str]]
"""(regular expression at the start of a name, what it becomes); the first that matches is applied."""


def renamed(tensors: Mapping[str, Tensor], rules: Renaming) -> dict[str, Tensor]:
    """The tensors by new names; one that no rule is for keeps its name."""
    return {_new_name(name, rules): tensor for name, tensor in tensors.items()}


def count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    """How many different numbers stand where a pattern's group is, over all names that it matches."""
    return len({found[1] for name in tensors if (found := re.match(pattern, name))})


def _new_name(name: str, rules: Renaming) -> str:
    for pattern, replacement in rules:
        found = re.match(pattern, name)
        if found:
            return found.expand(replacement) + name[found.end() :]
    return name
