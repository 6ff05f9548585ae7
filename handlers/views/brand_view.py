"""An organisation's brand on its guests' pages."""

import base64
import hashlib

from msgspec import Struct

from handlers.views.urls import logo_url
from server.domain.brand import Brand, digits_of, text_on
from server.domain.organizations import Organization

_LOGO_HEIGHT = 40
_STYLE = ":root{{--act:{accent};--on-act:{text};--glyph:{text};--edge:{text}}}"


class LogoView(Struct, frozen=True, kw_only=True):
    """A logo, and how large it is shown."""

    url: str
    width: int
    height: int


class BrandView(Struct, frozen=True, kw_only=True):
    """What ``base.html`` shows of an organisation. ``style`` is a style sheet of its own."""

    name: str
    logo: LogoView | None
    style: str | None
    phone: str | None
    phone_url: str | None
    email: str | None

    @property
    def style_source(self) -> str | None:
        """The source that lets ``style``, and no other, into the content security policy."""
        if self.style is None:
            return None
        digest = base64.b64encode(hashlib.sha256(self.style.encode()).digest()).decode()
        return f"'sha256-{digest}'"


def brand_view(organization: Organization) -> BrandView:
    """What the pages show of an organisation."""
    brand = organization.brand
    return BrandView(
        name=organization.name,
        logo=_logo_view(organization.id, brand),
        style=None
        if brand.accent_color is None
        else _STYLE.format(accent=brand.accent_color, text=text_on(brand.accent_color)),
        phone=brand.phone,
        phone_url=None if brand.phone is None else f"tel:{digits_of(brand.phone)}",
        email=brand.email,
    )


def _logo_view(org_id: str, brand: Brand) -> LogoView | None:
    if brand.logo is None:
        return None
    width = max(1, round(brand.logo.width * _LOGO_HEIGHT / brand.logo.height))
    url = logo_url(org_id, brand.logo.digest)
    return LogoView(url=url, width=min(width, 5 * _LOGO_HEIGHT), height=_LOGO_HEIGHT)
