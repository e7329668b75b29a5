"""Write the files beside this one; run with freqtrade 2026.9, pandas 3.1.1 and pyarrow 26.0.1."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from freqtrade.data.history.datahandlers import get_datahandler
from freqtrade.enums import CandleType
from pyarrow.feather import write_feather

HERE = Path(__file__).parent
i = np.arange(60)
close = np.round(30_000 + 250 * np.sin(i / 5), 2)
opened = np.concatenate([[30_000.0], close[:-1]])
frame = (
    pd.DataFrame(
        {
            "date": pd.date_range("2026-01-01", periods=60, freq="1h", tz="UTC"),
            "open": opened,
            "high": np.round(np.maximum(opened, close) + 12.5, 2),
            "low": np.round(np.minimum(opened, close) - 7.25, 2),
            "close": close,
            "volume": np.round(1.5 + i * 0.01, 8),
        }
    )
    .drop(index=[20, 21, 22])
    .reset_index(drop=True)
)
frame.loc[30, "volume"] = 0.0
for kind in ("feather", "json", "jsongz"):
    get_datahandler(HERE, kind).ohlcv_store("BTC/USDT", "1h", frame, CandleType.SPOT)
frame.to_feather(HERE / "zstd.feather", compression="zstd")
frame.to_feather(HERE / "unpacked.feather", compression="uncompressed")
frame.assign(volume=frame["volume"].where(frame.index != 7)).to_feather(HERE / "nan.feather")

table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()


def written(name: str, columns: dict, packing: str = "uncompressed", **options: object) -> None:
    write_feather(pa.table(columns), HERE / f"{name}.feather", compression=packing, **options)


columns = {name: table[name] for name in table.column_names}
whole = pa.array(range(57), pa.int64())
for unit in ("s", "ms", "us", "ns"):
    written(f"in_{unit}", columns | {"date": table["date"].cast(pa.timestamp(unit, "UTC"))})
written("batches", columns, "lz4", chunksize=10)
rng = np.random.default_rng(1)
noise = pa.array(rng.random(57) + 1e-9)
written("incompressible", columns | {"volume": noise}, "lz4")
written(
    "more_columns",
    {
        "n": pa.nulls(57),
        "i": whole,
        "b": pa.array([True] * 57),
        "t": pa.array(["x"] * 57),
        "c": pa.array(["x", "y", "z"] * 19).dictionary_encode(),
        **columns,
        "list": pa.array([[1.0]] * 57),
    },
)
written("list_first", {"list": pa.array([[1.0]] * 57), **columns})
written("no_close", {name: column for name, column in columns.items() if name != "close"})
written("text", columns | {"volume": pa.array(["1"] * 57)})
written("single", columns | {"volume": table["volume"].cast(pa.float32())})
written("number_dates", columns | {"date": table["open"]})
written("dated_volume", columns | {"volume": table["date"]})
written("coded", columns | {"volume": table["volume"].dictionary_encode()})
written("empty", {name: column[:0] for name, column in columns.items()})
