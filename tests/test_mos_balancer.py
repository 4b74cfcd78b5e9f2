"""Two processes on one PostgreSQL behind nginx: votes, log-in, limits and exports go to either of them."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from mos_helpers.browsing import chromium, click_button, wait_armed
from mos_helpers.databases import new_database, postgres  # noqa: F401
from mos_helpers.serving import Server, free_port
from mos_helpers.studies import make_study, practised, small_toml
from mos_helpers.voters import Voter, vote_all
from playwright.sync_api import sync_playwright
from sqlalchemy import text

pytestmark = [pytest.mark.postgres, pytest.mark.browser, pytest.mark.xdist_group("mos_server")]

CONFIG = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream study {{ {servers} }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://study;
      proxy_next_upstream error timeout http_502 non_idempotent;
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
      proxy_set_header Host $host:$server_port;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }}
  }}
}}
"""


@contextmanager
def nginx(folder: Path, ports: list[int]) -> Iterator[str]:
    """nginx that deals requests to these ports in turn; its base URL."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    if not Path(program).is_file():
        pytest.skip("nginx is not installed")
    folder.mkdir()
    port = free_port()
    servers = " ".join(f"server 127.0.0.1:{number} fail_timeout=2s;" for number in ports)
    user = "user root;" if os.getuid() == 0 else ""
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(user=user, folder=folder, servers=servers, port=port), encoding="utf-8")
    process = subprocess.Popen([program, "-c", str(config), "-e", str(folder / "error.log")])
    try:
        base = f"http://127.0.0.1:{port}"
        for _ in range(200):
            try:
                httpx.get(f"{base}/mos/health", timeout=5)
                break
            except httpx.HTTPError:
                time.sleep(0.05)
        yield base
    finally:
        process.terminate()
        process.wait(timeout=15)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_share_one_study(
    tmp_path: Path,
    postgres: str,  # noqa: F811
) -> None:
    url = new_database(postgres)
    _, workspace = make_study(
        tmp_path, small_toml(raters=5, images=12, distance=4), url=url, height=60, width=80
    )
    invites = [practised(workspace, f"r0{number}") for number in range(1, 6)]
    more = ("--trusted-proxy", "127.0.0.1")
    servers = [Server(tmp_path, "small", url=url, more=more) for _ in range(2)]
    for server in servers:
        server.start()
    try:
        with nginx(tmp_path / "nginx", [server.port for server in servers]) as base:
            # wrong passwords count together, whichever process they reach
            form = {"password": "wrong"}
            codes = [httpx.post(f"{base}/mos/admin/login", data=form).status_code for _ in range(7)]
            assert codes == [403] * 5 + [429] * 2
            # one log-in opens both (from another address: the first one has used up its attempts)
            with httpx.Client(base_url=base) as admin:
                for server in servers:
                    opened = httpx.post(
                        f"{server.base}/mos/admin/login",
                        data={"password": "a long password"},
                        headers={"X-Forwarded-For": "192.0.2.1"},
                    )
                    assert opened.status_code == 303
                admin.cookies.set("mos_admin", opened.cookies["mos_admin"], domain="127.0.0.1")
                for _ in range(4):
                    reply = admin.get("/mos/admin/export.zip", timeout=60)
                    assert reply.status_code == 200
                names = zipfile.ZipFile(io.BytesIO(reply.content)).namelist()
                assert "ratings.csv" in names
                assert httpx.get(f"{base}/mos/admin/export.zip").status_code == 303
            # four raters vote through both, one process is killed meanwhile and comes back
            voters = [Voter(base, invite, seed=number) for number, invite in enumerate(invites[:4])]

            def kill() -> None:
                time.sleep(0.5)
                servers[0].kill()
                servers[0].start()

            killer = threading.Thread(target=kill)
            killer.start()
            vote_all(voters)
            killer.join()
            assert [len(voter.acknowledged) for voter in voters] == [48] * 4
            with workspace.database.read() as connection:
                stored = connection.execute(
                    text(
                        "SELECT count(*), count(DISTINCT presentation_id) FROM vote v "
                        "JOIN presentation p ON p.id = v.presentation_id WHERE p.phase = 'rating'"
                    )
                ).one()
            assert tuple(stored) == (192, 192)
            # and the pages and the stage work through the balancer, without stickiness
            with sync_playwright() as playwright, chromium(playwright, tmp_path / "profile") as context:
                page = context.new_page()
                page.goto(f"{base}/mos/enter#{invites[4]}")
                click_button(page, "Start")
                for key in "345":
                    wait_armed(page)
                    page.keyboard.press(key)
                    page.wait_for_timeout(100)
                wait_armed(page)
            with workspace.database.read() as connection:
                scores = connection.execute(
                    text(
                        "SELECT score FROM vote v JOIN presentation p ON p.id = v.presentation_id "
                        "WHERE p.phase = 'rating' AND p.rater_id = 5 ORDER BY p.position"
                    )
                ).scalars()
                assert list(scores) == [3, 4, 5]
        # no invite in the balancer's log
        log = (tmp_path / "nginx" / "access.log").read_text(encoding="utf-8")
        assert "/mos/enter" in log
        assert not any(invite in log for invite in invites)
    finally:
        for server in servers:
            server.stop()
        workspace.close()
