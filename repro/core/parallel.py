"""Work on many images side by side: on the cores of this machine, or on an existing Dask cluster."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from repro.core.errors import UserError

_Job = TypeVar("_Job")
_Result = TypeVar("_Result")

CONNECT_SECONDS = 10


def over_images(
    function: Callable[..., _Result],
    jobs: Sequence[_Job],
    *,
    workers: int | None = None,
    dask: str = "",
    shared: Any = None,
) -> Iterator[_Result]:
    """``function`` of every job, in the order of the jobs, each as soon as it and those before it are done.

    Here they run in threads: the compiled kernels, numpy's loops and the PNG decoder let go of the
    interpreter's lock, and nothing has to be started or copied. On a cluster each image is a task of its
    own; what a lost worker had begun, or had done and not yet sent, is done again by another.

    Args:
        function: of one job. For a cluster both have to be picklable, paths absolute and within reach of
            the workers, and the workers have this package.
        jobs: one for each image.
        workers: threads; by default one for each core that this process may use.
        dask: address of a Dask scheduler, e.g. ``tcp://node:8786``; empty for this machine.
        shared: what every job needs, a network say: ``function``'s first argument where it is given, sent to
            each worker once.

    Raises:
        UserError: no Dask, or no scheduler at that address; what ``function`` raises, of the first job that
            fails, after which no other is begun.
    """
    if not dask:
        from joblib import Parallel, delayed

        given = () if shared is None else (shared,)
        # a job of milliseconds is worth a dispatch of microseconds: no batches, and none waits for another
        parallel = Parallel(
            n_jobs=workers or usable_cores(), backend="threading", return_as="generator", batch_size=1
        )
        yield from parallel(delayed(function)(*given, job) for job in jobs)
        return
    if importlib.util.find_spec("distributed") is None:
        raise UserError(
            f"--dask {dask}: dask is not installed", "the extra `cluster`", "pip install -e '.[cluster]'"
        )
    from dask.distributed import Client

    try:
        client = Client(dask, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise UserError(
            f"--dask {dask}: no scheduler answers ({error})",
            "the address of a running Dask scheduler, e.g. tcp://node:8786",
            "dask scheduler, and dask worker ADDRESS on each machine",
        ) from None
    with client:
        # tasks and no scattered data (joblib's way): what a lost worker held is made again from its task
        first = () if shared is None else (client.submit(_same, shared, pure=False),)
        for future in [client.submit(function, *first, job, pure=False) for job in jobs]:
            yield future.result()


def _same(value: Any) -> Any:
    return value


def usable_cores() -> int:
    """The cores that this process may run on (containers and `taskset` allow fewer than there are)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
