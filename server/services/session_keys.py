"""Physical keys on their way to the lock of one session."""

import structlog

from server.domain.errors import LockTakesNoKeys
from server.domain.locks import StoredKey
from server.domain.protocol import Key, KeyAction, Result, ResultStatus, encode_frame
from server.domain.secrets import new_id
from server.services.channel import Channel

log = structlog.get_logger(__name__)

CAPABILITY = "keys"
"""What a lock says in its ``hello`` where it can store keys; no other is ever told of one."""
_MOST_UNANSWERED = 2000


class SessionKeys:
    """Tells the lock which keys to store and which to forget, and hears what it says to that."""

    def __init__(self, session_id: str, lock_id: int, channel: Channel) -> None:
        self._session_id = session_id
        self._lock_id = lock_id
        self._channel = channel
        self._can = False
        self._unanswered: dict[str, KeyAction] = {}

    def greeted(self, capabilities: list[str]) -> None:
        """Note what the lock says that it can do."""
        self._can = CAPABILITY in capabilities

    def send(self, action: KeyAction, key: StoredKey) -> None:
        """Tell the lock of one key.

        Raises:
            LockTakesNoKeys: it has not said that it understands this.
            ChannelClosed: its connection is gone.
        """
        if not self._can:
            raise LockTakesNoKeys
        frame = Key(
            id=new_id(),
            session_id=self._session_id,
            action=action,
            key_uuid=key.uuid,
            key_index_number=key.index_number,
        )
        self._channel.send(encode_frame(frame))
        self._unanswered[frame.id] = action
        if len(self._unanswered) > _MOST_UNANSWERED:
            del self._unanswered[next(iter(self._unanswered))]

    def take(self, result: Result) -> bool:
        """Take the lock's answer, if it is one about a key."""
        action = self._unanswered.get(result.command_id)
        if action is None:
            return False
        if result.status is not ResultStatus.ACCEPTED:
            del self._unanswered[result.command_id]
            log.info("key", lock=self._lock_id, action=action.value, result=result.status.value)
        return True
