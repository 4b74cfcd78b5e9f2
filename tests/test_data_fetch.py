"""Downloading from a real HTTP server on loopback that serves images and misbehaves."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import socket
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import numpy as np
import pooch
import pytest
from typer.testing import CliRunner

import repro.cli.data
import repro.data.fetch
from repro.core.errors import UserError
from repro.data.fetch import Fetched, checked_base_url, fetch, missing_files
from repro.data.sources import DataFile, Registry, Source, load_registry
from repro.imaging.io import png_bytes


@dataclass
class Request:
    path: str
    fault: str


@dataclass
class Site:
    """What the server serves, how it misbehaves, and what it was asked."""

    content: dict[str, bytes]
    faults: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    requests: list[Request] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""

    def next_fault(self, path: str) -> str:
        with self.lock:
            faults = self.faults[path]
            # the last fault of a list that ends in "always" stays
            fault = faults[0] if faults[1:] == ["always"] else faults.pop(0) if faults else ""
            self.requests.append(Request(path, fault))
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
            fault = site.next_fault(path)
            body = site.content.get(path)
            if fault == "404" or body is None:
                return self.answer(404, b"404: Not Found", {})
            if fault.startswith("429"):
                return self.answer(429, b"slow down", {"Retry-After": fault.split()[1]})
            if fault == "503":
                return self.answer(503, b"", {})
            if fault == "login page":
                return self.answer(200, b"<html>Welcome to the hotel</html>", {"Content-Type": "text/html"})
            if fault == "wrong byte":
                body = bytes([body[0] ^ 1]) + body[1:]
            if fault == "compressed":
                return self.answer(200, gzip.compress(body), {"Content-Encoding": "gzip"})
            if fault == "longer":  # no length declared: only counting tells
                self.send_response(200)
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(body + b"x" * 500_000)
                self.close_connection = True
                return None
            if fault == "shorter":
                return self.answer(200, body[: len(body) // 2], {})
            if fault in {"drop", "trickle"}:
                self.answer(200, body[: len(body) // 2], {}, declared=len(body))
                for byte in body[len(body) // 2 :] if fault == "trickle" else b"":
                    try:
                        self.wfile.write(bytes([byte]))
                    except OSError:
                        break
                    time.sleep(0.01)
                self.wfile.flush()
                with suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return None
            return self.answer(200, body, {})

    return Handler


@dataclass
class World:
    """A registry, a server that has its files, and an empty data root."""

    registry: Registry
    site: Site
    root: Path

    def server_path(self, file: DataFile) -> str:
        return f"/{file.source.repository}/{file.source.commit}/{file.repository_path}"

    def fetch(self, files: tuple[DataFile, ...] | None = None, attempts: int = 2) -> Fetched:
        chosen = missing_files(self.registry.files if files is None else files, self.root)
        return fetch(chosen, self.root, base_url=self.site.url, connections=4, attempts=attempts)

    def misbehave(self, file: DataFile, *faults: str) -> None:
        self.site.faults[self.server_path(file)] = list(faults)

    def asked(self, file: DataFile) -> list[Request]:
        return self.site.asked(self.server_path(file))

    def intact(self, file: DataFile) -> bool:
        path = file.under(self.root)
        return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256

    def leftovers(self) -> list[str]:
        """Files in the data root that the registry does not list."""
        listed = {file.under(self.root) for file in self.registry.files}
        return [path.name for path in self.root.rglob("*") if path.is_file() and path not in listed]


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


@pytest.fixture(autouse=True)
def _no_waiting_between_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooch.core, "time", SimpleNamespace(sleep=lambda seconds: None))


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
        self.server.handle_error = lambda *about: None  # a client that hangs up is expected
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


@pytest.mark.parametrize("fault", ["wrong byte", "drop", "503", "429 0"])
def test_a_passing_fault_is_mended_by_another_attempt(world: World, fault: str) -> None:
    file = max(world.registry.files, key=lambda file: file.size)
    world.misbehave(file, fault)
    assert world.fetch((file,)).complete
    assert world.intact(file)
    assert [request.fault for request in world.asked(file)] == [fault, ""]


def test_a_file_that_stays_wrong_never_gets_its_name(world: World) -> None:
    file = world.registry.files[0]
    world.misbehave(file, "wrong byte", "always")
    report = world.fetch()
    assert list(report.failed) == [file.path]
    assert "SHA-256" in report.failed[file.path]
    assert len(world.asked(file)) == 2
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


def test_a_server_that_asks_for_hours_is_left_alone(world: World) -> None:
    file = world.registry.files[0]
    world.misbehave(file, "429 7200")
    report = world.fetch((file,))
    assert "7200 s" in report.failed[file.path]
    assert len(world.asked(file)) == 1


@pytest.mark.parametrize("fault", ["longer", "shorter", "compressed"])
def test_bodies_of_another_size_are_refused(world: World, fault: str) -> None:
    file = world.registry.files[0]
    world.misbehave(file, fault, "always")
    report = world.fetch((file,))
    assert list(report.failed) == [file.path]
    assert len(world.asked(file)) == 1
    assert report.received <= file.size
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
    report = world.fetch()
    assert report.offline == "127.0.0.1 cannot be reached (Connection refused)"
    assert set(report.failed) == {file.path for file in world.registry.files}
    assert [path for path in world.root.rglob("*") if path.is_file()] == []


def test_a_captive_portal_is_told_after_one_page(world: World) -> None:
    """Every address gives its login page: no second attempt, and not file after file."""
    for file in world.registry.files:
        world.misbehave(file, "login page", "always")
    report = world.fetch()
    assert "a web page comes in place of" in report.offline
    assert set(report.failed) == {file.path for file in world.registry.files}
    assert len(world.site.requests) <= 4
    assert world.leftovers() == []


def test_a_page_in_place_of_one_file_stops_no_other(world: World) -> None:
    last = world.registry.files[-1]
    assert world.fetch(world.registry.files[:1]).complete
    world.misbehave(last, "login page", "always")
    report = fetch(world.registry.files[1:], world.root, base_url=world.site.url, connections=1)
    assert list(report.failed) == [last.path]
    assert report.offline == ""


def test_a_server_that_trickles_is_left_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repro.data.fetch, "PATIENCE_S", 0.05)
    monkeypatch.setattr(repro.data.fetch, "SLOWEST", 10_000_000)
    file = max(world.registry.files, key=lambda file: file.size)
    world.misbehave(file, "trickle", "always")
    report = world.fetch((file,))
    assert "bytes a second" in report.offline
    assert len(world.asked(file)) == 1
    assert world.leftovers() == []


def test_a_trickle_after_other_files_ends_that_file(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repro.data.fetch, "PATIENCE_S", 0.5)
    monkeypatch.setattr(repro.data.fetch, "SLOWEST", 10_000_000)
    small, *_, large = sorted(world.registry.files, key=lambda file: file.size)
    world.misbehave(large, "trickle", "always")
    report = fetch((small, large), world.root, base_url=world.site.url, connections=1, attempts=1)
    assert list(report.failed) == [large.path]
    assert "bytes a second" in report.failed[large.path]
    assert report.offline == ""


def test_a_data_root_that_cannot_be_used(world: World) -> None:
    world.root.write_text("a file")
    with pytest.raises(UserError, match="data root"):
        world.fetch()
    assert world.site.requests == []


def test_a_full_disk_is_told_and_stops(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, *args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(UserError, match="No space left"):
        fetch(world.registry.files, world.root, base_url=world.site.url)
    assert world.leftovers() == []


def test_files_are_as_readable_as_their_folder(world: World) -> None:
    world.root.mkdir()
    world.root.chmod(0o755)
    file = world.registry.files[0]
    assert world.fetch((file,)).complete
    assert file.under(world.root).stat().st_mode & 0o777 == 0o644


def test_progress_adds_up(world: World) -> None:
    seen: dict[str, int] = {}
    world.misbehave(world.registry.files[0], "wrong byte", "drop")
    fetch(
        world.registry.files,
        world.root,
        base_url=world.site.url,
        at=lambda file, size: seen.update({file.path: size}),
    )
    assert seen == {file.path: file.size for file in world.registry.files}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "somewhere",
        "ftp://host/x",
        "file:///etc",
        "https://",
        "https://host/?q=1",
        "http://[::1",
        "http://host:x",
    ],
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
    """All listed files, one in nine of them with a fault on the way."""
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
        report = world.fetch()
    assert list(report.failed) == [lost.path]
    assert report.fetched == len(registry.files) - 1
    assert [file.path for file in missing_files(registry.files, world.root)] == [lost.path]
    shutil.rmtree(world.root)
