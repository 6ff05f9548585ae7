"""What an organisation's guests see of it."""

import re
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.brand import (
    LARGEST_LOGO_BYTES,
    LEAST_CONTRAST,
    TEXTS,
    Brand,
    BrandUpdate,
    contrast_of,
    digits_of,
    logo_of,
    text_on,
    updated,
)
from server.domain.errors import InvalidInput

STYLE = (Path(__file__).parents[3] / "static" / "latchkey.css").read_text()
CARDS = re.findall(r"--card: (#[0-9a-f]{6});", STYLE.replace("#fff;", "#ffffff;"))
"""What buttons lie on, in the light scheme and in the dark."""


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    rows = zlib.compress(b"\0" * (width + 1) * height)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


WEBP_LOSSY = b"RIFF\0\0\0\0WEBPVP8 " + bytes(10) + struct.pack("<HH", 64, 32)
WEBP_LOSSLESS = b"RIFF\0\0\0\0WEBPVP8L" + bytes(5) + struct.pack("<I", 63 | 31 << 14)
WEBP_EXTENDED = b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + b"\x3f\0\0\x1f\0\0"
JPEG = (
    b"\xff\xd8\xff\xe0"
    + struct.pack(">H", 4)
    + b"JF\xff\xc0"
    + struct.pack(">HBHH", 11, 8, 32, 64)
    + bytes(6)
)


@pytest.mark.parametrize(
    ("data", "media"),
    [
        (png(64, 32), "image/png"),
        (WEBP_LOSSY, "image/webp"),
        (WEBP_LOSSLESS, "image/webp"),
        (WEBP_EXTENDED, "image/webp"),
        (JPEG, "image/jpeg"),
    ],
)
def test_a_logo_says_itself_what_it_is(data: bytes, media: str) -> None:
    logo = logo_of(data)
    assert (logo.media, logo.width, logo.height) == (media, 64, 32)
    assert len(logo.digest) == 32


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"GIF89a" + bytes(20),
        png(64, 32)[:20],
        png(0, 32),
        png(1025, 8),
        JPEG[:8],
        b"\xff\xd8\xff\xe0\0\0\0\0",
        WEBP_LOSSY[:14],
        png(8, 8) + bytes(LARGEST_LOGO_BYTES),
    ],
)
def test_what_is_no_small_picture_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="logo"):
        logo_of(data)


@pytest.mark.parametrize(
    ("colour", "text"),
    [("#0b5fd0", "#ffffff"), ("#ffc24b", "#16202e"), ("#000000", "#ffffff")],
)
def test_a_buttons_text_can_be_read_on_it(colour: str, text: str) -> None:
    assert text_on(colour) == text
    assert contrast_of(colour, text) >= LEAST_CONTRAST


@given(st.integers(0, 0xFFFFFF))
def test_a_button_stands_out_from_its_card_in_both_schemes(number: int) -> None:
    """By its colour, or by its edge, which has the colour of its text (3 to 1: WCAG 2, 1.4.11)."""
    colour = f"#{number:06x}"
    try:
        edge = text_on(colour)
    except InvalidInput:
        return  # nobody's buttons have it
    assert len(CARDS) == 2
    for card in CARDS:
        assert max(contrast_of(colour, card), contrast_of(edge, card)) >= 3, card


def test_a_colour_on_which_nothing_can_be_read_is_refused() -> None:
    grey = "#808080"
    assert max(contrast_of(grey, text) for text in TEXTS) < LEAST_CONTRAST
    with pytest.raises(InvalidInput, match="accentColor"):
        updated(Brand(), BrandUpdate(accent_color=grey))


def test_black_on_white_has_all_the_contrast_there_is() -> None:
    assert contrast_of("#000000", "#ffffff") == pytest.approx(21)
    assert contrast_of("#777777", "#777777") == 1


def test_what_is_not_sent_stays_and_null_takes_it_away() -> None:
    before = updated(Brand(), BrandUpdate(phone="+39 06 1234", email="desk@example.org"))
    after = updated(before, BrandUpdate(email=None))
    assert (after.phone, after.email) == ("+39 06 1234", None)


def test_a_phone_number_is_dialled_by_its_digits() -> None:
    assert digits_of("+39 (06) 12-34") == "+39061234"
