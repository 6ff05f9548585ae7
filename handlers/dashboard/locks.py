"""The page of one lock, and what can be done with it."""

from typing import Annotated

from msgspec import Meta, Struct

from handlers.dashboard.base import DashboardHandler
from handlers.operation import NOTHING, PAGE, Access, operation
from handlers.views.lock_page_view import lock_page_view
from handlers.views.urls import lock_page_url, with_query
from server.domain.commands import new_attempt
from server.domain.errors import InvalidInput
from server.domain.lock_requests import OpenLock


class LockQuery(Struct, frozen=True, kw_only=True):
    """The opening that was just asked for here."""

    command: Annotated[str, Meta(max_length=100)] | None = None


class OpenForm(Struct, frozen=True, kw_only=True):
    """Why the door is opened; the same ``attempt`` is the same opening."""

    attempt: Annotated[str, Meta(max_length=200)] = ""
    reason: Annotated[str, Meta(max_length=500)] | None = None


class CredentialForm(Struct, frozen=True, kw_only=True):
    """A new token is wanted, and what that means is understood."""

    sure: str = ""


class LockPage(DashboardHandler):
    """Everything about one lock."""

    here = "fleet"

    @operation(Access.DASHBOARD, {200: PAGE}, errors=(404,), query=LockQuery)
    async def get(self, lock_id: int, query: LockQuery) -> None:
        overview = await self.services.lock_overviews.find(self.operator, lock_id)
        command = None
        if query.command is not None:
            command = await self.services.locks.command(self.operator, query.command)
        view = lock_page_view(overview, command)
        self.render("dashboard/lock.html", view=view, attempt=new_attempt())


class OpenNow(DashboardHandler):
    """Open a lock from the desk."""

    @operation(Access.DASHBOARD, {303: NOTHING}, errors=(404, 409, 502), form=OpenForm)
    async def post(self, lock_id: int, form: OpenForm) -> None:
        wanted = OpenLock(request_id=form.attempt or None, reason=form.reason)
        opened = await self.services.operator_opening.open(self.operator, lock_id, wanted)
        self.see_other(with_query(lock_page_url(lock_id), command=opened.command.id) + "#asked")


class NewCredential(DashboardHandler):
    """Replace a lock's credential; the new token is shown this once."""

    @operation(Access.DASHBOARD, {200: PAGE}, errors=(404,), form=CredentialForm)
    async def post(self, lock_id: int, form: CredentialForm) -> None:
        if form.sure != "yes":
            raise InvalidInput("", "Tick the box first: the lock's old token ends at once")
        issued = await self.services.credential_changes.issue_token(self.operator, lock_id)
        lock = await self.services.locks.find(self.operator, lock_id)
        self.render(
            "dashboard/credential.html", lock=lock, token=issued.token, url=lock_page_url(lock_id)
        )
