"""Saves and restores the state of a world: the product's database and the venue's file, together."""

import shutil
from pathlib import Path
from typing import Protocol

#: The venue's books, and the simulation's clock and prices to come where the venue is another process.
VENUE = ("venue.sqlite3", "second", "path.json")


class Store(Protocol):
    url: str

    def save(self, name: str) -> None: ...

    def restore(self, name: str, *, venue: bool = True) -> None: ...


class SqliteStore:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder / 'app.sqlite3'}"

    def save(self, name: str) -> None:
        target = self.folder / "saved" / name
        target.mkdir(parents=True)
        for file in ("app.sqlite3", *VENUE):
            if (self.folder / file).exists():
                shutil.copy(self.folder / file, target / file)

    def restore(self, name: str, *, venue: bool = True) -> None:
        """Nothing of a killed process's journals survives."""
        for file in ("app.sqlite3", *VENUE) if venue else ("app.sqlite3",):
            for suffix in ("", "-wal", "-shm", "-journal"):
                (self.folder / f"{file}{suffix}").unlink(missing_ok=True)
            if (saved := self.folder / "saved" / name / file).exists():
                shutil.copy(saved, self.folder / file)


class PostgresStore:
    """Databases of one server; copies are made by the server itself."""

    def __init__(self, folder: Path, server: str, name: str) -> None:
        self.folder = folder
        self.server = server
        self.name = name
        self.url = server.replace("/postgres?", f"/{name}?")
        self._run(f'CREATE DATABASE "{name}"')

    def save(self, name: str) -> None:
        self._run(f'CREATE DATABASE "{self.name}-{name}" TEMPLATE "{self.name}"')
        target = self.folder / "saved" / name
        target.mkdir(parents=True)
        for file in VENUE:
            if (self.folder / file).exists():
                shutil.copy(self.folder / file, target / file)

    def restore(self, name: str, *, venue: bool = True) -> None:
        self._run(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')
        self._run(f'CREATE DATABASE "{self.name}" TEMPLATE "{self.name}-{name}" STRATEGY FILE_COPY')
        if not venue:
            return
        for file in VENUE:
            for suffix in ("", "-wal", "-shm", "-journal"):
                (self.folder / f"{file}{suffix}").unlink(missing_ok=True)
            if (saved := self.folder / "saved" / name / file).exists():
                shutil.copy(saved, self.folder / file)

    def _run(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self.server, autocommit=True) as server:
            server.execute(statement)
