"""The OpenAPI document is what was agreed, and its two pages need nothing but this site.

After a wanted change of the API, renew the snapshot: ``RENEW=1 pytest tradingbot/tests/test_api_documents.py``.
"""

import hashlib
import json
import os
import re
from pathlib import Path

import pytest
from django.test import Client
from playwright.sync_api import sync_playwright

from tradingbot.documents import REDOC_CSP, REDOC_STYLES, schema
from tradingbot.middleware import CSP
from tradingbot.problems import CODES
from tradingbot.tests.places import PROJECT

SNAPSHOT = Path(__file__).with_name("openapi.json")
OPEN = {"GET /health"}


def operations():
    for path, methods in schema()["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_the_document_is_the_snapshot(client: Client, db):
    response = client.get("/openapi.json")
    assert response["Content-Type"].startswith("application/json")
    document = json.loads(response.content)
    if os.environ.get("RENEW"):
        SNAPSHOT.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    assert document == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


def test_every_reference_leads_somewhere():
    text = json.dumps(schema())
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert names
    assert names <= schema()["components"]["schemas"].keys()


def test_every_operation_says_how_it_fails():
    for name, operation in operations():
        failures = {code: body for code, body in operation["responses"].items() if int(code) >= 400}
        assert "500" in failures, name
        if name not in OPEN:
            assert {"401", "403", "422"} <= failures.keys(), name
            assert operation["security"] == [{"token": []}], name
        assert operation["description"], name


def test_every_post_takes_an_idempotency_key_and_nothing_else_does():
    for name, operation in operations():
        taken = any(parameter["name"] == "Idempotency-Key" for parameter in operation["parameters"])
        assert taken == name.startswith("POST "), name


def test_secrets_are_write_only():
    fields = schema()["components"]["schemas"]["KeyIn"]["properties"]
    assert fields["api_secret"]["writeOnly"]
    assert fields["passphrase"]["writeOnly"]
    assert (
        not {"api_key", "api_secret", "passphrase"} & schema()["components"]["schemas"]["KeyOut"]["properties"].keys()
    )


def test_operation_ids_are_unique():
    ids = [operation["operationId"] for _, operation in operations()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_the_pages_take_everything_from_this_site(client: Client, db, path):
    response = client.get(path)
    page = response.content.decode()
    assert response.status_code == 200
    addresses = re.findall(r'(?:src|href|data-schema)="([^"]+)"', page)
    assert addresses
    assert all(address.startswith("/static/") or address == "/openapi.json" for address in addresses)
    assert not re.search(r"<style|style=|<script>|\son\w+=", page)
    for address in addresses:
        found = client.get(address)
        assert found.status_code == 200, address
        found.close()


def test_only_redoc_may_make_two_styles_and_nothing_else(client: Client, db):
    assert client.get("/docs")["Content-Security-Policy"] == CSP
    assert (
        client.get("/redoc")["Content-Security-Policy"]
        == REDOC_CSP
        == CSP.replace("style-src 'self'", f"style-src 'self' {REDOC_STYLES}")
    )
    assert "unsafe" not in REDOC_CSP
    assert "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='" in REDOC_STYLES


def test_the_manual_knows_every_route_code_and_variable():
    manual = (PROJECT / "docs" / "api.md").read_text(encoding="utf-8")
    words = manual.replace("{user_id}", "{id}").replace("{key_id}", "{id}")
    for path, methods in schema()["paths"].items():
        for method in methods:
            assert f"{method.upper()} {path}" in words, f"{method.upper()} {path}"
    assert all(f"`{code}`" in manual for code in CODES.values())
    settings = (PROJECT / "tradingbot" / "settings.py").read_text(encoding="utf-8")
    variables = set(re.findall(r'\benv[a-z]+\(\s*"([A-Z_]+)"', settings))
    assert "REDIS_URL" in variables
    assert {name for name in variables if f"`{name}`" not in manual} == set()


def test_vendored_files_are_the_listed_ones():
    listed = dict(re.findall(r"\| `((?:swagger-ui|redoc)/[^`]+)` .* `([0-9a-f]{64})` \|", _vendored("README.md")))
    assert len(listed) == 3
    for name, digest in listed.items():
        content = (PROJECT / "static" / "vendor" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest, name


def _vendored(name: str) -> str:
    return (PROJECT / "static" / "vendor" / name).read_text(encoding="utf-8")


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("path", "shown"), [("/docs", ".opblock-summary-path"), ("/redoc", "h2 a[href*='tag']")])
def test_a_browser_shows_the_pages_without_a_complaint(live_server, chromium, path, shown, monkeypatch):
    # Playwright's own event loop makes Django refuse to tear the database down.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    complaints, asked = [], []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{live_server.url}{path}")
        page.wait_for_selector(shown)
        page.wait_for_timeout(500)
        browser.close()
    assert complaints == []
    assert all(url.startswith((live_server.url, "data:")) for url in asked)
