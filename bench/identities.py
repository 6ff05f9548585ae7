"""What the locks and the keys of a benchmark are called: the seeding and the load agree on it."""


def device_token(lock_id: int) -> str:
    """The credential of a lock."""
    return f"benchmark-device-token-{lock_id:016d}"


def key_uuid(lock_id: int) -> str:
    """The temp key that opens a lock, and it alone."""
    return f"benchmark-key-{lock_id:08d}"
