"""The real server as a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """``python -m mos_app serve`` on loopback; may be killed and started again on the same port."""

    def __init__(
        self, results: Path, study: str, *, url: str = "", rate: float = 10_000.0, more: tuple[str, ...] = ()
    ) -> None:
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self._log = results / f"serve-{self.port}.log"
        self._command = [
            sys.executable,
            *("-m", "mos_app", "serve", "--results", str(results), "--study", study),
            *("--port", str(self.port), "--rate-limit", str(rate), *more),
        ]
        self._environment = {**os.environ, "MOS_ADMIN_PASSWORD": "a long password"}
        if url:
            self._environment["MOS_DATABASE"] = url
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def start(self, timeout: float = 300.0) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"the server ended: {self.log}")
            try:
                if httpx.get(f"{self.base}/mos/health", timeout=30).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.05)
        raise RuntimeError(f"the server did not answer: {self.log}")

    def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None


@contextmanager
def serving(results: Path, study: str, **options: object) -> Iterator[Server]:
    server = Server(results, study, **options)  # type: ignore[arg-type]
    try:
        server.start()
        yield server
    finally:
        server.stop()
