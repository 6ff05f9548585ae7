"""A guest's phone that looks at the running server."""

from collections.abc import Iterator

import pytest
from playwright.async_api import Browser
from tornado.ioloop import IOLoop

from tests.browser.phone import Phone, phone_in, running_browser
from tests.conftest import fresh_loop
from tests.house import House


@pytest.fixture(scope="module")
def io_loop() -> Iterator[IOLoop]:
    """One event loop for all tests of a module, so that they can share a browser."""
    with fresh_loop() as loop:
        yield loop


@pytest.fixture(scope="module")
def browser(io_loop: IOLoop) -> Iterator[Browser]:
    """A running browser, whose pages and cookies each test has of its own."""
    running = running_browser()
    yield io_loop.run_sync(running.__aenter__)
    io_loop.run_sync(lambda: running.__aexit__(None, None, None))


@pytest.fixture
def phone(io_loop: IOLoop, browser: Browser, house: House) -> Iterator[Phone]:
    """A guest's phone."""
    phone = phone_in(browser, house.url)
    yield io_loop.run_sync(phone.__aenter__)
    io_loop.run_sync(lambda: phone.__aexit__(None, None, None))


@pytest.fixture
def phone_without_script(io_loop: IOLoop, browser: Browser, house: House) -> Iterator[Phone]:
    """A phone whose browser runs no script."""
    phone = phone_in(browser, house.url, script=False)
    yield io_loop.run_sync(phone.__aenter__)
    io_loop.run_sync(lambda: phone.__aexit__(None, None, None))
