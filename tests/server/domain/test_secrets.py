"""What the server makes up, and what it keeps of that."""

import hashlib
import re
import string
import uuid

from hypothesis import given
from hypothesis import strategies as st

from server.domain.secrets import (
    digest,
    masked,
    new_api_key,
    new_device_token,
    new_id,
    new_uuid,
)


def test_a_uuid_is_a_random_one():
    made = uuid.UUID(new_uuid())
    assert made.version == 4
    assert made.variant == uuid.RFC_4122


def test_a_uuid_is_written_in_its_usual_form():
    made = new_uuid()
    assert str(uuid.UUID(made)) == made


def test_an_api_key_is_forty_alphanumerics_after_its_prefix():
    assert re.fullmatch(r"lk_[A-Za-z0-9]{40}", new_api_key())


def test_a_device_token_is_256_bits_that_fit_a_header():
    token = new_device_token()
    assert len(token) == 43
    assert set(token) <= set(string.ascii_letters + string.digits + "-_")


def test_nothing_is_made_twice():
    for make in (new_uuid, new_api_key, new_device_token, new_id):
        assert len({make() for _ in range(200)}) == 200


def test_a_masked_key_shows_its_first_eight_and_last_four_characters():
    assert masked("lk_abcdefghijklmnopqrstuvwxyz") == "lk_abcde…wxyz"


def test_a_masked_key_does_not_show_the_rest():
    secret = new_api_key()
    assert secret[8:-4] not in masked(secret)


def test_a_digest_is_the_sha_256_of_the_secret():
    assert digest("abc") == hashlib.sha256(b"abc").hexdigest()


@given(secret=st.text(min_size=8))
def test_a_digest_does_not_show_the_secret(secret: str):
    assert secret not in digest(secret)


@given(one=st.text(), other=st.text())
def test_two_secrets_have_two_digests(one: str, other: str):
    assert (digest(one) == digest(other)) is (one == other)
