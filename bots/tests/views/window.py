"""What a page looks like in a window."""

from playwright.sync_api import Page


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))
