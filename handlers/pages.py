"""Pages: in the guest's language, in the look of whose they are; errors too."""

import asyncio
import functools
from typing import Any, ClassVar

import structlog

from handlers.accept import languages, prefers_html, takes_gzip
from handlers.base import SECURITY_HEADERS, BaseHandler
from handlers.compression import compressed
from handlers.error_answers import error_body
from handlers.languages import Language, language_for
from handlers.views.brand_view import BrandView
from handlers.views.error_words import error_words
from handlers.views.urls import key_url
from server import clock
from server.domain.errors import NotFound, TempKeyNotFound
from server.domain.refusals import TooManyTries


class PageHandler(BaseHandler):
    """Answers with a page in the guest's language; errors too, where the caller prefers one."""

    brand: BrandView | None = None
    """Whose pages these are, where that is known."""

    compresses: ClassVar[bool] = True
    """Whether its pages go in gzip: never, where they hold a secret beside words of the address,
    for their length would tell one from the other (decision 0038)."""

    def get_template_namespace(self) -> dict[str, Any]:
        now_ms = int(clock.now().timestamp() * 1000)  # from it the script tells how old a tap is
        return super().get_template_namespace() | {"brand": self.brand, "now_ms": now_ms}

    def render(self, template_name: str, **kwargs: Any) -> "asyncio.Future[None]":
        """Answer with a page; the style of its brand is let into the policy."""
        if self.brand is not None and self.brand.style_source is not None:
            policy = SECURITY_HEADERS["Content-Security-Policy"]
            own = f"style-src 'self' {self.brand.style_source}"
            self.set_header("Content-Security-Policy", policy.replace("style-src 'self'", own))
        page = self.render_string(template_name, **kwargs)
        if self.compresses:
            self.add_header("Vary", "Accept-Encoding")
            if takes_gzip(self.request.headers.get("Accept-Encoding", "")):
                self.set_header("Content-Encoding", "gzip")
                page = compressed(page)
        return self.finish(page)

    def get_user_locale(self) -> Language:
        """What the templates know as ``locale``."""
        return self.language

    @functools.cached_property
    def language(self) -> Language:
        """The language that the address asks for (``?lang=``), or else the browser."""
        asked = self.request.query_arguments.get("lang", [b""])[-1].decode(errors="replace")
        return language_for(asked, languages(self.request.headers.get("Accept-Language", "")))

    @property
    def prefers_html(self) -> bool:
        """Whether this is a browser, and no program."""
        return prefers_html(self.request.headers.get("Accept", ""))

    def see_other(self, url: str) -> None:
        """Send the browser on with a GET."""
        self.set_status(303)
        self.set_header("Location", url)
        self.finish()

    def answer_error(self, status: int, error: BaseException | None) -> None:
        """Answer with an error page, or with the JSON body to a program."""
        self.set_header("Vary", "Accept, Accept-Language")
        if not self.prefers_html:
            super().answer_error(status, error)
            return
        reason = error_body(status, error).reason
        words = error_words(reason, self.language)
        self.set_status(status)
        self.render(
            "error.html",
            status=status,
            title=words.title,
            message=words.message,
            next_step=words.next_step,
            key_url=self._way_back(error),
        )

    def _way_back(self, error: BaseException | None) -> str | None:
        """The page of the guest's key, where there is one."""
        key_uuid = self.path_kwargs.get("key_uuid")
        if key_uuid is None or isinstance(error, TempKeyNotFound | TooManyTries):
            return None
        return self.language.link(key_url(key_uuid))


class NoSuchRoute(PageHandler):
    """Answers every path that is no route."""

    async def prepare(self) -> None:
        structlog.contextvars.bind_contextvars(request=self.request_id)
        raise NotFound
