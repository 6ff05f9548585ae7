"""Whether anything waits for the audit trail: one question, because it is asked all the time."""

from server.storage.mongo import Database, Document, reports_outages


def _first(marked: Document) -> list[Document]:
    return [{"$match": marked}, {"$limit": 1}, {"$project": {"_id": 1}}]


UNTOLD_PRESENCE: Document = {"presenceChanges.at": {"$exists": True}}
UNTOLD: Document = {"untold": True}
"""What commands and reports are like that are marked."""
UNPLACED: Document = {"position": 0}
"""What events are like that have no place in the order of all yet."""

_ELSEWHERE = {"commands": UNTOLD, "reports": UNTOLD, "events": UNPLACED}

QUESTION: list[Document] = [
    *_first(UNTOLD_PRESENCE),
    *(
        {"$unionWith": {"coll": collection, "pipeline": _first(marked)}}
        for collection, marked in _ELSEWHERE.items()
    ),
    {"$limit": 1},
]
"""The pipeline, over ``locks``."""


@reports_outages
class MarkStore:
    """The marks in ``locks``, ``commands``, ``reports`` and ``events``, all together."""

    def __init__(self, database: Database) -> None:
        self._locks = database["locks"]

    async def any(self) -> bool:
        """Whether there is a mark in any of them.

        Raises:
            StorageUnavailable: MongoDB is away.
        """
        return bool(await self._locks.aggregate(QUESTION).to_list(1))
