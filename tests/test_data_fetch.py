"""Downloading from a real HTTP server on loopback that serves images and misbehaves."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import shutil
import socket
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from filelock import FileLock
from typer.testing import CliRunner

import repro.cli.data
from repro.core.errors import UserError
from repro.data.fetch import Politeness, checked_base_url, fetch, missing_files, part_path, retry_after_s
from repro.data.sources import DataFile, Registry, Source, load_registry
from repro.imaging.io import png_bytes

QUICK = Politeness(connections=4, attempts=4, first_wait_s=0.01, longest_wait_s=0.05, timeout_s=5)


@dataclass
class Request:
    path: str
    range: str
    time: float
    fault: str


@dataclass
class Site:
    """What the server serves, how it misbehaves, and what it was asked."""

    content: dict[str, bytes]
    faults: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    requests: list[Request] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""

    def next_fault(self, path: str, range_header: str) -> str:
        with self.lock:
            faults = self.faults[path]
            # the last fault of a list that ends in "always" stays
            fault = faults[0] if faults[1:] == ["always"] else faults.pop(0) if faults else ""
            self.requests.append(Request(path, range_header, time.monotonic(), fault))
            return fault

    def asked(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]


def handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def answer(
            self, status: int, body: bytes, headers: dict[str, str], declared: int | None = None
        ) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body) if declared is None else declared))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            path = unquote(self.path)
            asked = self.headers.get("Range", "")
            fault = site.next_fault(path, asked)
            body = site.content.get(path)
            if fault == "404" or body is None:
                return self.answer(404, b"404: Not Found", {})
            if fault.startswith("429"):
                return self.answer(429, b"slow down", {"Retry-After": fault.split()[1]})
            if fault == "503":
                return self.answer(503, b"", {})
            if fault == "slow":
                time.sleep(0.2)
            if fault == "wrong byte":
                body = bytes([body[0] ^ 1]) + body[1:]
            if fault == "compressed":
                return self.answer(200, body, {"Content-Encoding": "gzip"})
            if fault == "longer":  # no length declared: only counting tells
                self.send_response(200)
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(body + b"x" * 500_000)
                self.close_connection = True
                return None
            if fault == "shorter":
                return self.answer(200, body[: len(body) // 2], {})
            status, headers, start = 200, {}, 0
            if asked and fault != "ignore range":
                start = int(asked.removeprefix("bytes=").removesuffix("-"))
                if fault == "416" or start >= len(body):
                    return self.answer(416, b"", {})
                status = 206
                first = start - 1 if fault == "other range" else start
                headers = {"Content-Range": f"bytes {first}-{len(body) - 1}/{len(body)}"}
            rest = body[start:]
            if fault == "drop":
                self.answer(status, rest[: len(rest) // 2], headers, declared=len(rest))
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return None
            if fault == "hang":
                self.answer(status, rest[: len(rest) // 2], headers, declared=len(rest))
                self.wfile.flush()
                time.sleep(3)
                self.close_connection = True
                return None
            return self.answer(status, rest, headers)

    return Handler


@dataclass
class World:
    """A registry, a server that has its files, and an empty data root."""

    registry: Registry
    site: Site
    root: Path

    def server_path(self, file: DataFile) -> str:
        return f"/{file.source.repository}/{file.source.commit}/{file.repository_path}"

    def fetch(self, files: tuple[DataFile, ...] | None = None, **changes: object) -> object:
        chosen = missing_files(self.registry.files if files is None else files, self.root)
        politeness = replace(QUICK, **changes)  # type: ignore[arg-type]
        return fetch(chosen, self.root, base_url=self.site.url, politeness=politeness)

    def misbehave(self, file: DataFile, *faults: str) -> None:
        self.site.faults[self.server_path(file)] = list(faults)

    def asked(self, file: DataFile) -> list[Request]:
        return self.site.asked(self.server_path(file))

    def intact(self, file: DataFile) -> bool:
        path = file.under(self.root)
        return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256

    def leftovers(self) -> list[str]:
        return [path.name for path in self.root.rglob("*.part*")]


def generated(folder: Path) -> Registry:
    """A small registry with real PNGs, under names that need percent-encoding."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    one = Source("one", "someone/pictures", commit, "pictures/model/9-1-5(91 images)", "none", "test")
    two = Source("two", "else/more", commit, "more", "none", "test")
    generator = np.random.default_rng(0)
    files = []
    for source, name, side in (
        (one, "x4.png", 40),
        (one, "a b#c%d.png", 200),
        (two, "first.png", 90),
        (two, "second.png", 130),
        (two, "third.png", 24),
    ):
        data = png_bytes(generator.integers(0, 256, (side, side, 3), np.uint8))
        path = f"{source.folder}/{name}"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
        files.append(DataFile(path, hashlib.sha256(data).hexdigest(), len(data), source))
    return Registry((one, two), tuple(files))


@pytest.fixture(params=["generated", pytest.param("real", marks=pytest.mark.data)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "real":
        upstream = request.getfixturevalue("data_root")
        registry = load_registry().select(["Set5", "SRCNN-weights"])
    else:
        upstream = tmp_path / "upstream"
        registry = generated(upstream)
    made = World(registry, Site({}), tmp_path / "root")
    made.site.content = {made.server_path(file): file.under(upstream).read_bytes() for file in registry.files}
    with serve(made.site):
        yield made


class serve:  # noqa: N801 (used as a context manager)
    """The site on a loopback port while the block runs."""

    def __init__(self, site: Site) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler(site))
        self.server.daemon_threads = True
        site.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


def test_everything_asked_for_and_nothing_else(world: World) -> None:
    chosen = world.registry.select([world.registry.sources[0].name])
    report = world.fetch(chosen.files)
    assert (report.fetched, report.failed, report.offline) == (len(chosen.files), {}, "")
    assert report.received == chosen.size
    assert all(world.intact(file) for file in chosen.files)
    assert Counter(r.path for r in world.site.requests) == Counter(map(world.server_path, chosen.files))
    assert world.leftovers() == []

    again = world.fetch(chosen.files)
    assert again.fetched == 0
    assert again.complete
    assert len(world.site.requests) == len(chosen.files)


def test_a_dropped_connection_is_resumed_where_it_broke(world: World) -> None:
    file = max(world.registry.files, key=lambda file: file.size)
    world.misbehave(file, "drop", "drop")
    report = world.fetch()
    assert report.complete
    assert world.intact(file)
    first, second, third = world.asked(file)
    assert first.range == ""
    starts = [int(request.range.removeprefix("bytes=").removesuffix("-")) for request in (second, third)]
    assert 0 < starts[0] < starts[1] < file.size
    # nothing was downloaded twice
    assert report.received == world.registry.size


def test_a_wrong_byte_is_noticed_and_fetched_again(world: World) -> None:
    file = world.registry.files[0]
    world.misbehave(file, "wrong byte")
    assert world.fetch().complete
    assert world.intact(file)
    assert [request.range for request in world.asked(file)] == ["", ""]


def test_a_file_that_stays_wrong_never_gets_its_name(world: World) -> None:
    file = world.registry.files[0]
    world.misbehave(file, "wrong byte", "always")
    report = world.fetch()
    assert list(report.failed) == [file.path]
    assert "SHA-256" in report.failed[file.path]
    assert len(world.asked(file)) == QUICK.attempts
    assert not file.under(world.root).exists()
    assert world.leftovers() == []
    assert all(world.intact(other) for other in world.registry.files[1:])


def test_a_404_is_not_repeated_and_stops_nothing_else(world: World) -> None:
    file = world.registry.files[1]
    world.misbehave(file, "404", "always")
    report = world.fetch()
    assert list(report.failed) == [file.path]
    assert "404" in report.failed[file.path]
    assert len(world.asked(file)) == 1
    assert report.fetched == len(world.registry.files) - 1
    assert report.offline == ""


def test_retry_after_of_a_429_holds_all_threads_back(world: World) -> None:
    refused, slow = world.registry.files[:2]
    world.misbehave(refused, "429 1")
    world.misbehave(slow, "slow")  # keeps the other thread busy until the refusal has arrived
    assert world.fetch(connections=2).complete
    (when,) = [request.time for request in world.site.requests if request.fault.startswith("429")]
    later = [r.time for r in world.site.requests if not r.fault]
    assert len(later) == len(world.registry.files) - 1
    assert min(later) - when >= 1.0


def test_a_server_that_asks_for_hours_is_left_alone(world: World) -> None:
    file = world.registry.files[0]
    world.misbehave(file, "429 7200")
    started = time.monotonic()
    report = world.fetch((file,))
    assert "7200 s" in report.failed[file.path]
    assert time.monotonic() - started < 3


def test_a_busy_server_is_asked_again(world: World) -> None:
    file = world.registry.files[0]
    world.misbehave(file, "503", "503")
    assert world.fetch((file,)).complete
    assert len(world.asked(file)) == 3


@pytest.mark.parametrize("fault", ["ignore range", "other range", "416", ""])
def test_resuming_a_part_left_behind(world: World, fault: str) -> None:
    file = max(world.registry.files, key=lambda file: file.size)
    part = part_path(file, world.root)
    part.parent.mkdir(parents=True)
    part.write_bytes(world.site.content[world.server_path(file)][: file.size // 3])
    world.misbehave(file, fault)
    report = world.fetch((file,))
    assert report.complete
    assert world.intact(file)
    assert world.asked(file)[0].range == f"bytes={file.size // 3}-"
    assert (report.received == file.size - file.size // 3) == (fault == "")
    assert world.leftovers() == []


def test_a_spoilt_part_is_thrown_away(world: World) -> None:
    small, large = sorted(world.registry.files, key=lambda file: file.size)[:2]
    for file, size in ((small, small.size - 1), (large, large.size + 7)):
        part_path(file, world.root).parent.mkdir(parents=True, exist_ok=True)
        part_path(file, world.root).write_bytes(b"\0" * size)
    assert world.fetch((small, large)).complete
    assert world.intact(small)
    assert world.intact(large)


@pytest.mark.parametrize("fault", ["longer", "shorter", "compressed"])
def test_bodies_of_another_size_are_refused(world: World, fault: str) -> None:
    file = world.registry.files[0]
    world.misbehave(file, fault, "always")
    report = world.fetch((file,))
    assert list(report.failed) == [file.path]
    assert report.received <= file.size * QUICK.attempts
    assert not file.under(world.root).exists()


def test_a_changed_file_is_replaced_only_by_the_right_one(world: World) -> None:
    bad, good = world.registry.files[:2]
    for file in (bad, good):
        file.under(world.root).parent.mkdir(parents=True, exist_ok=True)
        file.under(world.root).write_bytes(b"?" * file.size)
    world.misbehave(bad, "404", "always")
    report = world.fetch((bad, good))
    assert list(report.failed) == [bad.path]
    assert bad.under(world.root).read_bytes() == b"?" * bad.size
    assert world.intact(good)


def test_without_a_network_it_stops_at_once(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    world.site.url = f"http://127.0.0.1:{port}"
    started = time.monotonic()
    report = world.fetch()
    assert time.monotonic() - started < 5
    assert "127.0.0.1 cannot be reached" in report.offline
    assert set(report.failed) == {file.path for file in world.registry.files}
    assert [path for path in world.root.rglob("*") if not path.name.startswith(".")] == []


def test_a_data_root_that_cannot_be_used(world: World) -> None:
    world.root.write_text("a file")
    with pytest.raises(UserError, match="data root"):
        world.fetch()
    assert world.site.requests == []


def test_one_download_at_a_time(world: World) -> None:
    world.root.mkdir()
    with FileLock(world.root / ".fetch.lock"), pytest.raises(UserError, match="another download"):
        world.fetch()
    assert world.fetch().complete


def test_a_full_disk_is_told_and_stops(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, *args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(UserError, match="No space left"):
        fetch(world.registry.files, world.root, base_url=world.site.url, politeness=QUICK)


def _fetch_in_child(files: tuple[DataFile, ...], root: Path, url: str) -> None:
    fetch(files, root, base_url=url, politeness=QUICK)


def test_killed_in_the_middle_it_goes_on_where_it_was(world: World) -> None:
    file = max(world.registry.files, key=lambda file: file.size)
    world.misbehave(file, "hang")
    context = multiprocessing.get_context("spawn")
    child = context.Process(target=_fetch_in_child, args=((file,), world.root, world.site.url))
    child.start()
    part = part_path(file, world.root)
    deadline = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size >= 1) and time.monotonic() < deadline:
        time.sleep(0.02)
    child.kill()
    child.join(10)
    left = part.stat().st_size
    assert 0 < left < file.size
    assert not file.under(world.root).exists()
    assert world.fetch((file,)).complete
    assert world.intact(file)
    assert world.asked(file)[-1].range == f"bytes={left}-"


def test_progress_adds_up(world: World) -> None:
    seen: dict[str, int] = {}
    world.misbehave(world.registry.files[0], "wrong byte", "drop")
    fetch(
        world.registry.files,
        world.root,
        base_url=world.site.url,
        politeness=QUICK,
        at=lambda file, size: seen.update({file.path: size}),
    )
    assert seen == {file.path: file.size for file in world.registry.files}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("3", 3.0), (formatdate(1_000_060, usegmt=True), 60.0), (formatdate(999_000, usegmt=True), 0.0)]
    + [(value, 0.0) for value in ("", "soon", "-5", "1e9", "Mon, 99 Foo")],
)
def test_retry_after_header(value: str, seconds: float) -> None:
    assert retry_after_s({"Retry-After": value}, 1_000_000.0) == seconds


@pytest.mark.parametrize(
    "url", ["", "somewhere", "ftp://host/x", "file:///etc", "https://", "https://host/?q=1"]
)
def test_strange_base_urls_are_refused(url: str) -> None:
    with pytest.raises(UserError, match="base URL"):
        checked_base_url(url)


@pytest.fixture
def command(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Runs ``data ...`` over the world's registry; gives exit code and standard output."""
    monkeypatch.setattr(repro.cli.data, "load_registry", lambda: world.registry)

    def run(*arguments: str) -> tuple[int, str]:
        environment = {"SRGAN_DATA": str(world.root), "SRGAN_DATA_URL": world.site.url}
        result = CliRunner().invoke(repro.cli.data.app, list(arguments), env=environment)
        if isinstance(result.exception, UserError):  # told by repro.cli.common.run_app
            return result.exception.exit_code, result.stdout
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.stdout

    return run


def test_command_line_from_nothing_to_verified(world: World, command: Callable[..., tuple[int, str]]) -> None:
    count, size = len(world.registry.files), world.registry.size
    code, text = command("fetch", "--dry-run")
    assert code == 0
    assert f"to download: {count} files" in text
    assert f"({size} bytes)" in text
    assert world.site.requests == []
    assert not world.root.exists()

    code, text = command("fetch")
    assert code == 0
    assert text.splitlines()[-1].startswith(f"{count} fetched")
    assert command("verify")[0] == 0
    asked = len(world.site.requests)
    assert command("fetch")[0] == 0
    assert len(world.site.requests) == asked

    code, text = command("list", "--json")
    assert code == 0
    assert sum(source["present"] for source in json.loads(text)["sources"]) == count
    code, text = command("list")
    assert code == 0
    assert f"{count} of {count} files" in text


def test_command_line_tells_what_could_not_be_had(
    world: World, command: Callable[..., tuple[int, str]]
) -> None:
    file = world.registry.files[0]
    world.misbehave(file, "404", "always")
    code, text = command("fetch")
    assert code == 1
    assert f"not fetched: {file.path}: the server answers 404" in text
    code, text = command("verify", "--json")
    assert code == 1
    assert [(p["state"], p["path"]) for p in json.loads(text)["problems"]] == [("missing", file.path)]


def test_command_line_without_a_network_says_one_line(
    world: World, command: Callable[..., tuple[int, str]]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        world.site.url = f"http://127.0.0.1:{free.getsockname()[1]}"
    code, text = command("fetch")
    assert code == 1
    assert len(text.splitlines()) == 1
    assert text.startswith("no network: 127.0.0.1 cannot be reached")
    assert f"0 of {len(world.registry.files)} files" in text


def test_command_line_without_a_network_and_nothing_missing(
    world: World, command: Callable[..., tuple[int, str]]
) -> None:
    assert command("fetch")[0] == 0
    with socket.create_server(("127.0.0.1", 0)) as free:
        world.site.url = f"http://127.0.0.1:{free.getsockname()[1]}"
    assert command("fetch")[0] == 0


@pytest.mark.parametrize(
    "arguments", [("fetch", "--only", "nothing"), ("fetch", "--base-url", "x"), ("verify",)]
)
def test_command_line_refuses_bad_input(
    command: Callable[..., tuple[int, str]], arguments: tuple[str, ...]
) -> None:
    assert command(*arguments)[0] == 2


@pytest.mark.data
def test_the_whole_data_root_from_a_server_that_misbehaves(data_root: Path, tmp_path: Path) -> None:
    """All 1228 files, one in nine of them with a fault on the way."""
    registry = load_registry()
    world = World(registry, Site({}), tmp_path / "root")
    world.site.content = {
        world.server_path(file): file.under(data_root).read_bytes() for file in registry.files
    }
    faults = ("drop", "wrong byte", "503")
    for number, file in enumerate(registry.files[::9]):
        world.misbehave(file, faults[number % len(faults)])
    lost = registry.files[4]
    world.misbehave(lost, "404", "always")
    with serve(world.site):
        report = world.fetch(connections=8)
    assert list(report.failed) == [lost.path]
    assert report.fetched == len(registry.files) - 1
    assert [file.path for file in missing_files(registry.files, world.root)] == [lost.path]
    shutil.rmtree(world.root)
