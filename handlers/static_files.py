"""The pages' few assets."""

from typing import Any

import msgspec
import tornado.web

from handlers.base import security_headers
from handlers.error_answers import error_body


class StaticFile(tornado.web.StaticFileHandler):
    """A style, a script or an icon; its URL carries a version, so it may be kept for good."""

    def set_default_headers(self) -> None:
        for name, value in security_headers(self.request).items():
            self.set_header(name, value)
        self.clear_header("Cache-Control")
        self.clear_header("Server")

    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:
        """The file, where it is one of ours.

        Raises:
            HTTPError: 403 outside of our folder, 404 for what is no file.
        """
        if "\0" in absolute_path:  # no file has such a name, and the system calls say so loudly
            raise tornado.web.HTTPError(404)
        return super().validate_absolute_path(root, absolute_path)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(msgspec.json.encode(error_body(status_code, None)))
