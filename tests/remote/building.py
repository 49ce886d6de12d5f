"""Build wheels as a build tool would, and archives that no build tool would make."""

import hashlib
import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{more}"
WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: {pure}\nTag: {tag}\n"

SHOP: Mapping[str, str] = {
    "shop/__init__.py": (
        "import shop.prices as prices\n"
        "from shop.prices import Prices\n"
        "from .words import GREETING\n"
        "import shop\n"
        "VERSION = '{version}'\n"
    ),
    "shop/prices.py": (
        "import json\n"
        "import os.path\n"
        "from dataclasses import dataclass\n"
        "from importlib import import_module, resources\n"
        "from pathlib import PurePosixPath\n"
        "from shop import words\n"
        "@dataclass\n"
        "class Price:\n"
        "    amount: int\n"
        "    unit: 'words.Unit'\n"
        "class Prices:\n"
        "    def __init__(self, *settings, **links):\n"
        "        self.closed = False\n"
        "        self.links = links\n"
        "    def version(self):\n"
        "        assert not self.closed\n"
        "        import shop.late\n"
        "        from shop.late import NAME\n"
        "        from . import late\n"
        "        again = import_module('.late', __package__)\n"
        "        assert late is shop.late is again and late.NAME == NAME\n"
        "        return NAME\n"
        "    def text(self):\n"
        "        import shop\n"
        "        return (resources.files(shop) / 'data' / 'text.txt').read_text()\n"
        "    def price(self):\n"
        "        return Price({version}, words.Unit.EUR)\n"
        "    def other(self):\n"
        "        from shop_tools import TOOL\n"
        "        return TOOL\n"
        "    def close(self):\n"
        "        self.closed = True\n"
    ),
    "shop/words.py": (
        "import enum\n"
        "GREETING = 'hello {version}'\n"
        "class Unit(enum.Enum):\n"
        "    EUR = 'eur {version}'\n"
    ),
    "shop/late.py": "NAME = 'late {version}'\n",
    "shop/data/text.txt": "text {version}",
    "shop_tools.py": "import shop\nTOOL = 'tool ' + shop.VERSION\n",
}
"""A package with every kind of import, and a module beside it."""


def shop(version: str) -> dict[str, str]:
    """Return the files of SHOP in this version."""
    return {name: text.replace("{version}", version) for name, text in SHOP.items()}


def build(
    folder: Path,
    files: Mapping[str, str | bytes],
    *,
    name: str = "acme-shop",
    version: str = "1",
    tag: str = "py3-none-any",
    pure: str = "true",
    metadata: str = "",
    without: str = "",
) -> tuple[Path, str]:
    """Write a wheel below *folder* as an artifact would lie; return its path and digest."""
    info = "-".join(re.sub(r"[^A-Za-z0-9.]", "_", each) for each in (name, version)) + ".dist-info"
    own = {
        f"{info}/METADATA": METADATA.format(name=name, version=version, more=metadata),
        f"{info}/WHEEL": WHEEL.format(tag=tag, pure=pure),
        f"{info}/RECORD": "".join(f"{each},,\n" for each in files),
    }
    every = {
        each: data for each, data in {**files, **own}.items() if not each.endswith(f"/{without}")
    }
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in every.items():
            archive.writestr(path, data)
    return put(folder, target.getvalue())


def put(folder: Path, data: bytes) -> tuple[Path, str]:
    """Write *data* below *folder* as an artifact would lie; return its path and digest."""
    sha256 = hashlib.sha256(data).hexdigest()
    path = folder / sha256 / "content"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path, sha256
