"""Who follows the fleet while the server's database is away: a page in a browser, a program."""

import asyncio

from playwright.async_api import Response

from server.storage import mongo
from tests.browser.phone import phone_in, running_browser
from tests.faults.processes import Site
from tests.faults.proxy import Proxy


async def test_a_dashboard_says_that_it_has_lost_the_fleet_and_goes_on_by_itself_when_it_is_back(
    site: Site, to_mongodb: Proxy, database: mongo.Database
) -> None:
    await site.server.start(mongodb_timeout_s="1")
    device = (await site.locks()).all[0]
    refused = asyncio.Event()

    def hear(answer: Response) -> None:
        if answer.url.endswith("/dashboard/stream") and answer.status == 503:
            refused.set()

    async with running_browser() as browser, phone_in(browser, site.url) as desk:
        await desk.page.add_init_script("Math.random = () => 0")  # it waits no longer than it must
        desk.page.on("response", hear)
        await desk.visit("/dashboard")
        await desk.page.get_by_label("API key or token").fill(site.api_key)
        await desk.tap("Sign in")
        await desk.page.locator("#live.is-on").wait_for()
        await to_mongodb.keep_out()
        await desk.page.get_by_text("Reconnecting").wait_for()
        assert await desk.page.get_by_role("link", name="Front door").is_visible()
        await refused.wait()  # so that the browser itself has given up
        changed = {"$set": {"name": "Back door"}}  # by another node, say
        await database["locks"].update_one({"_id": device.lock_id}, changed)
        await to_mongodb.let_in()
        await desk.page.get_by_role("link", name="Back door").wait_for()
        await desk.page.locator("#live.is-on").wait_for()
        desk.complaints.clear()  # the browser's own, about answers that were errors


async def test_while_the_database_is_away_following_is_refused_and_says_when_to_come_again(
    site: Site, to_mongodb: Proxy
) -> None:
    await site.server.start(mongodb_timeout_s="1")
    await to_mongodb.keep_out()
    answer = await site.fetch("/stream?", X_API_Key=site.api_key)
    assert (answer.status, answer.response.headers["Retry-After"]) == (503, "2")
