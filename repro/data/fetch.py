"""Downloads the registry's files through pooch: only what is missing, never under a name before its hash."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pooch
import requests
import urllib3

from repro.core.errors import UserError
from repro.data.sources import BASE_URL, DataFile
from repro.data.verify import check_files

USER_AGENT = "srgan-repro (data fetch)"
CHUNK = 65536

ATTEMPTS = 4
"""Tries per file; pooch waits 1, 2, 3 s in between."""

TIMEOUTS_S = (10, 20)
"""For connecting, and for each read."""

PATIENCE_S, SLOWEST = 30, 1000
"""After so many seconds a file must have come with so many bytes a second."""

LONGEST_WAIT_S = 60
"""A server that asks to wait longer is left alone."""


@dataclass
class Fetched:
    """What a download did.

    Attributes:
        present: files that were there with the right content before.
        fetched: files that were downloaded, under their names now.
        failed: path -> why, in the registry's order.
        received: bytes that came over the network.
        offline: why there is no network, or an empty string.
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


class _RefusedError(Exception):
    """A fault that no further attempt mends; the other files go on."""


class _StoppedError(Exception):
    """The whole download ends; no other file is tried."""


def missing_files(
    files: Sequence[DataFile], data_root: Path, advance: Callable[[DataFile], None] = lambda file: None
) -> list[DataFile]:
    """The files that have to be downloaded: missing ones and ones whose content is not the listed one."""
    if not data_root.is_dir():
        return list(files)
    faulty = {problem.path for problem in check_files(files, data_root, advance)}
    return [file for file in files if file.path in faulty]


def checked_base_url(base_url: str) -> str:
    """``base_url`` if it is an http(s) address without query; UserError otherwise."""
    try:
        parts = urlsplit(base_url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # brackets that do not close, a port that is no number
        usable = False
    if not usable or parts.query or parts.fragment:
        raise UserError(f"base URL {base_url!r}", f"an address such as {BASE_URL}", "check --base-url")
    return base_url


def fetch(
    files: Sequence[DataFile],
    data_root: Path,
    *,
    present: int = 0,
    base_url: str = BASE_URL,
    connections: int = 8,
    attempts: int = ATTEMPTS,
    at: Callable[[DataFile, int], None] = lambda file, size: None,
) -> Fetched:
    """Downloads ``files`` into their places under ``data_root``; each is whole and right, or not there.

    Args:
        files: what to download, see :func:`missing_files`. A file of that name is replaced, but only by
            one with the right hash.
        data_root: made where it does not exist.
        present: how many files were there before, for the report.
        base_url: the host of the raw files, or a mirror of it with the same paths.
        connections: files downloaded at once.
        attempts: tries per file; broken transfers, wrong hashes, 429 and 5xx cost one each.
        at: called with a file and how many of its bytes have come (fewer than before when it has to be
            begun again); from several threads.

    Raises:
        UserError: the data root cannot be written, or a strange URL.
    """
    report = Fetched(present=present)
    if not files:
        return report
    download = _Downloader(files, checked_base_url(base_url), connections, at)
    store = pooch.create(
        data_root,
        base_url="",
        registry={file.path: file.sha256 for file in files},
        urls={file.path: url for url, file in download.files.items()},
        retry_if_failed=attempts - 1,
    )
    pooch.get_logger().setLevel("ERROR")  # what goes wrong is told by the report
    failed: dict[str, str] = {}
    with ThreadPoolExecutor(connections) as pool:
        try:
            for folder in {file.under(data_root).parent for file in files}:
                folder.mkdir(parents=True, exist_ok=True)  # pooch's threads would trip over each other
            futures = {pool.submit(store.fetch, file.path, downloader=download): file for file in files}
            for future in as_completed(futures):
                path = futures[future].path
                try:
                    # pooch's temporary files are private: as readable as the folder that they are for
                    Path(future.result()).chmod(data_root.stat().st_mode & 0o666)
                except (_RefusedError, _StoppedError, requests.RequestException) as error:
                    failed[path] = str(error)
                except ValueError:
                    failed[path] = "the content has another SHA-256 than the list of files"
        except BaseException as error:
            download.stop.set()  # Ctrl-C or a full disk: the threads end at their next chunk
            pool.shutdown(cancel_futures=True)
            if not isinstance(error, OSError):
                raise
            raise UserError(
                f"data root {data_root}: {error.strerror or error}",
                "a folder to write to with room for the files",
                "make room, or name another folder: --data FOLDER, SRGAN_DATA=FOLDER",
            ) from None
    report.fetched = len(files) - len(failed)
    report.failed = {file.path: failed[file.path] for file in files if file.path in failed}
    report.received, report.offline = download.received, download.offline
    return report


class _Downloader:
    """Transfers one file to where pooch wants it; what the threads of one download share.

    Pooch tries again after ``requests``' exceptions and after a wrong hash, and after nothing else.
    """

    def __init__(
        self,
        files: Sequence[DataFile],
        base_url: str,
        connections: int,
        at: Callable[[DataFile, int], None],
    ) -> None:
        self.files = {file.url(base_url): file for file in files}
        self.received = 0
        self.offline = ""
        self.stop = threading.Event()
        self._host = urlsplit(base_url).hostname
        self._patience = min(connections, len(files))
        self._at = at
        self._session = requests.Session()
        pool = requests.adapters.HTTPAdapter(pool_maxsize=connections)
        self._session.mount(f"{urlsplit(base_url).scheme}://", pool)
        self._session.headers.update({"User-Agent": USER_AGENT, "Accept-Encoding": "identity"})
        self._lock = threading.Lock()
        self._reached = False

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        """Writes what ``url`` gives to ``output_file``."""
        file = self.files[url]
        if self.stop.is_set():
            raise _StoppedError(self.offline or "stopped")
        try:
            response = self._session.get(url, stream=True, timeout=TIMEOUTS_S)
        except requests.ConnectionError as error:
            raise self._unreachable(error) from None
        with response, Path(output_file).open("wb") as out:
            self._check(response, file)
            started, size = time.monotonic(), 0
            try:
                while chunk := response.raw.read1(CHUNK):
                    size += len(chunk)
                    self._arrived(file, size, len(chunk), time.monotonic() - started)
                    out.write(chunk)
            except urllib3.exceptions.HTTPError as error:
                raise requests.ConnectionError(f"the transfer broke off ({_reason(error)})") from None
            self._reached = True

    def _arrived(self, file: DataFile, size: int, new: int, seconds: float) -> None:
        """Counts bytes; raises where they are too many or too slow, or all is being stopped."""
        if self.stop.is_set():
            raise _StoppedError(self.offline or "stopped")
        if size > file.size:
            raise _RefusedError(f"more than the {file.size} bytes of the list of files")
        if seconds > PATIENCE_S and size < SLOWEST * seconds:
            slow = f"{self._host} sends {size / seconds:.0f} bytes a second"
            self._no_network(slow)
            raise requests.ConnectionError(slow)
        with self._lock:
            self.received += new
        self._at(file, size)

    def _check(self, response: requests.Response, file: DataFile) -> None:
        """Returns for an answer whose body can be the file; raises for all others."""
        status = response.status_code
        told = f"the server answers {status} {response.reason}"
        if status == 429 or status >= 500:
            asked = response.headers.get("Retry-After", "")
            wait_s = int(asked) if asked.isdecimal() else 0
            if wait_s > LONGEST_WAIT_S:
                raise _RefusedError(f"the server asks to wait {wait_s} s; try again later")
            self.stop.wait(wait_s)
            raise requests.HTTPError(told)
        if status != 200:
            raise _RefusedError(f"{told} for {response.url}")
        if response.headers.get("Content-Type", "").startswith("text/html"):
            self._no_network(f"a web page comes in place of {self._host}'s files (log in to the network?)")
            raise _RefusedError("a web page comes in place of the file")
        length = response.headers.get("Content-Length", str(file.size))
        if length != str(file.size):
            raise _RefusedError(f"the server offers {length} bytes, the list of files says {file.size}")

    def _unreachable(self, error: requests.ConnectionError) -> requests.ConnectionError:
        """``error`` in a sentence, to be tried again, unless nothing has been reached in a second attempt."""
        reason = f"{self._host} cannot be reached ({_reason(error)})"
        with self._lock:
            self._patience -= 1
        if self._patience < 0:
            self._no_network(reason)
        return requests.ConnectionError(reason)

    def _no_network(self, reason: str) -> None:
        """Stops everything, unless a file has come: going through the others would take minutes to say so."""
        if self._reached:
            return
        self.offline = self.offline or reason
        self.stop.set()
        raise _StoppedError(reason)


def _reason(error: BaseException) -> str:
    """The operating system's words for what is behind a library's exception, else its own."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__
