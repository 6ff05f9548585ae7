"""An organisation as it is known: to its own operators, and to its guests by its brand."""

from msgspec import structs

from server.domain.brand import BrandUpdate, updated
from server.domain.errors import Forbidden, NotFound, OrganizationNotFound
from server.domain.organizations import Operator, Organization
from server.storage.organization_store import OrganizationStore


class Organizations:
    """Finds organisations, and lets each change its own name, look and contact."""

    def __init__(self, organizations: OrganizationStore) -> None:
        self._organizations = organizations

    async def own(self, operator: Operator) -> Organization:
        """The caller's organisation.

        Raises:
            Forbidden: the caller is none.
        """
        if operator.org_id is None:
            raise Forbidden("Only an organisation itself may do this")
        return await self.find(operator.org_id)

    async def find(self, org_id: str) -> Organization:
        """The organisation with that id.

        Raises:
            OrganizationNotFound: there is none.
        """
        organization = await self._organizations.find(org_id)
        if organization is None:
            raise OrganizationNotFound
        return organization

    async def update(self, operator: Operator, wanted: BrandUpdate) -> Organization:
        """Change the caller's organisation.

        Raises:
            Forbidden: the caller is none.
            InvalidInput: no text can be read on that colour, or that is no logo.
        """
        return await self.change(await self.own(operator), wanted)

    async def change(self, before: Organization, wanted: BrandUpdate) -> Organization:
        """Change an organisation.

        Raises:
            InvalidInput: no text can be read on that colour, or that is no logo.
        """
        name = wanted.name if isinstance(wanted.name, str) else before.name
        after = structs.replace(before, name=name, brand=updated(before.brand, wanted))
        await self._organizations.update(
            after, wanted.logo if isinstance(wanted.logo, bytes) else None
        )
        return after

    async def logo(self, org_id: str, digest: str) -> tuple[bytes, str]:
        """An organisation's present logo, and what kind of picture that is.

        Raises:
            NotFound: it has none of that digest.
        """
        data = await self._organizations.find_logo(org_id)
        logo = (await self.find(org_id)).brand.logo
        if logo is None or data is None or logo.digest != digest:
            raise NotFound
        return data, logo.media
