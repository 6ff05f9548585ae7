"""Issuing a key with a form."""

from collections.abc import Mapping

from msgspec import Struct

from handlers.dashboard.base import DashboardHandler, Posted
from handlers.dashboard.key_form import (
    FormProblems,
    KeyForm,
    blank_form,
    lock_words,
    problems_of,
    read_form,
    said_locks,
    wanted_key,
)
from handlers.operation import NOTHING, PAGE, Access, operation
from handlers.views.key_list_view import DAY_NAMES
from handlers.views.urls import key_page_url, with_query
from server import clock
from server.domain.errors import InvalidInput
from server.domain.refusals import NoFreePin, PinsOff
from server.domain.temp_keys import LockIdNumber

_MOST_SUGGESTED = 500


class NewKeyQuery(Struct, frozen=True, kw_only=True):
    """The lock that the key is for, where it is known already."""

    lock: LockIdNumber | None = None


class NewKeyPage(DashboardHandler):
    """The form that issues a key."""

    here = "keys"

    @operation(Access.DASHBOARD, {200: PAGE}, errors=(404,), query=NewKeyQuery)
    async def get(self, query: NewKeyQuery) -> None:
        lock = None
        if query.lock is not None:
            lock = await self.services.locks.find(self.operator, query.lock)
        await self._show(blank_form(lock, clock.now()), {})

    @operation(Access.DASHBOARD, {303: NOTHING, 400: PAGE}, errors=(503,), form=Posted)
    async def post(self, form: Posted) -> None:
        """Issue the key, or show the form again with what is wrong beside each field."""
        typed = read_form(self.form_fields())
        said = said_locks(typed)
        found = await self.services.locks.find_said(self.operator, said.values())
        locks = {text: found[look_up] for text, look_up in said.items() if look_up in found}
        try:
            wanted = wanted_key(typed, locks)
            made = await self.services.temp_keys.create(self.operator, wanted)
        except FormProblems as error:
            await self._show(typed, error.problems)
        except InvalidInput as error:
            await self._show(typed, problems_of(error))
        except (PinsOff, NoFreePin) as error:
            await self._show(typed, {"door0_lock": str(error)})
        else:
            self.see_other(with_query(key_page_url(made.key.uuid), new="yes"))

    async def _show(self, form: KeyForm, problems: Mapping[str, str]) -> None:
        self.set_status(400 if problems else 200)
        locks = await self.services.locks.list_of(self.operator, limit=_MOST_SUGGESTED)
        self.render(
            "dashboard/new_key.html",
            form=form,
            problems=problems,
            names=[lock_words(lock) for lock in locks],
            days=DAY_NAMES,
        )
