"""Makes the embedded mode's secrets, once, readable by their owner alone."""

import base64
import os
import secrets
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def var_dir() -> Path:
    return Path(os.environ.get("VAR_DIR") or PROJECT / "var").resolve()


def ensure_embedded_secrets() -> None:
    """Write SECRET_KEY and ENCRYPTION_KEY under VAR_DIR unless they are given or already there."""
    folder = var_dir() / "secrets"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, value in (
            ("SECRET_KEY", secrets.token_urlsafe(48)),
            ("ENCRYPTION_KEY", base64.b64encode(secrets.token_bytes(32)).decode()),
        ):
            if not (os.environ.get(name) or os.environ.get(f"{name}_FILE")):
                _write_once(folder / name, value)
    except OSError as error:
        raise SystemExit(f"VAR_DIR: Expected a writable folder, was {folder.parent} ({error.strerror}).") from None


def _write_once(path: Path, value: str) -> None:
    # A key that was lost would make every stored secret unreadable: never overwrite one.
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(value)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
