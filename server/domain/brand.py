"""What an organisation's guests see of it: its logo, its colour, and whom to call."""

import hashlib
import re
import struct
from collections.abc import Callable
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, structs

from server.domain.errors import InvalidInput

LARGEST_LOGO_BYTES = 24 * 1024
LARGEST_LOGO_SIDE = 1024
LEAST_CONTRAST = 4.5
"""Of a button's text against the button (WCAG 2, 1.4.3)."""

TEXTS = ("#ffffff", "#16202e")
"""What may stand on a button: white, or the ink of the pages. Both themes use the same two."""

Phone = Annotated[str, Meta(pattern=r"^\+?[0-9][0-9 ()./-]{2,38}$")]
Email = Annotated[str, Meta(pattern=r"^[^@\s<>\"]+@[^@\s<>\"]+\.[^@\s<>\"]+$", max_length=254)]
Colour = Annotated[str, Meta(pattern="^#[0-9a-fA-F]{6}$")]
OrganizationName = Annotated[str, Meta(min_length=1, max_length=100)]


class Logo(Struct, frozen=True, kw_only=True, rename="camel"):
    """A logo, but for its bytes; ``digest`` names these, so that they may be kept for good."""

    digest: str
    media: str
    width: int
    height: int


class Brand(Struct, frozen=True, kw_only=True, rename="camel"):
    """The look of an organisation's guest pages, and its contact."""

    accent_color: str | None = None
    phone: str | None = None
    email: str | None = None
    logo: Logo | None = None


class BrandUpdate(Struct, frozen=True, kw_only=True, rename="camel"):
    """Changes to an organisation; what is not sent stays as it is, and null takes it away.

    ``logo`` is a PNG, WebP or JPEG of at most 24 KiB and 1024 by 1024 pixels, in base64.
    """

    name: OrganizationName | UnsetType = UNSET
    accent_color: Colour | UnsetType | None = UNSET
    phone: Phone | UnsetType | None = UNSET
    email: Email | UnsetType | None = UNSET
    logo: bytes | UnsetType | None = UNSET


def updated(brand: Brand, wanted: BrandUpdate) -> Brand:
    """The brand after a change.

    Raises:
        InvalidInput: no text can be read on that colour, or that is no logo.
    """
    if isinstance(wanted.accent_color, str):
        text_on(wanted.accent_color)
    changes = {
        name: value
        for name in ("accent_color", "phone", "email")
        if (value := getattr(wanted, name)) is not UNSET
    }
    if wanted.logo is not UNSET:
        changes["logo"] = None if wanted.logo is None else logo_of(wanted.logo)
    return structs.replace(brand, **changes)


def text_on(colour: str) -> str:
    """The colour of the text on a button of that colour, in the light theme and in the dark.

    Raises:
        InvalidInput: neither of ours can be read on it.
    """
    contrast, text = max((contrast_of(colour, text), text) for text in TEXTS)
    if contrast < LEAST_CONTRAST:
        raise InvalidInput(
            "accentColor",
            f"no text has a contrast of {LEAST_CONTRAST} to 1 on it: {contrast:.2f} at best",
        )
    return text


def contrast_of(one: str, other: str) -> float:
    """The contrast of two colours, from 1 to 21 (WCAG 2)."""
    darker, lighter = sorted(map(_luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (
        channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
        for channel in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def logo_of(data: bytes) -> Logo:
    """What a logo's bytes are, by what they say themselves and nobody's word beside them.

    Raises:
        InvalidInput: they are no PNG, WebP or JPEG, or too large.
    """
    if len(data) > LARGEST_LOGO_BYTES:
        raise InvalidInput("logo", f"is larger than {LARGEST_LOGO_BYTES // 1024} KiB")
    for media, size_of in _SIZES.items():
        try:
            size = size_of(data)
        except (struct.error, IndexError):
            size = None  # it ends before it says how large it is
        if size is not None:
            width, height = size
            if not (0 < width <= LARGEST_LOGO_SIDE and 0 < height <= LARGEST_LOGO_SIDE):
                raise InvalidInput("logo", f"is not within {LARGEST_LOGO_SIDE} pixels a side")
            digest = hashlib.sha256(data).hexdigest()[:32]
            return Logo(digest=digest, media=media, width=width, height=height)
    raise InvalidInput("logo", "is no PNG, WebP or JPEG")


def _png_size(data: bytes) -> tuple[int, int] | None:
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR":
        return None
    return struct.unpack(">II", data[16:24])


def _webp_size(data: bytes) -> tuple[int, int] | None:
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    match data[12:16]:
        case b"VP8X":
            return _uint24(data, 24) + 1, _uint24(data, 27) + 1
        case b"VP8L":
            (bits,) = struct.unpack("<I", data[21:25])
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            width, height = struct.unpack("<HH", data[26:30])
            return width & 0x3FFF, height & 0x3FFF
        case _:
            return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    if data[:3] != b"\xff\xd8\xff":
        return None
    at = 2
    while True:
        mark, kind, length = struct.unpack(">BBH", data[at : at + 4])
        if mark != 0xFF:
            return None
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):  # a frame begins
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + length


def _uint24(data: bytes, at: int) -> int:
    return data[at] | data[at + 1] << 8 | data[at + 2] << 16


_SIZES: dict[str, Callable[[bytes], tuple[int, int] | None]] = {
    "image/png": _png_size,
    "image/webp": _webp_size,
    "image/jpeg": _jpeg_size,
}


def digits_of(phone: str) -> str:
    """A phone number as ``tel:`` links want it."""
    return re.sub(r"[^+0-9]", "", phone)
