"""Sealed texts are read by their owner, under their secret, for their purpose, and else not."""

from server.services.seal import Seal

SECRET = "a secret of the server, of 32 bytes or more"
TEXT = "whsec_of a partner"


def test_what_was_sealed_is_read_again_also_after_a_restart():
    sealed = Seal(SECRET, b"one").seal("owner", TEXT)
    assert Seal(SECRET, b"one").unseal("owner", sealed) == TEXT
    assert TEXT.encode() not in sealed


def test_nobody_else_reads_it():
    sealed = Seal(SECRET, b"one").seal("owner", TEXT)
    assert Seal(SECRET + "!", b"one").unseal("owner", sealed) is None
    assert Seal(SECRET, b"other").unseal("owner", sealed) is None
    assert Seal(SECRET, b"one").unseal("other", sealed) is None
    assert Seal(SECRET, b"one").unseal("owner", sealed[:-1]) is None
    assert Seal(SECRET, b"one").unseal("owner", b"") is None
