"""An organisation's own name, look and contact."""

from msgspec import Struct

from handlers.base import BaseHandler
from handlers.operation import IMAGE, Access, Answer, operation
from handlers.views.urls import logo_url
from server.domain.brand import BrandUpdate
from server.domain.organizations import Organization


class OrganizationAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """An organisation; ``logoUrl`` is the path of its logo, which changes with it."""

    id: str
    name: str
    accent_color: str | None
    phone: str | None
    email: str | None
    logo_url: str | None


class OwnOrganization(BaseHandler):
    """The caller's organisation."""

    @operation(Access.OPERATOR, {200: Answer(OrganizationAnswer)}, errors=(403,))
    async def get(self) -> None:
        """The caller's organisation, and what its guests see of it."""
        self.write_json(organization_answer(await self.services.organizations.own(self.operator)))

    @operation(Access.OPERATOR, {200: Answer(OrganizationAnswer)}, errors=(403,), body=BrandUpdate)
    async def patch(self, body: BrandUpdate) -> None:
        """Change the caller's organisation; what is not sent stays as it is."""
        changed = await self.services.organizations.update(self.operator, body)
        self.write_json(organization_answer(changed))


class LogoFile(BaseHandler):
    """An organisation's logo, for its guests' browsers."""

    @operation(Access.PUBLIC, {200: IMAGE}, errors=(404, 503))
    async def get(self, org_id: str, digest: str) -> None:
        """A logo. Its address holds its digest, so it may be kept for good."""
        data, media = await self.services.organizations.logo(org_id, digest)
        self.set_header("Content-Type", media)
        self.set_header("Cache-Control", "public, max-age=31536000, immutable")
        # Opened by itself, it is a picture and nothing that runs.
        self.set_header("Content-Security-Policy", LOGO_POLICY)
        self.finish(data)


LOGO_POLICY = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; sandbox"


def organization_answer(organization: Organization) -> OrganizationAnswer:
    """An organisation as its operators see it."""
    brand = organization.brand
    return OrganizationAnswer(
        id=organization.id,
        name=organization.name,
        accent_color=brand.accent_color,
        phone=brand.phone,
        email=brand.email,
        logo_url=None if brand.logo is None else logo_url(organization.id, brand.logo.digest),
    )
