"""One file a method, and the explicit table of all of them.

The table names modules instead of importing them: configurations are read where torch is not needed.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from repro.core.errors import UserError

if TYPE_CHECKING:
    from repro.methods.base import Direct, Method

METHODS = {
    "srgan": "repro.methods.srgan:SRGAN",
    "srcnn": "repro.methods.srcnn:SRCNN",
    "espcn": "repro.methods.espcn:ESPCN",
    "drcn": "repro.methods.drcn:DRCN",
    "esrgan": "repro.methods.esrgan:ESRGAN",
    "ranksrgan": "repro.methods.ranksrgan:RankSRGAN",
    "srobb": "repro.methods.srobb:SROBB",
    "srfbn": "repro.methods.srfbn:SRFBN",
    "san": "repro.methods.san:SAN",
    "meta_sr": "repro.methods.meta_sr:MetaSR",
    "srntt": "repro.methods.srntt:SRNTT",
    "srntt_content": "repro.methods.srntt:SRNTTContent",
    "crossnet": "repro.methods.crossnet:CrossNet",
}
"""Methods with networks, by key; their variants are what `train` and `upscale` are asked for."""

DIRECT = {
    "nearest": "repro.methods.interpolation:Nearest",
    "bicubic": "repro.methods.interpolation:Bicubic",
    "SelfExSR": "repro.methods.selfexsr:SelfExSR",
    "SelfExSR-repaired": "repro.methods.selfexsr:RepairedSelfExSR",
}
"""Methods without networks, by the name that they have in the image store."""

INTERPOLATIONS = ("nearest", "bicubic")
"""Those of them that take no time, and are made without being asked for."""


@cache
def method(key: str) -> Method:
    """The method with networks of that key.

    Raises:
        UserError: there is none.
    """
    found: Method = _named(METHODS, key)
    return found


@cache
def direct(name: str) -> Direct:
    """The method without networks of that name.

    Raises:
        UserError: there is none.
    """
    found: Direct = _named(DIRECT, name)
    return found


def _named(table: dict[str, str], key: str) -> Any:
    if key not in table:
        raise UserError(f"method {key!r}", f"one of {', '.join(table)}", "choose one of them")
    module, _, name = table[key].partition(":")
    return getattr(import_module(module), name)()
