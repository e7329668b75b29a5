"""No secret leaves through a log line."""

import io
import logging

import pytest

from exchanges.scrub import ScrubFilter, scrub

CANARY = "c4n4ryS3cr3tV4lu3"


@pytest.mark.parametrize(
    "text",
    [
        f"GET https://api.binance.com/api/v3/order?symbol=X&signature={CANARY}",
        f"signature={CANARY}&timestamp=1",
        f"{{'X-MBX-APIKEY': '{CANARY}'}}",
        f'{{"api_key": "{CANARY}", "api_secret": "{CANARY}", "passphrase": "{CANARY}"}}',
        f"apiKey={CANARY} secret: {CANARY}",
        f"Authorization: Bearer {CANARY}",
        f"OK-ACCESS-SIGN: {CANARY}, KC-API-PASSPHRASE: {CANARY}, X-BAPI-SIGN: {CANARY}, API-Sign: {CANARY}",
        f"token tb_abcd1234_{CANARY}",
    ],
)
def test_secret_is_taken_out(text: str):
    assert CANARY not in scrub(text)
    assert "…" in scrub(text)


@pytest.mark.parametrize("text", ["order 7 filled at 50000.1", "https://example.com/app/ opened", "tb_short"])
def test_ordinary_text_stays_as_it_is(text: str):
    assert scrub(text) == text


@pytest.fixture
def log() -> tuple[logging.Logger, io.StringIO]:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.addFilter(ScrubFilter())
    logger = logging.Logger("scrubbed")
    logger.addHandler(handler)
    return logger, out


def test_arguments_and_tracebacks_are_scrubbed_too(log: tuple[logging.Logger, io.StringIO]):
    logger, out = log
    try:
        raise RuntimeError(f"GET https://x.example/y?signature={CANARY}")
    except RuntimeError:
        logger.exception("failed with %s", f"secret={CANARY}")

    assert CANARY not in out.getvalue()
    assert "RuntimeError" in out.getvalue()
    assert "failed with secret=…" in out.getvalue()


def test_line_whose_arguments_do_not_fit_is_still_logged(log: tuple[logging.Logger, io.StringIO]):
    logger, out = log

    logger.warning("%d apples", f"secret={CANARY}")

    assert "apples" in out.getvalue()
    assert CANARY not in out.getvalue()
