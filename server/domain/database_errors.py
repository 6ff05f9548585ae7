"""What keeps the database itself from being worked on, for whoever runs the server."""

from server.domain.errors import LatchkeyError


class AnotherNode(LatchkeyError):
    """Another node works on this MongoDB, and the two cannot hear of each other's locks."""

    reason = "another_node"

    def __init__(self) -> None:
        super().__init__(
            "Another Latchkey server works on this MongoDB database, and one of the two has no "
            "LATCHKEY_NATS_URL. Stop that one, give this one a database of its own "
            "(LATCHKEY_MONGODB_DATABASE), or set LATCHKEY_NATS_URL for both."
        )


class WrongSchema(LatchkeyError):
    """What is stored has the shape that an older or a newer server gave it; nothing was done."""

    reason = "wrong_schema"

    def __init__(self, stored: int, ours: int) -> None:
        what_to_do = (
            "Run `python -m server migrate`" if stored < ours else "Run a server that is as new"
        )
        super().__init__(
            f"The database has schema {stored}, and this server works with {ours}. {what_to_do}"
        )


class MigrationUnderWay(LatchkeyError):
    """Another migration of this database runs, or broke off less than half a minute ago."""

    reason = "migration_under_way"

    def __init__(self) -> None:
        super().__init__("Another migration runs. Look again in half a minute")


class BadArchive(LatchkeyError):
    """A file cannot be taken in; nothing of it was. Each problem names its line and its field."""

    reason = "bad_archive"

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))


class NotEmpty(LatchkeyError):
    """What should be taken in would mix with what is there; nothing was."""

    reason = "not_empty"


class SnapshotTooOld(LatchkeyError):
    """Reading took longer than MongoDB remembers how things were."""

    reason = "snapshot_too_old"

    def __init__(self) -> None:
        super().__init__(
            "It took longer than MongoDB keeps the past. Give it more time with its parameter "
            "minSnapshotHistoryWindowInSeconds (300 by default), or use mongodump"
        )
