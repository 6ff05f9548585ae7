"""The server's own certificate, for those who put no proxy in front of it."""

import ssl
from pathlib import Path

import structlog

from server.environment import SettingsError

log = structlog.get_logger(__name__)


class Certificate:
    """A certificate with its chain, and its key; ``context`` is what connections are made with."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Read both.

        Raises:
            SettingsError: they cannot be read, or do not belong together.
        """
        self._files = (certificate, key)
        try:
            self.context = _context(*self._files)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise SettingsError(
                {"LATCHKEY_TLS_CERTIFICATE": f"Cannot be used with LATCHKEY_TLS_KEY: {error}"}
            ) from error

    def reload(self) -> None:
        """Read both again, for connections from now on; what cannot be used changes nothing."""
        try:
            # Tried out on another one first: a key that does not fit would leave this one half new.
            _context(*self._files)
            self.context.load_cert_chain(*self._files)
        except (OSError, ValueError) as error:
            log.error("certificate_not_reloaded", why=str(error))  # noqa: TRY400  # no accident
        else:
            log.info("certificate_reloaded")


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # An empty password instead of a question at a terminal that nobody looks at.
    context.load_cert_chain(certificate, key, password="")
    return context
