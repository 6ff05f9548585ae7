"""The pages' few assets."""

import mimetypes
from collections.abc import Generator
from typing import Any

import msgspec
import tornado.web

from handlers.accept import takes_gzip
from handlers.base import security_headers
from handlers.compression import compressed_file
from handlers.error_answers import error_body

_IN_GZIP = ".gz"
_COMPRESSES = ("text/", "application/javascript", "image/svg+xml")


class StaticFile(tornado.web.StaticFileHandler):
    """A style, a script or an icon; its URL carries a version, so it may be kept for good.

    Beside each file that is text there is another one, its name with ``.gz`` behind it, as far
    as Tornado knows: with a length and an ``ETag`` of its own, and on no disk.
    """

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
        file = super().validate_absolute_path(root, absolute_path)
        if file is None or not _media_type(file).startswith(_COMPRESSES):
            return file
        self.set_header("Vary", "Accept-Encoding")
        if not takes_gzip(self.request.headers.get("Accept-Encoding", "")):
            return file
        self.set_header("Content-Encoding", "gzip")
        return file + _IN_GZIP

    def get_content_type(self) -> str:
        return _media_type(str(self.absolute_path).removesuffix(_IN_GZIP))

    def get_content_size(self) -> int:
        if str(self.absolute_path).endswith(_IN_GZIP):
            return len(compressed_file(str(self.absolute_path).removesuffix(_IN_GZIP)))
        return super().get_content_size()

    @classmethod
    def get_content(
        cls, abspath: str, start: int | None = None, end: int | None = None
    ) -> Generator[bytes, None, None]:
        if abspath.endswith(_IN_GZIP):
            yield compressed_file(abspath.removesuffix(_IN_GZIP))[start:end]
        else:
            yield from super().get_content(abspath, start, end)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(msgspec.json.encode(error_body(status_code, None)))


def _media_type(file: str) -> str:
    return mimetypes.guess_type(file)[0] or "application/octet-stream"
