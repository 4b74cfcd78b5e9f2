"""Simulated raters over HTTP: they answer what the server shows, retry like the stage, and remember."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

DISPLAY = {
    "surface": "stage",
    "pixel_ratio": 1,
    "rect_left": 100,
    "rect_top": 100,
    "zoom": 1,
    "window_width": 1280,
    "window_height": 720,
    "screen_width": 1280,
    "screen_height": 800,
    "hidden": False,
}


@dataclass
class Voter:
    """One rater. ``acknowledged`` lists (item, score) of every vote that the server confirmed."""

    base: str
    invite: str
    think_s: float = 0.0
    fetch_images: bool = True
    limit: int | None = None
    deadline: float = float("inf")
    acknowledged: list[tuple[str, int]] = field(default_factory=list)
    vote_s: list[float] = field(default_factory=list)
    image_s: list[float] = field(default_factory=list)
    retries: int = 0
    errors: list[str] = field(default_factory=list)
    positions: list[tuple[int, int]] = field(default_factory=list)
    seed: int = 0

    async def run(self, client: httpx.AsyncClient) -> None:
        """Answers until the rater is through, or ``limit`` votes or the deadline are reached."""
        headers = {"Authorization": f"Bearer {self.invite}"}
        # raters do not all open their links in the same instant
        await asyncio.sleep(2 * self.think_s * (self.seed % 97) / 97)
        state = (await self._ask(client, "GET", "state", headers))["state"]
        fetched: set[str] = set()
        while time.monotonic() < self.deadline:
            if state["current"] is None:
                # a card between two stretches: the state after it is the same for the server
                state = (await self._ask(client, "GET", "state", headers))["state"]
                if state["current"] is None:
                    return
            for item in [state["current"], *state["next"]]:
                if self.fetch_images and item["image"] not in fetched:
                    fetched.add(item["image"])
                    begin = time.perf_counter()
                    reply = await self._get(client, item["image"], headers)
                    self.image_s.append(time.perf_counter() - begin)
                    if reply is not None and not reply.content.startswith(b"\x89PNG"):
                        self.errors.append(f"image: {reply.status_code}")
            if self.limit is not None and len(self.acknowledged) >= self.limit:
                return
            await asyncio.sleep(self.think_s)
            item = state["current"]
            self.seed = (self.seed * 1103515245 + 12345) % 2**31
            score = 1 + (self.seed >> 16) % 5
            display = {**DISPLAY, "rect_width": item["width"], "rect_height": item["height"]}
            ballot = {
                "item": item["item"],
                "nonce": secrets.token_urlsafe(16),
                "score": score,
                "response_ms": 900,
                "display": display,
            }
            begin = time.perf_counter()
            reply = await self._ask(client, "POST", "vote", headers, ballot)
            self.vote_s.append(time.perf_counter() - begin)
            if reply["reason"] not in {"saved", "repeated"}:
                self.errors.append(f"vote: {reply['reason']}")
            else:
                self.acknowledged.append((item["item"], score))
                self.positions.append((state["block"], state["place"]))
            state = reply["state"]

    async def _ask(
        self,
        client: httpx.AsyncClient,
        method: str,
        path: str,
        headers: dict[str, str],
        body: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        for attempt in range(600):
            try:
                reply = await client.request(method, f"{self.base}/mos/{path}", headers=headers, json=body)
                if reply.status_code in {200, 409, 422}:
                    content: dict[str, Any] = reply.json()
                    return content
                if reply.status_code not in {503, 429}:
                    self.errors.append(f"{path}: {reply.status_code}")
            except httpx.HTTPError:
                pass
            self.retries += 1
            await asyncio.sleep(min(0.5, 0.02 * (attempt + 1)))
        raise AssertionError(f"{path} was never answered")

    async def _get(
        self, client: httpx.AsyncClient, name: str, headers: dict[str, str]
    ) -> httpx.Response | None:
        for attempt in range(200):
            try:
                reply = await client.get(f"{self.base}/mos/s/{name}", headers=headers)
                if reply.status_code == 200:
                    return reply
                if reply.status_code == 404:
                    return None
            except httpx.HTTPError:
                pass
            self.retries += 1
            await asyncio.sleep(min(0.5, 0.02 * (attempt + 1)))
        return None


async def _run_all(voters: list[Voter]) -> None:
    limits = httpx.Limits(max_connections=len(voters) + 10, max_keepalive_connections=len(voters) + 10)
    async with httpx.AsyncClient(timeout=20, limits=limits) as client:
        await asyncio.gather(*(voter.run(client) for voter in voters))


def vote_all(voters: list[Voter]) -> None:
    """Runs all voters at once."""
    asyncio.run(_run_all(voters))


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least ``share`` of the values do not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]
