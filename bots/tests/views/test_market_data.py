"""The pages of stored candles: what is covered, a file looked at before it is stored, and out again."""

import gzip
import io
import zipfile
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts.models import AuditEntry
from bots.tests.research_cast import AT, stored
from exchanges import candle_store
from exchanges.core.candle_csv import csv_lines
from exchanges.core.candles import Candles
from exchanges.models import CandleChunk
from strategies.tests.places import synthetic

HOUR = 3_600_000
FILES = Path(__file__).parents[3] / "exchanges" / "tests" / "files"


def upload(content: bytes, name: str = "candles.csv", **changed: str) -> dict[str, object]:
    market = {"exchange": "binance", "symbol": "BTC/USDT", "timeframe": "1h", "time": "open"}
    return {**market, **changed, "file": SimpleUploadedFile(name, content)}


def as_csv(candles: Candles) -> bytes:
    return "\n".join(csv_lines(candles)).encode()


def gapped(count: int = 300) -> Candles:
    rows = synthetic(count).rows()
    return Candles.from_rows([row for index, row in enumerate(rows) if not 100 <= index < 103])


@pytest.mark.parametrize("page", ["/app/candles/", "/app/candles/import/"])
def test_a_page_is_for_who_is_logged_in(page, client, alices):
    assert client.get(page).url == f"/app/account/login/?next={page}"
    assert alices.get(page).status_code == 200


def test_nobody_stores_without_a_login(client, db):
    assert client.post("/app/candles/import/", upload(b"x")).status_code == 302
    assert client.post("/app/candles/store/", {"token": "x"}).status_code == 302
    assert client.get("/app/candles/export.csv").status_code == 302


def test_the_list_shows_coverage_gaps_age_and_source(alices, django_assert_num_queries):
    candle_store.save("binance", "BTC/USDT", "1h", gapped(), "imported from a.csv", AT)
    with django_assert_num_queries(5):
        page = alices.get("/app/candles/").content.decode()
    assert "297" in page
    assert "3 in 1 gap<" in page
    assert page.count('class="hole"') == 1
    assert "imported from a.csv" in page
    assert "style=" not in page
    candle_store.save("kraken", "ETH/EUR", "1h", synthetic(2000), "another", AT)
    with django_assert_num_queries(5):
        assert alices.get("/app/candles/").content.decode().count("dataset") == 2


def test_the_coverage_is_what_the_store_says(alices):
    kept = [row for index, row in enumerate(synthetic(2000).rows()) if not 700 <= index < 760]
    candle_store.save("binance", "BTC/USDT", "1h", Candles.from_rows(kept), "a", AT)
    (bar,) = alices.get("/app/candles/").context["bars"]
    known = candle_store.coverage("binance", "BTC/USDT", "1h")
    assert known is not None
    for name in ("candles", "first", "last", "gaps", "missing", "zero_volume", "source", "stored_at"):
        assert getattr(bar.covered, name) == getattr(known, name)


def test_a_file_is_shown_before_it_is_stored(alices, alice):
    answer = alices.post("/app/candles/import/", upload(as_csv(gapped())))
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "3 in 1 gap" in page
    assert "297 new, 0 known, 0 differ" in page
    assert not CandleChunk.objects.exists()
    stored_answer = alices.post("/app/candles/store/", {"token": answer.context["token"]})
    assert stored_answer.url == "/app/candles/"
    known = candle_store.coverage("binance", "BTC/USDT", "1h")
    assert known is not None
    assert (known.candles, known.source) == (297, "imported from candles.csv")
    assert AuditEntry.objects.filter(action="candles.imported", subject="candles:binance BTC/USDT 1h").exists()
    again = alices.post("/app/candles/store/", {"token": answer.context["token"]})
    assert again.url == "/app/candles/import/"


def test_times_that_are_ends_are_moved_to_the_opening(alices):
    candles = synthetic(50)
    ends = Candles(candles.opened_at + HOUR, candles.open, candles.high, candles.low, candles.close, candles.volume)
    answer = alices.post("/app/candles/import/", upload(as_csv(ends), time="close"))
    alices.post("/app/candles/store/", {"token": answer.context["token"]})
    assert candle_store.load("binance", "BTC/USDT", "1h").rows() == candles.rows()


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (b"hello", "Row 1"),
        (b"timestamp_ms,open,high,low,close,volume\n1704067200000,1,2,0.5,1,1\n1704067200000,1,2,0.5,1,1", "Row 3"),
        (b"timestamp_ms,open,high,low,close,volume\n1704067200000,1,2,0.5,-1,1", "Row 2"),
        (b"timestamp_ms,open,high,low,close,volume\n1704067200,1,2,0.5,1,1", "Row 2"),
        (b"timestamp_ms,open,high,low,close,volume\n4704067200000,1,2,0.5,1,1", "Row 2"),
        (b"\xff\xfe\x00", "Row"),
    ],
)
def test_a_broken_file_names_its_row_and_stores_nothing(broken, said, alices):
    answer = alices.post("/app/candles/import/", upload(broken))
    page = answer.content.decode()
    assert answer.status_code == 422
    assert said in page
    assert "Nothing was stored" in page
    assert not CandleChunk.objects.exists()


@pytest.mark.parametrize(
    "changed", [{"exchange": "Bi nance"}, {"symbol": "btc"}, {"timeframe": "7m"}, {"time": "whenever"}]
)
def test_a_market_that_makes_no_sense_is_refused(changed, alices):
    answer = alices.post("/app/candles/import/", upload(as_csv(gapped()), **changed))
    assert answer.status_code == 422
    assert not CandleChunk.objects.exists()


def test_no_file_at_all_is_a_named_mistake(alices):
    given = upload(b"")
    del given["file"]
    assert "id_file" in alices.post("/app/candles/import/", given).content.decode()
    assert alices.post("/app/candles/import/", upload(b"")).status_code == 422


def test_zip_and_gzip_are_read(alices):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("candles.csv", as_csv(gapped()))
    assert alices.post("/app/candles/import/", upload(packed.getvalue(), "c.zip")).status_code == 200
    assert alices.post("/app/candles/import/", upload(gzip.compress(as_csv(gapped())), "c.csv.gz")).status_code == 200
    answer = alices.post("/app/candles/import/", upload(as_csv(gapped()), "c.csv.gz"))
    assert "Expected a whole archive" in answer.content.decode()


def test_a_huge_zip_is_refused_before_it_is_unpacked(alices, monkeypatch):
    monkeypatch.setattr("bots.views.market_data.MOST_UNPACKED", 1000)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("candles.csv", b"0" * 100_000)
    for name, content in (("c.zip", packed.getvalue()), ("c.csv.gz", gzip.compress(b"0" * 100_000))):
        page = alices.post("/app/candles/import/", upload(content, name)).content.decode()
        assert "Expected at most 0 MB unpacked, was more" in page
    feather = alices.post("/app/candles/import/", upload((FILES / "zstd.feather").read_bytes(), "zstd.feather"))
    assert "Expected at most 0 MB unpacked, was more" in feather.content.decode()


def test_freqtrades_feather_is_shown_by_its_name_and_stored(alices):
    name = "BTC_USDT-1h.feather"
    given = upload((FILES / name).read_bytes(), name, symbol="", timeframe="")
    page = alices.post("/app/candles/import/", given)
    assert page.context["market"] == ("binance", "BTC/USDT", "1h")
    assert "57 new, 0 known, 0 differ" in page.content.decode()
    alices.post("/app/candles/store/", {"token": page.context["token"]})
    known = candle_store.coverage("binance", "BTC/USDT", "1h")
    assert known is not None
    assert (known.candles, known.missing, known.zero_volume) == (57, 3, 1)


def test_a_name_that_tells_nothing_is_asked_for(alices):
    answer = alices.post("/app/candles/import/", upload(as_csv(gapped()), "mine.csv", symbol="", timeframe=""))
    assert answer.status_code == 422
    assert set(answer.context["form"].errors) == {"symbol", "timeframe"}


def test_only_staff_replaces_what_all_users_share(alices, alice):
    candles = stored(300)
    changed = Candles.from_rows(candles.rows())
    changed.volume[7] += 1
    answer = alices.post("/app/candles/import/", upload(as_csv(changed)))
    page = answer.content.decode()
    assert "0 new, 299 known, 1 differ" in page
    assert "only staff may do" in page
    alices.post("/app/candles/store/", {"token": answer.context["token"]})
    assert candle_store.load("binance", "BTC/USDT", "1h").rows() == candles.rows()
    alice.is_staff = True
    alice.save()
    answer = alices.post("/app/candles/import/", upload(as_csv(changed)))
    alices.post("/app/candles/store/", {"token": answer.context["token"]})
    assert candle_store.load("binance", "BTC/USDT", "1h").rows() == changed.rows()


def test_a_strangers_file_cannot_be_stored(alices, bobs):
    token = alices.post("/app/candles/import/", upload(as_csv(gapped()))).context["token"]
    assert bobs.post("/app/candles/store/", {"token": token}).url == "/app/candles/import/"
    assert not CandleChunk.objects.exists()


def test_an_export_is_what_an_import_reads(alices):
    candles = stored(300)
    answer = alices.get("/app/candles/export.csv?exchange=binance&symbol=BTC/USDT&timeframe=1h")
    assert answer["Content-Disposition"] == 'attachment; filename="binance-BTC-USDT-1h.csv"'
    assert b"".join(answer.streaming_content).decode().splitlines() == list(csv_lines(candles))


@pytest.mark.parametrize(
    "query", ["", "exchange=binance&symbol=BTC/USDT&timeframe=9h", "exchange=x&symbol=y&timeframe=1h"]
)
def test_nothing_stored_is_nothing_to_export(query, alices):
    assert alices.get(f"/app/candles/export.csv?{query}").status_code == 404
