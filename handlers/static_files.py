"""The pages' few assets."""

import tornado.web

from handlers.base import SECURITY_HEADERS


class StaticFile(tornado.web.StaticFileHandler):
    """A style, a script or an icon; its URL carries a version, so it may be kept for good."""

    def set_default_headers(self) -> None:
        for name, value in SECURITY_HEADERS.items():
            self.set_header(name, value)
        self.clear_header("Cache-Control")
        self.clear_header("Server")
