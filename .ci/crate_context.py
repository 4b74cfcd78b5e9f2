"""Puts RO-Crate 1.1's JSON-LD context, as the package rocrate ships it, where the validator looks offline.

Run by the interpreter of the validator's own environment: crate_context.py CACHE
"""

import io
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter
from requests_cache import CachedSession
from urllib3 import HTTPResponse

CONTEXT = "https://w3id.org/ro/crate/1.1/context"
DATA = Path(str(distribution("rocrate").locate_file("rocrate/data/ro-crate.jsonld"))).read_bytes()
assert f'"@id": "{CONTEXT}"'.encode() in DATA[:200], "another version of RO-Crate"


class Shipped(BaseAdapter):
    """Answers every request with the package's file."""

    def send(self, request: PreparedRequest, **_: Any) -> Response:
        response = Response()
        response.status_code, response.request, response.url = 200, request, CONTEXT
        response.headers["Content-Type"] = "application/ld+json"
        response.raw = HTTPResponse(io.BytesIO(DATA), response.headers, 200, preload_content=False)
        return response

    def close(self) -> None:
        pass


session = CachedSession(sys.argv[1], backend="sqlite", expire_after=-1)
session.mount("https://", Shipped())
session.get(CONTEXT, headers={"Accept": "application/ld+json, application/json, */*;q=0.1"})
