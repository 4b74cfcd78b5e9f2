"""The routes and the server's headers: who gets in, what gets out, and what is refused."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import uvicorn
from mos_helpers.serving import Server, serving
from mos_helpers.studies import log_entries, make_study, practised, small_toml
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.middleware import Middleware

from mos_app.db.admins import Admins
from mos_app.db.credentials import check_password, hash_password
from mos_app.db.raters import Registry
from mos_app.files.workspace import Workspace
from mos_app.web import protocol, routes, service
from mos_app.web.limits import AdminLogin, RateLimiter, client_key
from mos_app.web.server import Shield, bind
from mos_app.web.service import make_service
from repro.core.errors import UserError

pytestmark = pytest.mark.xdist_group("mos_routes")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, Server]]:
    folder = tmp_path_factory.mktemp("routes")
    _, workspace = make_study(folder, small_toml(raters=40))
    with serving(folder, "small", rate=14.0) as server:
        yield workspace, server
    workspace.close()


@pytest.fixture
def rater(served: tuple[Workspace, Server]) -> str:
    workspace, _ = served
    return practised(workspace, Registry(workspace.database, workspace.study).not_begun()[0])


def call(
    server: Server, method: str, path: str, invite: str = "", body: object = None, **headers: str
) -> httpx.Response:
    if invite:
        headers["Authorization"] = f"Bearer {invite}"
    content = None
    if body is not None:
        headers.setdefault("Content-Type", "application/json")
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.request(method, server.base + path, headers=headers, content=content, timeout=10)


def good(state: dict[str, object], **change: object) -> dict[str, object]:
    ballot: dict[str, object] = {
        "item": state["current"]["item"],  # type: ignore[index]
        "nonce": "n" * 22,
        "score": 4,
        "response_ms": 800,
        "display": {"surface": "plain"},
    }
    return {**ballot, **change}


def test_served_bytes_are_the_manifests(served: tuple[Workspace, Server], rater: str) -> None:
    import hashlib

    workspace, server = served
    known = set(Registry(workspace.database, workspace.study).stimulus_hashes())
    state = call(server, "GET", "/mos/state", rater).json()["state"]
    for item in [state["current"], *state["next"]]:
        reply = call(server, "GET", f"/mos/s/{item['image']}", rater, **{"Accept-Encoding": "gzip, br"})
        assert reply.status_code == 200
        assert reply.headers["content-type"] == "image/png"
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["content-encoding"] == "identity"
        assert hashlib.sha256(reply.content).hexdigest() in known
        assert "content-disposition" not in reply.headers
        assert "last-modified" not in reply.headers


def test_no_entry_without_a_valid_invite(served: tuple[Workspace, Server], rater: str) -> None:
    workspace, server = served
    state = call(server, "GET", "/mos/state", rater).json()["state"]
    image = state["current"]["image"]
    for invite in ("", "x" * 32, rater[:-1], rater + "x", "' OR 1=1 --", "%00"):
        for method, path, body in (
            ("GET", "/mos/state", None),
            ("POST", "/mos/vote", good(state)),
            ("POST", "/mos/undo", {"item": state["current"]["item"]}),
            ("GET", f"/mos/s/{image}", None),
        ):
            assert call(server, method, path, invite, body).status_code in {401, 429}
    # the cookie is for pictures and state only, never for a vote; an address opens nothing
    cookie = {"Cookie": f"mos_invite={rater}"}
    assert call(server, "POST", "/mos/vote", "", good(state), **cookie).status_code == 401
    assert call(server, "GET", f"/mos/s/{image}", **cookie).status_code == 200
    assert call(server, "GET", f"/mos/s/{image}?invite={rater}").status_code == 401
    # another rater's picture
    other = practised(workspace, Registry(workspace.database, workspace.study).not_begun()[0])
    assert call(server, "GET", f"/mos/s/{image}", other).status_code == 404
    Registry(workspace.database, workspace.study).revoke(call_code(workspace, rater))
    assert call(server, "GET", "/mos/state", rater).status_code in {401, 429}
    assert call(server, "GET", f"/mos/s/{image}", rater).status_code in {401, 429}


def call_code(workspace: Workspace, invite: str) -> str:
    from mos_app.db.votes import VoteService

    return VoteService(workspace.database, workspace.study).state(invite).code


@pytest.mark.parametrize(
    "path",
    [
        "/mos/s/..%2f..%2fstudy.png",
        "/mos/s/../../study.db",
        "/mos/s/%2e%2e/%2e%2e/study.db.png",
        "/mos/s/stimuli.png",
        "/mos/s/.png",
        "/mos/../study.toml",
        "/app/static/study.toml",
        "/media/../study.db",
        "/static/../../../../etc/passwd",
        "/component/x/../../study.toml",
        "/_stcore/metrics",
        "/_stcore/agent/openapi.json",
        "/_stcore/agent/mcp",
        "/_stcore/upload_file/a/b",
    ],
)
def test_nothing_else_can_be_read(served: tuple[Workspace, Server], rater: str, path: str) -> None:
    """Traversal and Streamlit's unused parts; Streamlit answers unknown pages with its empty shell."""
    _, server = served
    connection = httpx.Client(base_url=server.base)
    reply = connection.request(
        "GET",
        httpx.URL(server.base + "/").copy_with(raw_path=path.encode()),
        headers={"Authorization": f"Bearer {rater}"},
    )
    connection.close()
    shell = reply.headers.get("content-type", "").startswith("text/html")
    assert reply.status_code in {400, 403, 404, 405} or shell
    assert b"SQLite format" not in reply.content
    assert b"[[datasets]]" not in reply.content
    assert b"root:" not in reply.content


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_nothing_can_be_uploaded(served: tuple[Workspace, Server], method: str) -> None:
    _, server = served
    for path in ("/_stcore/upload_file/a/b", "/_stcore/upload_file", "/mos/s/x.png", "/mos/state"):
        assert call(server, method, path, body=b"x" * 100).status_code in {404, 405}


def test_malformed_votes_are_refused_and_change_nothing(served: tuple[Workspace, Server], rater: str) -> None:
    workspace, server = served
    state = call(server, "GET", "/mos/state", rater).json()["state"]
    bad = [
        good(state, score=0),
        good(state, score=6),
        good(state, score="4"),
        good(state, score=4.5),
        good(state, score=True),
        good(state, response_ms=-1),
        good(state, response_ms=100),
        good(state, nonce="short"),
        good(state, item="' OR '1'='1' --      "),
        good(state, more="x"),
        good(state, display={"surface": "synthetic"}),
        good(state, display={"surface": "stage", "pixel_ratio": 1e999}),
        [],
        "vote",
        None,
    ]
    for body in bad:
        reply = call(server, "POST", "/mos/vote", rater, json.dumps(body).encode())
        assert reply.status_code == 422, body
    assert call(server, "POST", "/mos/vote", rater, b"{" * 3000).status_code == 422
    assert call(server, "POST", "/mos/vote", rater, b"[" * 5000).status_code == 413
    form = call(server, "POST", "/mos/vote", rater, b"score=5", **{"Content-Type": "text/plain"})
    assert form.status_code == 415
    assert call(server, "GET", "/mos/state", rater).json()["state"] == state
    with workspace.database.read() as connection:
        found = connection.execute(
            text(
                "SELECT count(*) FROM vote v JOIN presentation p ON p.id = v.presentation_id "
                "WHERE p.phase = 'rating'"
            )
        ).scalar_one()
    assert found == 0
    assert call(server, "POST", "/mos/vote", rater, good(state)).status_code == 200
    again = call(server, "POST", "/mos/vote", rater, good(state))
    assert (again.status_code, again.json()["reason"]) == (200, "repeated")
    conflict = call(server, "POST", "/mos/vote", rater, good(state, nonce="m" * 22))
    assert (conflict.status_code, conflict.json()["reason"]) == (409, "conflict")


def test_headers_are_set_on_every_response(served: tuple[Workspace, Server]) -> None:
    _, server = served
    for path in ("/", "/admin", "/mos/health", "/mos/state", "/_stcore/agent/mcp", "/static/none.js"):
        reply = call(server, "GET", path)
        headers = reply.headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-eval" not in policy
        assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers
        assert "access-control-allow-origin" not in headers
    health = call(server, "GET", "/mos/health")
    assert health.json() == {"health": "ok"}


def test_too_many_requests_of_one_invite_are_slowed_down(
    served: tuple[Workspace, Server], rater: str
) -> None:
    _, server = served
    with httpx.Client(base_url=server.base, headers={"Authorization": f"Bearer {rater}"}) as client:
        codes = {client.get("/mos/s/none.png").status_code for _ in range(150)}
    assert codes == {404, 429}


def test_rate_limiter_is_fair_and_bounded() -> None:
    now = [0.0]
    limiter = RateLimiter(2.0, keys=3, clock=lambda: now[0])
    assert [limiter.allows("a") for _ in range(5)] == [True] * 4 + [False]
    assert limiter.allows("b")
    now[0] = 1.0
    assert [limiter.allows("a") for _ in range(3)] == [True, True, False]
    for key in "cdefg":
        assert limiter.allows(key)
    assert len(limiter._buckets) == 3
    slow = RateLimiter(0.3, clock=lambda: now[0])
    assert [slow.allows("a") for _ in range(2)] == [True, False]


def test_the_link_is_exchanged_for_a_cookie_and_never_in_an_address(
    served: tuple[Workspace, Server], rater: str
) -> None:
    _, server = served
    page = call(server, "GET", "/mos/enter")
    assert page.status_code == 200
    assert "/mos/enter.js" in page.text
    assert "location.hash" in call(server, "GET", "/mos/enter.js").text
    entered = call(server, "POST", "/mos/enter", body={"invite": rater})
    cookie = entered.headers["set-cookie"]
    assert entered.status_code == 200
    assert f"mos_invite={rater};" in cookie
    for part in ("HttpOnly", "SameSite=lax", "Path=/"):
        assert part in cookie
    for bad in ({"invite": "x"}, {"invite": rater + "\r\nSet-Cookie: a=b"}, {}, []):
        refused = call(server, "POST", "/mos/enter", body=bad)
        assert refused.status_code == 422
        # in a laboratory the next rater's link may be cut short: nobody goes on in place of the last one
        assert "mos_invite=none;" in refused.headers["set-cookie"]
    # older links had the invite in the query: exchanged at once
    old = call(server, "GET", f"/?invite={rater}&plain=1")
    assert (old.status_code, old.headers["location"]) == (303, "/?plain=1")
    assert f"mos_invite={rater};" in old.headers["set-cookie"]
    for mangled in ("%E2%82%AC", "a%0D%0Ab", f"{rater}.", ""):
        answer = call(server, "GET", f"/?invite={mangled}")
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert "mos_invite=none;" in answer.headers["set-cookie"]


def admins(workspace: Workspace, now: list[int]) -> Admins:
    return Admins(workspace.database, workspace.study.secret, lambda: now[0])


def test_wrong_passwords_lock_out_their_own_client_only(served: tuple[Workspace, Server]) -> None:
    workspace, _ = served
    now = [10**12]
    login = AdminLogin(admins(workspace, now), hash_password("a good password"))
    assert [login.opens("wrong", "10.0.0.1") for _ in range(5)] == [False] * 5
    assert login.opens("a good password", "10.0.0.1") is None
    # a restart gives no new attempts
    again = AdminLogin(admins(workspace, now), hash_password("a good password"))
    assert again.opens("a good password", "10.0.0.1") is None
    # sixty wrong passwords from everywhere, and the admin still gets in
    for client in range(12):
        for _ in range(5):
            assert admins(workspace, now).may_try(f"10.1.0.{client}")
    token = login.opens("a good password", "10.0.0.2")
    assert isinstance(token, str)
    assert login.knows(token)
    assert not login.knows(token[:-1])
    now[0] += 15 * 60_000 + 1
    assert isinstance(login.opens("a good password", "10.0.0.1"), str)
    now[0] += 12 * 3_600_000
    assert not login.knows(token)
    assert AdminLogin(admins(workspace, now), None).configured is False
    entries = log_entries(workspace, 8)
    assert {entry.kind for entry in entries} >= {"login_failed", "login"}
    # no address anywhere
    assert all(entry.detail == {} for entry in entries if entry.kind.startswith("login"))
    with workspace.database.read() as connection:
        stored = str(connection.execute(text("SELECT * FROM login_attempt")).all())
    assert "10." not in stored


def test_forty_parallel_guesses_pass_the_limit_five_times(served: tuple[Workspace, Server]) -> None:
    workspace, _ = served
    barrier = threading.Barrier(40)
    shared = admins(workspace, [2 * 10**12])

    def guess(_: int) -> bool:
        barrier.wait()
        return shared.may_try("10.0.0.9")

    with ThreadPoolExecutor(40) as pool:
        assert sum(pool.map(guess, range(40))) == 5


def test_clients_are_told_by_address_or_network() -> None:
    assert client_key("192.0.2.7") == client_key("::ffff:192.0.2.7") == "192.0.2.7"
    assert client_key("2001:db8:1:2::1") == client_key("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert client_key("2001:db8:1:3::1") != client_key("2001:db8:1:2::1")
    assert client_key(None) == client_key("nonsense") == "unknown"


def log_in(server: Server, password: str, **headers: str) -> httpx.Response:
    form = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    return call(server, "POST", "/mos/admin/login", "", f"password={password}".encode(), **form)


def test_forwarded_addresses_count_only_from_a_trusted_proxy(served: tuple[Workspace, Server]) -> None:
    workspace, server = served
    codes = [log_in(server, "wrong", **{"X-Forwarded-For": f"10.2.0.{k}"}).status_code for k in range(6)]
    assert codes == [403] * 5 + [429]
    assert "not trusted" in server.log
    folder = workspace.folder.path.parents[1]
    with serving(folder, "small", more=("--trusted-proxy", "127.0.0.1")) as behind:
        codes = [log_in(behind, "wrong", **{"X-Forwarded-For": f"10.3.0.{k}"}).status_code for k in range(6)]
        assert codes == [403] * 6
        # what the client wrote itself stands to the left of what the proxy added
        forged = [
            log_in(behind, "wrong", **{"X-Forwarded-For": f"10.4.0.{k}, 10.5.0.1"}).status_code
            for k in range(6)
        ]
        assert forged == [403] * 5 + [429]
        opened = log_in(
            behind, "a+long+password", **{"X-Forwarded-For": "10.6.0.1", "X-Forwarded-Proto": "https"}
        )
        assert (opened.status_code, opened.headers["location"]) == (303, "/admin")
        assert "HttpOnly" in opened.headers["set-cookie"]
        assert "Secure" in opened.headers["set-cookie"]
        assert "not trusted" not in behind.log


@pytest.fixture
def impatient(
    served: tuple[Workspace, Server], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[int]:
    """The routes in this process, with time limits of a third of a second; the port."""
    workspace, _ = served
    monkeypatch.setattr(protocol, "HEADER_SECONDS", 0.3)
    monkeypatch.setattr(routes, "BODY_SECONDS", 0.3)
    app = Starlette(routes=routes.create_routes(make_service(workspace)), middleware=[Middleware(Shield)])
    listener = bind("127.0.0.1", 0)
    config = uvicorn.Config(
        app, http=protocol.TimedProtocol, log_level="warning", log_config=None, timeout_keep_alive=1
    )
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()
    yield listener.getsockname()[1]
    running.should_exit = True
    thread.join()
    listener.close()


def exchange(port: int, data: bytes) -> bytes:
    """Everything the server says before it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(data)
        reply = b""
        while piece := connection.recv(4096):
            reply += piece
    return reply


def test_strangers_bodies_are_not_waited_for(impatient: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "BODY_SECONDS", 60.0)
    for token, length, told in ((b"x" * 32, 4000, b"401"), (b"", 4000, b"401")):
        header = b"POST /mos/vote HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        header += b"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n" % (token, length)
        assert exchange(impatient, header).split(b" ")[1] == told


def test_slow_headers_and_bodies_are_ended(impatient: int, rater: str) -> None:
    assert exchange(impatient, b"") == b""
    assert exchange(impatient, b"GET /mos/health HTTP/1.1\r\nHost: x\r\nX-Slow: ") == b""
    # the second request of a connection too
    twice = exchange(impatient, b"GET /mos/health HTTP/1.1\r\nHost: x\r\n\r\nGET /mos/he")
    assert twice.count(b"HTTP/1.1 200") == 1
    header = b"POST /mos/vote HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    header += b"Authorization: Bearer %s\r\nContent-Length: " % rater.encode()
    assert exchange(impatient, header + b"400\r\n\r\n{").split(b" ")[1] == b"408"
    assert exchange(impatient, header + b"5000\r\n\r\n{").split(b" ")[1] == b"413"


def test_an_aborted_request_logs_one_line(
    impatient: int, rater: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "BODY_SECONDS", 60.0)
    header = b"POST /mos/vote HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    header += b"Authorization: Bearer %s\r\nContent-Length: 400\r\n\r\n{" % rater.encode()
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", impatient), timeout=10) as connection:
            connection.sendall(header)
            time.sleep(0.1)
    deadline = time.monotonic() + 10
    while len(caplog.records) < 5 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [record.getMessage() for record in caplog.records] == [
        "a client went away in the middle of a request"
    ] * 5
    assert all(record.exc_info is None for record in caplog.records)


def test_passwords_are_hashed_with_scrypt() -> None:
    stored = hash_password("correct horse")
    assert stored.startswith("scrypt$")
    assert "correct" not in stored
    assert hash_password("correct horse") != stored
    assert check_password("correct horse", stored)
    assert not check_password("correct horse ", stored)
    for bad in ("", "plain", "md5$00$00", "scrypt$zz$00"):
        with pytest.raises(UserError):
            check_password("x", bad)
    with pytest.raises(UserError):
        hash_password("short")


def test_a_malformed_password_hash_is_told_before_anybody_logs_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(service.HASH_VARIABLE, "scrypt")  # what a shell leaves of it in double quotes
    with pytest.raises(UserError, match="single quotes"):
        service.take_password_hash()


def test_the_app_needs_no_torch_and_sql_has_one_home() -> None:
    code = (
        "import sys, mos_app; light = {'streamlit', 'sqlalchemy', 'pandas'} & set(sys.modules); "
        "import mos_app.cli.main, mos_app.web.server, mos_app.web.rater_page, mos_app.web.admin_page; "
        "import mos_app.files.importing, mos_app.files.simulate, mos_app.files.backup, mos_app.files.demo; "
        "ours = [name for name in sys.modules if name.startswith('analysis.')]; "
        "strangers = [name for name in ours if not name.startswith('analysis.stats')]; "
        "print(sorted(light), strangers + [n for n in ('torch', 'matplotlib') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] []"
    folder = Path(__file__).resolve().parents[1] / "mos_app"
    sources = {path: path.read_text(encoding="utf-8") for path in folder.rglob("*.py")}
    speaking = {
        path.relative_to(folder).as_posix()
        for path, source in sources.items()
        if any(line.startswith(("import sqlalchemy", "from sqlalchemy")) for line in source.splitlines())
        and "db/" not in path.relative_to(folder).as_posix()
    }
    # both only catch its errors
    assert speaking == {"web/routes.py", "files/importing.py"}
    for name in speaking:
        assert "sqlalchemy.exc import" in sources[folder / name]
