"""Invitations: what lets one new node in. A code names the cluster and carries its own proof.

    cluster . expires (hex seconds since 1970) . nonce . signature

The signature is a keyed BLAKE2b over the rest; the key is the founder's secret, which every member knows from
the founder's record. Nothing is stored until the code is used: then its nonce is in the new member's record.
"""

from __future__ import annotations

from hashlib import blake2b
from hmac import compare_digest
from typing import NamedTuple


class Invitation(NamedTuple):
    """What a code says. `signature` is not checked by reading it."""

    cluster: str
    expires_s: int
    nonce: str
    signature: str

    def __str__(self) -> str:
        return f"{self.cluster}.{self.expires_s:x}.{self.nonce}.{self.signature}"


def invite(secret: bytes, cluster: str, nonce: str, expires_s: int) -> Invitation:
    """A signed invitation; `nonce` must never have been used."""
    return Invitation(cluster, expires_s, nonce, _sign(secret, cluster, nonce, expires_s))


def read_invitation(code: str) -> Invitation:
    """Raises ValueError on what is no code."""
    parts = code.strip().split(".")
    if len(parts) != 4 or not all(parts):
        raise ValueError("is no invitation: it has four parts, with dots between them; copy it whole")
    cluster, expires, nonce, signature = parts
    try:
        return Invitation(cluster, int(expires, 16), nonce, signature)
    except ValueError as problem:
        raise ValueError("is no invitation: its second part is no number; copy it whole") from problem


def is_signed(invitation: Invitation, secret: bytes) -> bool:
    """Whether a member of the cluster gave this."""
    expected = _sign(secret, invitation.cluster, invitation.nonce, invitation.expires_s)
    return bool(secret) and compare_digest(expected.encode(), invitation.signature.encode())


def _sign(secret: bytes, cluster: str, nonce: str, expires_s: int) -> str:
    text = f"{cluster}.{expires_s:x}.{nonce}".encode()
    return blake2b(text, key=secret, digest_size=16).hexdigest()
