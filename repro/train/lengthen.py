"""A longer run from a shorter one: what both have in common is not computed twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from repro.core import tensorfile
from repro.core.atomic import write_text
from repro.core.errors import UserError
from repro.core.parts import joined
from repro.methods import method
from repro.methods.config import RunConfig, differing
from repro.methods.variants import config_from_dict
from repro.train.loop import LoopFiles
from repro.train.run import Prepared, run_identity
from repro.train.schedule import learning_rate
from repro.train.step import weight_at


def begin_from(prepared: Prepared, shorter: Path) -> int:
    """Gives a run that has no checkpoint that of another schedule, from before the two differ.

    It is the one that a finished ``hold`` schedule left where its decay began, or that of a run under way.

    The longer run then ends with the bytes that it would have ended with alone.

    Args:
        prepared: the longer run.
        shorter: folder of the shorter one.

    Returns:
        How many updates it has now.

    Raises:
        UserError: the other run has no such checkpoint, or is not the beginning of this one.
    """
    held, mine = LoopFiles(shorter).held, LoopFiles(prepared.folder).checkpoint
    source = held if held.is_file() else LoopFiles(shorter).checkpoint
    if not joined(source):
        raise UserError(
            f"{source} is not there", "a run with decay=hold that came to its decay", "train it on"
        )
    tensors, metadata = tensorfile.load(source)
    theirs, done = config_from_dict(metadata.get("config")), metadata.get("done")
    longer = prepared.config.schedule
    if not isinstance(done, int) or not 0 < done <= longer.updates:
        raise UserError(f"{source}: {done!r} updates", f"1 to {longer.updates:,}", "a longer run")
    allowed = {"schedule.updates", "schedule.hold_share"}
    other = [
        f"{path} {there!r}, not {here!r}"
        for path, here, there in differing(prepared.config, theirs)
        if path not in allowed and not path.startswith("logging.")
    ]
    if any(learning_rate(longer, k) != learning_rate(theirs.schedule, k) for k in range(done)):
        other.append("another learning rate")
    if not other and not np.allclose(_weights(prepared.config, done), _weights(theirs, done), 1e-9, 1e-12):
        other.append("terms of other weights: they change along the whole schedule")
    if other:
        raise UserError(f"{shorter}: {other[0]}", "the beginning of this run", "leave --from out")
    if metadata.get("identity") != run_identity(theirs, prepared.bfloat16, prepared.inputs):
        raise UserError(f"{shorter}: other images or features", "the inputs of this run", "leave --from out")
    prepared.folder.mkdir(parents=True, exist_ok=True)
    # a resumed run drops the lines that lie behind its checkpoint
    for log in ("log.jsonl", "timing.jsonl"):
        if (shorter / log).is_file():  # a checkpoint may have travelled alone
            write_text(prepared.folder / log, (shorter / log).read_text(encoding="utf-8", errors="replace"))
    names = {"identity": prepared.identity, "config": prepared.config.as_dict()}
    tensorfile.save(mine, tensors, metadata | names)
    return done


def _weights(config: RunConfig, done: int) -> list[list[float]]:
    """What the terms whose weights change weigh at each update before ``done``."""
    terms = [term for update in method(config.method).updates(config) for term in update.terms]
    shares = [k / config.schedule.updates for k in range(done)]
    return [[weight_at(term, share) for share in shares] for term in terms if callable(term.weight)]
