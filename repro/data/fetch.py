"""Downloads the registry's files: only what is missing, several at once, never under a name before its hash.

A file is first written to ``.<name>.<hash>.part`` beside its place. An interrupted download, by a dropped
connection or by kill -9, is resumed there with an HTTP range request; the URL names a commit, so what is
behind it does not change, and the SHA-256 decides in the end. Only then does the file get its name.
"""

from __future__ import annotations

import email.utils
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from filelock import FileLock, Timeout
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_exponential, wait_random

from repro.core.atomic import atomic_path
from repro.core.errors import UserError
from repro.data.sources import BASE_URL, DataFile
from repro.data.verify import State, check_files
from repro.imaging.io import sha256_file

USER_AGENT = "srgan-repro (data fetch)"
_RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Politeness:
    """How hard to try.

    Attributes:
        connections: downloads at once.
        attempts: tries per file; every broken transfer, bad hash, 429 or 5xx costs one.
        first_wait_s, longest_wait_s: the back-off doubles from the first to the longest, with jitter.
        longest_retry_after_s: a server that asks to wait longer is left alone.
        timeout_s: for connecting, and for each read.
    """

    connections: int = 8
    attempts: int = 6
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    longest_retry_after_s: float = 300.0
    timeout_s: float = 20.0


@dataclass
class Fetched:
    """What a download did.

    Attributes:
        present: files that were there with the right content before.
        fetched: files that were downloaded, under their names now.
        failed: path -> why, in the registry's order.
        received: bytes that came over the network.
        offline: why no server could be reached, or an empty string.
    """

    present: int = 0
    fetched: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    received: int = 0
    offline: str = ""

    @property
    def complete(self) -> bool:
        """Everything that was asked for is there."""
        return not self.failed


class _TryAgainError(Exception):
    """A fault that another attempt may mend.

    Args:
        reason: for the user.
        wait_s: at least this long, as the server asks.
    """

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class _GiveUpError(Exception):
    """A fault that no further attempt mends; the other files go on."""


class _StoppedError(Exception):
    """The whole download is being stopped."""


def missing_files(
    files: Sequence[DataFile], data_root: Path, advance: Callable[[DataFile], None] = lambda file: None
) -> list[DataFile]:
    """The files that have to be downloaded: missing ones and ones whose content is not the listed one."""
    if not data_root.is_dir():
        return list(files)
    states = {problem.path: problem.state for problem in check_files(files, data_root, advance)}
    return [file for file in files if states.get(file.path) in {State.MISSING, State.CHANGED}]


def part_path(file: DataFile, data_root: Path) -> Path:
    """Where the file grows until it is whole; its hash is part of the name."""
    target = file.under(data_root)
    return target.with_name(f".{target.name}.{file.sha256[:16]}.part")


def unfinished_bytes(files: Sequence[DataFile], data_root: Path) -> int:
    """Bytes of ``files`` that an interrupted download has left behind, to go on from."""
    parts = [part_path(file, data_root) for file in files]
    return sum(part.stat().st_size for part in parts if part.is_file())


def checked_base_url(base_url: str) -> str:
    """``base_url`` if it is an http(s) address without query; UserError otherwise."""
    parts = urlsplit(base_url)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment:
        raise UserError(f"base URL {base_url!r}", f"an address such as {BASE_URL}", "check --base-url")
    return base_url


def fetch(
    files: Sequence[DataFile],
    data_root: Path,
    *,
    present: int = 0,
    base_url: str = BASE_URL,
    politeness: Politeness | None = None,
    at: Callable[[DataFile, int], None] = lambda file, size: None,
) -> Fetched:
    """Downloads ``files`` into their places under ``data_root``; each is whole and right, or not there.

    Args:
        files: what to download, see :func:`missing_files`. A file of that name is replaced, but only by
            one with the right hash.
        data_root: made where it does not exist.
        present: how many files were there already, for the report.
        base_url: the host of the raw files, or a mirror of it with the same paths.
        politeness: connections, retries and waiting times.
        at: called with a file and how many of its bytes are there now (fewer than before when it has to be
            begun again); from several threads.

    Raises:
        UserError: the data root cannot be written, another download is running in it, or a strange URL.
    """
    report = Fetched(present=present)
    if not files:
        return report
    politeness = politeness or Politeness()
    checked_base_url(base_url)
    with _writable(data_root):
        download = _Download(data_root, base_url, politeness, at)
        failed = download.run(files)
    report.fetched = len(files) - len(failed)
    report.failed = {file.path: failed[file.path] for file in files if file.path in failed}
    report.received = download.received
    report.offline = download.offline
    return report


@contextmanager
def _writable(data_root: Path) -> Iterator[None]:
    """The data root, made, writable, and ours alone while the block runs."""
    advice = "name a folder that can be written: --data FOLDER, SRGAN_DATA=FOLDER"
    try:
        data_root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(data_root / ".fetch.lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise UserError(
            f"data root {data_root}: another download is running there", "one at a time", "wait for it to end"
        ) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"data root {data_root}: {reason}", "a folder to write to", advice) from None
    try:
        yield
    finally:
        lock.release()


class _Download:
    """The state that the threads of one download share."""

    def __init__(
        self,
        data_root: Path,
        base_url: str,
        politeness: Politeness,
        at: Callable[[DataFile, int], None],
    ) -> None:
        self.data_root = data_root
        self.base_url = base_url
        self.politeness = politeness
        self.at = at
        self.received = 0
        self.offline = ""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._answered = threading.Event()
        self._not_before = 0.0
        self._back_off = wait_exponential(
            multiplier=politeness.first_wait_s, max=politeness.longest_wait_s
        ) + wait_random(0, politeness.first_wait_s)

    def run(self, files: Sequence[DataFile]) -> dict[str, str]:
        """Path -> reason of the files that could not be had."""
        count = min(self.politeness.connections, len(files))
        limits = httpx.Limits(max_connections=count, max_keepalive_connections=count)
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
        failed: dict[str, str] = {}
        with (
            httpx.Client(
                limits=limits, timeout=self.politeness.timeout_s, headers=headers, follow_redirects=True
            ) as client,
            ThreadPoolExecutor(count) as pool,
        ):
            waiting: dict[Future[None], DataFile] = {
                pool.submit(self._one, client, file): file for file in files
            }
            try:
                while waiting:
                    done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                    for future in done:
                        file = waiting.pop(future)
                        try:
                            future.result()
                        except (_TryAgainError, _GiveUpError, _StoppedError) as error:
                            failed[file.path] = str(error)
            except BaseException:
                # Ctrl-C or a full disk: the threads end at their next chunk, the .part files stay
                self._stop.set()
                for future in waiting:
                    future.cancel()
                raise
        return failed

    def _one(self, client: httpx.Client, file: DataFile) -> None:
        """Brings one file to its place, with retries."""
        for attempt in Retrying(
            stop=stop_after_attempt(self.politeness.attempts),
            wait=self._wait,
            retry=retry_if_exception_type(_TryAgainError),
            sleep=self._sleep,
            reraise=True,
        ):
            with attempt:
                try:
                    self._attempt(client, file, attempt.retry_state.attempt_number)
                except OSError as error:
                    reason = error.strerror or str(error)
                    raise UserError(
                        f"{file.under(self.data_root)}: {reason}",
                        "a folder to write to with room for the files",
                        "make room, then run the same command again: it goes on where it was",
                    ) from None

    def _wait(self, state: RetryCallState) -> float:
        """Seconds before the next attempt: exponential, and never less than the server asks for."""
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait_s if isinstance(error, _TryAgainError) else 0.0
        return max(float(self._back_off(state)), asked)

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise _StoppedError(self.offline or "stopped")

    def _attempt(self, client: httpx.Client, file: DataFile, number: int) -> None:
        with self._lock:
            pause = self._not_before - time.monotonic()
        # another thread was told to wait: asking again at once would only prolong it
        self._sleep(max(pause, 0.0))
        target = file.under(self.data_root)
        part = part_path(file, self.data_root)
        have = part.stat().st_size if part.exists() else 0
        if have > file.size:
            part.unlink()
            have = 0
        if have < file.size:
            try:
                self._transfer(client, file, part, have)
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
                self._unreachable(error, number)
            except (httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
                raise _GiveUpError(f"the server redirects astray ({error})") from None
            except httpx.HTTPError as error:
                raise _TryAgainError(f"the transfer broke off ({_reason(error)})") from None
        if sha256_file(part) != file.sha256:
            part.unlink()
            self.at(file, 0)
            raise _TryAgainError("the content has another SHA-256 than the registry")
        with atomic_path(target) as temporary:
            part.replace(temporary)
        self.at(file, file.size)

    def _unreachable(self, error: httpx.TransportError, attempt: int) -> None:
        """Raises: try again, unless no server has answered yet and this was the second attempt.

        Then there is no network, and going through the other files one by one would take minutes to say so.
        """
        reason = f"{urlsplit(self.base_url).hostname} cannot be reached ({_reason(error)})"
        if attempt > 1 and not self._answered.is_set():
            with self._lock:
                self.offline = self.offline or reason
            self._stop.set()
            raise _StoppedError(reason) from None
        raise _TryAgainError(reason) from None

    def _transfer(self, client: httpx.Client, file: DataFile, part: Path, have: int) -> None:
        """Appends what ``part`` lacks, or begins again where the server sends the whole file."""
        headers = {"Range": f"bytes={have}-"} if have else {}
        with client.stream("GET", file.url(self.base_url), headers=headers) as response:
            self._answered.set()
            self._check_status(response, file, part, have)
            part.parent.mkdir(parents=True, exist_ok=True)
            resumed = response.status_code == 206
            size = have if resumed else 0
            with part.open("ab" if resumed else "wb") as out:
                # without a chunk size: httpx would drop what it has gathered when the connection breaks
                for chunk in response.iter_raw():
                    if self._stop.is_set():
                        raise _StoppedError(self.offline or "stopped")
                    size += len(chunk)
                    if size > file.size:
                        break
                    out.write(chunk)
                    self.at(file, size)
                    with self._lock:
                        self.received += len(chunk)
        if size > file.size:
            part.unlink()
            raise _TryAgainError(f"more than the {file.size} bytes of the registry")
        if size < file.size:
            raise _TryAgainError(f"the transfer broke off at {size} of {file.size} bytes")

    def _check_status(self, response: httpx.Response, file: DataFile, part: Path, have: int) -> None:
        """Returns for an answer whose body is (the rest of) the file; raises for all others."""
        status = response.status_code
        if status in _RETRIED_STATUS:
            asked = retry_after_s(response.headers, time.time())
            if asked > self.politeness.longest_retry_after_s:
                raise _GiveUpError(f"the server asks to wait {asked:.0f} s; try again later")
            if asked:
                with self._lock:
                    self._not_before = max(self._not_before, time.monotonic() + asked)
            raise _TryAgainError(f"the server answers {status} {response.reason_phrase}", asked)
        if status == 416 and have:
            part.unlink()
            raise _TryAgainError("the server cannot resume there")
        if status not in {200, 206}:
            raise _GiveUpError(f"the server answers {status} {response.reason_phrase} for {response.url}")
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise _GiveUpError("the server compresses what was asked for as it is")
        if status == 206:
            range_sent = response.headers.get("Content-Range", "")
            if range_sent not in {
                f"bytes {have}-{file.size - 1}/{file.size}",
                f"bytes {have}-{file.size - 1}/*",
            }:
                part.unlink(missing_ok=True)
                raise _TryAgainError(f"the server sends another part than asked for ({range_sent!r})")
            return
        length = response.headers.get("Content-Length")
        if length is not None and length != str(file.size):
            raise _TryAgainError(f"the server offers {length} bytes, the registry says {file.size}")


def retry_after_s(headers: Mapping[str, str], now: float) -> float:
    """Seconds that a ``Retry-After`` header (seconds or an HTTP date) asks to wait; 0 without a usable one.

    Args:
        headers: of the answer.
        now: seconds since the epoch.
    """
    value = headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return 0.0
    return max(0.0, moment.timestamp() - now)


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
