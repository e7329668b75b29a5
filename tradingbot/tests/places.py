"""Where the tests find things outside the code."""

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
DATA_DIR = Path(os.environ.get("DATA_DIR") or PROJECT.parent / "shared" / "data")
NO_DATA = f"recorded candles are not here ({DATA_DIR.name} folder absent)"
