"""Invites, opaque names and the admin's password: everything that must not be guessed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from repro.core.errors import UserError

INVITE_BYTES = 24
"""192 bits (at least 128 are asked for)."""

_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 2**15, 8, 1
_SCRYPT_MEMORY = 64 * 1024 * 1024


class UnknownInviteError(Exception):
    """The token belongs to no rater, or was revoked."""


def new_invite() -> str:
    """A fresh invite token; only :func:`invite_hash` of it is ever stored."""
    return secrets.token_urlsafe(INVITE_BYTES)


def invite_link(base_url: str, token: str) -> str:
    """A rater's link. The token is in the fragment, which browsers send to nobody."""
    return f"{base_url.rstrip('/')}/mos/enter#{token}"


def invite_hash(token: str) -> str:
    """SHA-256 of a token, hexadecimal: what the database holds.

    A plain hash is enough here: unlike a password, the token is as random as its hash is long.
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def new_study_secret() -> str:
    """The key from which a study's opaque names are derived, hexadecimal."""
    return secrets.token_hex(32)


def opaque_name(secret: str, *parts: str | int) -> str:
    """A 128-bit name that tells nothing, and cannot be made without the study's secret.

    The parts (purpose, rater, presentation, showing) make it differ per rater and presentation.
    """
    message = "\x1f".join(str(part) for part in parts).encode()
    digest = hmac.new(bytes.fromhex(secret), message, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode("ascii")


def same(left: str, right: str) -> bool:
    """Equality in constant time."""
    return hmac.compare_digest(left.encode("utf-8", "surrogatepass"), right.encode("utf-8", "surrogatepass"))


def hash_password(password: str) -> str:
    """``scrypt$salt$key`` for the environment variable MOS_ADMIN_PASSWORD_HASH."""
    if len(password) < 10:
        raise UserError("the admin's password is too short", "at least 10 characters", "choose a longer one")
    salt = secrets.token_bytes(16)
    return f"scrypt${salt.hex()}${_scrypt(password, salt).hex()}"


def check_password(password: str, stored: str) -> bool:
    """Whether ``password`` is the one that ``stored`` (from :func:`hash_password`) was made from."""
    salt, expected = parsed_hash(stored)
    return hmac.compare_digest(_scrypt(password, salt), expected)


def parsed_hash(stored: str) -> tuple[bytes, bytes]:
    """Salt and key in what :func:`hash_password` made.

    Raises:
        UserError: it is not of that form; a shell takes ``$`` in double quotes for variables.
    """
    try:
        scheme, salt, key = stored.split("$")
        if scheme == "scrypt":
            return bytes.fromhex(salt), bytes.fromhex(key)
    except ValueError:
        pass
    raise UserError(
        "MOS_ADMIN_PASSWORD_HASH is malformed",
        "scrypt$salt$key, in single quotes where a shell reads it",
        "python -m mos_app password",
    )


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"),
        salt=salt,
        n=_SCRYPT_N,
        r=_SCRYPT_R,
        p=_SCRYPT_P,
        maxmem=_SCRYPT_MEMORY,
        dklen=32,
    )
