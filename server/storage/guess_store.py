"""Wrong tries, counted for all nodes together."""

from datetime import datetime

import msgspec
from pymongo import WriteConcern
from pymongo.errors import DuplicateKeyError

from server.domain.guesses import Allowance, Tries, forgotten_at, give_back, take_try
from server.storage.mongo import Database, Document, reports_outages


@reports_outages
class GuessStore:
    """The collection ``guesses``: one document per lock or address that was tried lately.

    Each is replaced only as it was read, so two tries at once cannot count as one. The rule
    itself ends the contention: who reads again after others were faster is soon locked out.
    """

    def __init__(self, database: Database) -> None:
        # One server's word is enough, and quick: a count lost with it is no harm.
        self._guesses = database["guesses"].with_options(write_concern=WriteConcern(w=1))

    async def take(self, subject: str, allowance: Allowance, now: datetime) -> None:
        """Count a try at ``subject``; ``give_back`` takes it back.

        Raises:
            TooManyTries: there were too many; this one is not counted.
        """
        while True:
            document = await self._guesses.find_one({"_id": subject})
            tries = take_try(_read(document), allowance, now)
            if await self._replace(subject, document, tries, allowance):
                return

    async def give_back(self, subject: str, allowance: Allowance, at: datetime) -> None:
        """Take back the try that was counted at that instant."""
        while True:
            document = await self._guesses.find_one({"_id": subject})
            tries = give_back(_read(document), at)
            if document is None or await self._replace(subject, document, tries, allowance):
                return

    async def _replace(
        self, subject: str, before: Document | None, tries: Tries, allowance: Allowance
    ) -> bool:
        """Write unless somebody else has written since ``before`` was read; whether it was."""
        version = None if before is None else before["version"]
        document: Document = msgspec.to_builtins(tries, builtin_types=(datetime,))
        document["version"] = (version or 0) + 1
        document["forgetAt"] = forgotten_at(tries, allowance)
        try:
            await self._guesses.replace_one(
                {"_id": subject, "version": version}, document, upsert=True
            )
        except DuplicateKeyError:
            return False
        return True


def _read(document: Document | None) -> Tries:
    return Tries() if document is None else msgspec.convert(document, Tries)
