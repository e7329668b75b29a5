"""A program: imports the whole platform while what requirements.lock does not hold is out of reach."""

import importlib
import pkgutil
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
APPS = ("accounts", "exchanges", "strategies", "bots", "tradingbot")
STARTED = ("celery.bin.celery", "celery.bin.worker", "celery.bin.beat", "kombu.transport.redis", "uvicorn.main")


class OutOfReach:
    """A finder that has nothing to offer: names of packages for development end here."""

    def __init__(self, names: set[str]) -> None:
        self.names = names

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.split(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r} at run time", name=name)


def normal(name: str) -> str:
    return re.sub(r"[_.]+", "-", name).lower()


def unlocked() -> set[str]:
    text = (PROJECT / "requirements.lock").read_text(encoding="utf-8")
    locked = set(re.findall(r"(?m)^([a-z0-9.-]+)==", text)) | {"pip", "setuptools"}
    return {name for name, owners in packages_distributions().items() if not {normal(one) for one in owners} & locked}


def main() -> None:
    sys.path.insert(0, str(PROJECT))
    sys.meta_path.insert(0, OutOfReach(unlocked()))
    import django

    importlib.import_module("tradingbot.settings")
    django.setup()
    for name in STARTED:
        importlib.import_module(name)
    for app in APPS:
        for module in pkgutil.walk_packages([str(PROJECT / app)], f"{app}."):
            if ".tests" not in module.name and not module.name.endswith(".testing"):
                importlib.import_module(module.name)
                sys.stdout.write(f"{module.name}\n")


if __name__ == "__main__":
    main()
