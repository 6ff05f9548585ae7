"""Swagger UI in a real browser, under the page's content security policy."""

from playwright.async_api import ConsoleMessage, async_playwright

from handlers.openapi import methods_of
from handlers.routes import ROUTES
from tests.house import House

CHROMIUM = "/usr/bin/chromium"


async def test_it_shows_the_contract_and_asks_nobody_else(house: House) -> None:
    said: list[str] = []
    asked: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        said.append(message.text)

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page()
        page.on("console", hear)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(f"{house.url}/docs")
        await page.wait_for_selector(".opblock")
        assert await page.locator(".opblock").count() == len(methods_of(ROUTES))

        # Try one: with the key it answers, and the answer is shown.
        await page.locator("button.authorize").first.click()
        await page.get_by_label("Value:").first.fill(house.api_key)
        await page.locator(".auth-btn-wrapper button.authorize").first.click()
        await page.locator(".auth-btn-wrapper button.btn-done").first.click()
        await page.locator("#operations-locks-getLocks .opblock-summary-control").click()
        await page.locator("#operations-locks-getLocks .try-out__btn").click()
        await page.locator("#operations-locks-getLocks button.execute").click()
        answered = page.locator("#operations-locks-getLocks .live-responses-table .response")
        assert "200" in await answered.inner_text()
        await browser.close()
    assert said == []
    assert all(url.startswith(f"{house.url}/") for url in asked if not url.startswith("data:"))
