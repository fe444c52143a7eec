"""Invitations: whoever holds the founder's secret can make and know them, nobody else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.core.invitations import invite, is_signed, read_invitation

SECRET = bytes(range(32))
words = st.text("abcdef0123456789", min_size=1, max_size=16)
times = st.integers(0, 1 << 40)


@given(words, words, times)
def test_what_is_written_is_read_and_known(cluster, nonce, expires_s):
    invitation = invite(SECRET, cluster, nonce, expires_s)
    assert read_invitation(f" {invitation}\n") == invitation
    assert is_signed(invitation, SECRET)


@given(words, words, times, words, times)
def test_whoever_changes_it_spoils_it(cluster, nonce, expires_s, other, later):
    invitation = invite(SECRET, cluster, nonce, expires_s)
    forged = [
        invitation._replace(cluster=f"{cluster}{other}"),
        invitation._replace(nonce=f"{other}{nonce}"),
        invitation._replace(expires_s=expires_s + later + 1),
        invitation._replace(signature=f"{invitation.signature}0"),
    ]
    assert not any(is_signed(each, SECRET) for each in forged)
    assert not is_signed(invitation, SECRET[1:])
    assert not is_signed(invite(b"", cluster, nonce, expires_s), b""), (
        "a member without a secret signs nothing"
    )


@pytest.mark.parametrize("code", ["", "a.b.c", "a.b.c.d.e", "a..c.d", "a.zz.c.d", "a. .c.d"])
def test_what_is_no_code_is_refused(code):
    with pytest.raises(ValueError, match="is no invitation"):
        read_invitation(code)
