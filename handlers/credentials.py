"""A lock's credential: a device token, or a public key that it signs its own tokens with."""

from typing import Annotated

from msgspec import Meta, Struct

from handlers.base import BaseHandler
from handlers.operation import Access, Answer, operation
from server import clock
from server.domain.times import WireTime, wire_time


class NewCredential(Struct, frozen=True, kw_only=True, rename="camel"):
    """A public key to register (PEM, Ed25519 or P-256); without one, a token is issued."""

    public_key: Annotated[str, Meta(min_length=1, max_length=2048)] | None = None


class CredentialAnswer(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A credential that is good from now on; a token is shown only this once."""

    created_at: WireTime
    token: str | None = None


class DoneAnswer(Struct, frozen=True, kw_only=True):
    """It is done."""

    success: bool = True


class Credentials(BaseHandler):
    """The one credential of a lock; the connection that the old one opened is closed."""

    @operation(
        Access.OPERATOR, {201: Answer(CredentialAnswer)}, errors=(400, 404), body=NewCredential
    )
    async def post(self, lock_id: int, body: NewCredential) -> None:
        """Issue a device token, or register the lock's public key, in place of the old one."""
        changes = self.services.credential_changes
        if body.public_key is not None:
            await changes.register_public_key(self.operator, lock_id, body.public_key)
            answer = CredentialAnswer(created_at=wire_time(clock.now()))
        else:
            issued = await changes.issue_token(self.operator, lock_id)
            answer = CredentialAnswer(created_at=wire_time(issued.created_at), token=issued.token)
        self.write_json(answer, status=201)

    @operation(Access.OPERATOR, {200: Answer(DoneAnswer)}, errors=(400, 404))
    async def delete(self, lock_id: int) -> None:
        """Revoke a lock's credential: it cannot connect until it is given another."""
        await self.services.credential_changes.revoke(self.operator, lock_id)
        self.write_json(DoneAnswer())
