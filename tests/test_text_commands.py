"""`portal images export` and `import` as people type them, and what README says of the API."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from portal.environment import CHECKOUT
from tests import samples
from tests.e2e.server import RunningPortal
from tests.test_commands import PORTAL, run
from tests.waiting import PATIENCE


@pytest.fixture(scope="module")
def portal() -> Iterator[RunningPortal]:
    running = RunningPortal(PORTAL_WORKERS="1").start()
    yield running
    running.remove()


def test_texts_go_out_and_come_in_and_bad_lines_are_named(portal: RunningPortal, tmp_path: Path) -> None:
    token = portal.run("token", "create", "texts", "--role", "editor")
    with httpx.Client(base_url=portal.url, headers={"Authorization": f"Bearer {token}"}, trust_env=False) as client:
        client.put("/api/entities/inventory_items/MUG", json={"name": "Fjord mug"}, timeout=60).raise_for_status()
        form = {"entity_type": "inventory_items", "entity_id": "MUG", "caption": "=1+1"}
        files = {"file": ("mug.jpg", samples.jpeg(80, 60))}
        image = client.post("/api/images/upload", data=form, files=files, timeout=60).raise_for_status().json()["id"]
        out = tmp_path / "texts.csv"
        assert (
            "1 pictures" in run(portal, "images", "export", str(out), "--type", "inventory_items", "--id", "MUG").stderr
        )
        assert run(portal, "images", "export", "--missing", "alt").stdout.count("\n") == 2
        (line,) = csv.DictReader(io.StringIO(out.read_text("utf-8-sig"), newline=""))
        assert (line["image_id"], line["caption"]) == (image, "'=1+1")
        line["alt_text"] = "Slate blue mug"
        with out.open("a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, line)
            writer.writerows([line, {**line, "image_id": "mug"}])
        dry = run(portal, "images", "import", str(out), "--dry-run", code=1)
        assert dry.stdout.strip() == "1 would change, 1 unchanged, 1 refused"
        done = run(portal, "images", "import", str(out), "--json", code=1)
        assert json.loads(done.stdout) == {"lines": 3, "changed": 1, "unchanged": 1, "refused": 1}
        assert "line 4: image_id: This is no picture's id." in done.stderr
        shown = client.get("/api/images/entity/inventory_items/MUG", timeout=60).json()["images"][0]
        assert (shown["alt_text"], shown["caption"]) == ("Slate blue mug", "=1+1")


@pytest.mark.skipif(shutil.which("curl") is None, reason="README speaks curl")
def test_what_readme_says_of_the_api_can_be_typed(portal: RunningPortal, tmp_path: Path) -> None:
    for name, data in {"mug.jpg": samples.shapes(7), "mug-better.jpg": samples.shapes(8)}.items():
        (tmp_path / name).write_bytes(data)
    said = (CHECKOUT / "README.md").read_text().partition("## JSON API")[2].partition("## Embed")[0]
    for word, here in (".venv/bin/portal", PORTAL[0]), ("http://127.0.0.1:8000", portal.url):
        said = said.replace(word, here)
    begin, *blocks = re.findall("```sh\n(.*?)```", said, re.DOTALL)
    known = {"TOKEN": typed(begin + 'printf %s "$TOKEN"', portal, tmp_path, {}), "API": f"{portal.url}/api"}
    other = {"headers": {"authorization": f"Bearer {known['TOKEN']}"}, "timeout": PATIENCE}
    httpx.put(f"{known['API']}/entities/inventory_items/MUG-2", json={"name": "Another mug"}, **other)
    for block in blocks:
        answer = typed(block, portal, tmp_path, known)
        if "/images/upload" in block:
            known["ID"] = json.loads(answer)["id"]
    image = httpx.get(f"{known['API']}/images/{known['ID']}", **other).json()
    assert (image["entity"]["id"], image["tags"], image["version"]) == ("MUG-2", ["front", "studio"], 3)
    assert zipfile.is_zipfile(tmp_path / "mug.zip")


def typed(text: str, portal: RunningPortal, folder: Path, known: dict[str, str]) -> str:
    """In a shell in which curl fails by what is refused."""
    script = 'set -eu\ncurl() { command curl --silent --show-error --fail "$@"; }\n' + text
    environment = {**portal.environment, **known}
    done = subprocess.run(
        ["sh", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, (text, done.stdout, done.stderr)
    return done.stdout
