"""The `portal` command as people type it: in processes of its own, from any folder, beside a server and without one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from portal.environment import CHECKOUT
from tests import samples
from tests.e2e.server import RunningPortal
from tests.waiting import PATIENCE

PORTAL = [str(Path(sys.executable).with_name("portal"))]
CSV = "type,id,name\ninventory_items,MUG-1,Fjord mug\nnonsense,X,Nothing\ncustomers,C-1,Ana Berg\n"


@pytest.fixture(scope="module")
def beside() -> Iterator[RunningPortal]:
    """A portal whose server runs."""
    portal = RunningPortal(PORTAL_WORKERS="1").start()
    yield portal
    portal.remove()


@pytest.fixture
def fresh() -> Iterator[RunningPortal]:
    """A portal that nobody has started yet."""
    portal = RunningPortal(PORTAL_WORKERS="1")
    yield portal
    portal.remove()


def run(portal: RunningPortal, *words: str, code: int = 0, folder: str = "/") -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*PORTAL, *words], cwd=folder, env=portal.environment, capture_output=True, text=True, timeout=250
    )
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done


def script(portal: RunningPortal, text: str) -> subprocess.CompletedProcess[str]:
    environment = {**portal.environment, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", text],
        cwd="/",
        env=environment,
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_commands_need_no_server(fresh: RunningPortal, tmp_path: Path) -> None:
    done = run(fresh, "migrate")
    assert done.stdout == ""
    assert "up to date" in done.stderr
    add_pictures_by_script(fresh, tmp_path)


def test_users_are_made_listed_reset_and_disabled(beside: RunningPortal) -> None:
    link = run(beside, "user", "create", "ed@example.com", "--role", "editor").stdout
    assert link.startswith(f"{beside.url}/password/")
    assert link.count("\n") == 1
    other = run(beside, "user", "reset", "ed@example.com").stdout
    assert other.startswith(f"{beside.url}/password/")
    assert other != link
    assert "ed@example.com\teditor\tactive" in run(beside, "user", "list").stdout.splitlines()
    run(beside, "user", "disable", "ed@example.com")
    assert "ed@example.com\teditor\tdisabled" in run(beside, "user", "list").stdout.splitlines()


@pytest.mark.parametrize(
    "words",
    [
        ["user", "create", "no address", "--role", "viewer"],
        ["token", "revoke", "there is none"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_is_one_line(beside: RunningPortal, words: list[str]) -> None:
    done = run(beside, *words, code=1)
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1


def test_a_token_is_alone_on_stdout_and_works_until_it_is_revoked(beside: RunningPortal) -> None:
    beside.environment["PORTAL_LOG_LEVEL"] = "debug"
    made = run(beside, "token", "create", "host", "--role", "editor", "--expires", "2999-01-31").stdout
    del beside.environment["PORTAL_LOG_LEVEL"]
    token = made.removesuffix("\n")
    assert token
    assert not set(token) & set(" \n\t{")
    listed = run(beside, "token", "list").stdout
    assert token not in listed
    assert "\thost\t" in listed
    assert "\teditor\tactive\t2999-01-31" in listed
    headers = {"authorization": f"Bearer {token}"}
    assert httpx.get(f"{beside.url}/api/images", headers=headers, timeout=PATIENCE).status_code == 200
    run(beside, "token", "revoke", "host")
    assert httpx.get(f"{beside.url}/api/images", headers=headers, timeout=PATIENCE).status_code == 401
    assert "\trevoked\t" in run(beside, "token", "list").stdout


SHOP = "https://shop.example.com"
KEYED = """
import portal.sync
from portal.errors import FormError, NotFound
with portal.sync.open() as p:
    p.put_entity("customers", "C-9", name="Ana Berg")
    made = p.issue_key("customers", "C-9", parents=["https://shop.example.com"], presets=["card"])
    print(made.url.endswith(made.key), made.key in made.snippet, [each.id for each in p.keys().items] == [made.id])
    p.revoke_key(made.id)
    for wrong in (lambda: p.revoke_key(made.id), lambda: p.issue_key("customers", "C-9")):
        try:
            wrong()
        except (NotFound, FormError) as error:
            print(error.code)
"""


def test_an_embed_key_is_made_listed_and_revoked_beside_a_server(beside: RunningPortal, tmp_path: Path) -> None:
    file = tmp_path / "shop.jsonl"
    file.write_text(json.dumps({"type": "customers", "id": "C-8", "name": "Ana Berg"}))
    run(beside, "entities", "import", str(file))
    words = ["embed", "create", "customers", "C-8", "--parent", SHOP, "--preset", "card", "--expires", "30d"]
    url, nothing, frame, script_tag = run(beside, *words).stdout.splitlines()
    assert (url.startswith(f"{beside.url}/embed/k/"), nothing) == (True, "")
    assert f'src="{url}"' in frame
    assert script_tag == f'<script src="{beside.url}/embed.js" async></script>'
    made = json.loads(run(beside, *words, "--no-captions", "--json").stdout)
    assert {"id", "key", "url", "snippet", "scope", "created_at"} <= set(made)
    assert (made["presets"], made["captions"], made["scope"]) == (["card"], False, {"type": "customers", "id": "C-8"})
    listed = run(beside, "embed", "list").stdout
    assert f"{made['id']}\tcustomers/C-8\texpires in 29 days\t{SHOP}\tsystem\n" in listed
    assert made["key"] not in listed
    said = json.loads(run(beside, "embed", "list", "--json").stdout)
    assert (said["total"], said["embeds"][0]["id"]) == (2, made["id"])
    assert httpx.get(made["url"], timeout=PATIENCE).status_code == 200
    assert run(beside, "embed", "revoke", made["id"]).stdout == ""
    ends = asked = time.monotonic() + 1
    while httpx.get(made["url"], timeout=PATIENCE).status_code == 200:
        assert asked <= ends, "the server still shows what is revoked"
        asked = time.monotonic()
    assert httpx.get(made["url"], timeout=PATIENCE).status_code == 404


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["create", "customers", "nobody", "--parent", SHOP], "There is no customers/nobody"),
        (["create", "customers"], "parents: "),
        (["create", "customers", "--parent", SHOP, "--expires", "2001-01-01"], "expires: "),
        (["create", "companies", "--parent", f"{SHOP}/path"], "parents: "),
        (["revoke", "01890a5d-ac96-774b-bcce-b302099a80c7"], "There is no such embed key"),
    ],
)
def test_what_no_embed_key_can_be_is_one_line(beside: RunningPortal, words: list[str], said: str) -> None:
    done = run(beside, "embed", *words, code=1)
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert done.stderr.startswith(f"Error: {said}")


def test_embed_keys_need_no_server_and_scripts_make_them_too(fresh: RunningPortal) -> None:
    assert script(fresh, KEYED).stdout.splitlines() == ["True True True", "not_found", "bad_field"]
    assert run(fresh, "embed", "create", "companies").stdout.startswith(f"{fresh.url}/embed/k/")
    assert run(fresh, "embed", "list").stdout.count("\n") == 1
    for wrong in (["create", "pets"], ["create", "companies", "--preset", "original"], ["revoke", "x"]):
        assert "Error: Invalid value" in run(fresh, "embed", *wrong, code=2).stderr


def test_import_names_bad_rows_by_line(beside: RunningPortal, tmp_path: Path) -> None:
    (tmp_path / "shop.csv").write_text(CSV)
    (tmp_path / "good.csv").write_text(CSV.replace("nonsense,X,Nothing\n", ""))
    done = run(beside, "entities", "import", "shop.csv", code=1, folder=str(tmp_path))
    assert done.stderr.startswith("line 3: ")
    assert done.stdout.strip().endswith("1 refused")
    done = run(beside, "entities", "import", str(tmp_path / "good.csv"))
    assert done.stdout == "0 created, 0 changed, 2 unchanged, 0 refused\n"


def test_a_strict_import_takes_all_or_nothing(beside: RunningPortal, tmp_path: Path) -> None:
    file = tmp_path / "shop.jsonl"
    good = {"type": "companies", "id": "NORD-1", "name": "Nord AS"}
    file.write_text(f"{json.dumps(good)}\n{{not json\n")
    done = run(beside, "entities", "import", str(file), "--strict", code=1)
    assert "line 2: " in done.stderr
    file.write_text(f"{json.dumps(good)}\n")
    done = run(beside, "entities", "import", str(file), "--strict")
    assert done.stdout == "1 created, 0 changed, 0 unchanged, 0 refused\n"


def test_scripts_work_beside_a_server(beside: RunningPortal, tmp_path: Path) -> None:
    add_pictures_by_script(beside, tmp_path)


def add_pictures_by_script(portal: RunningPortal, tmp_path: Path) -> None:
    """What a script is told; that it prints what it wants to and nothing else."""
    picture = tmp_path / "mug.jpg"
    picture.write_bytes(samples.jpeg(300, 200))
    done = script(
        portal,
        f"""
import portal.sync
from portal.errors import Duplicate, NoSuchEntity
with portal.sync.open() as p:
    p.put_entity("inventory_items", "MUG-7", name="Fjord mug")
    image = p.add_image("inventory_items", "MUG-7", {str(picture)!r}, alt_text="A mug", wait=True)
    print(image.status, len(image.renditions))
    try:
        p.add_image("inventory_items", "MUG-7", {str(picture)!r})
    except Duplicate as error:
        print(error.extra["image_id"] == image.id)
    try:
        p.add_image("inventory_items", "NONE", {str(picture)!r})
    except NoSuchEntity:
        print("no such entity")
    print([(each.same_file, each.entity_name) for each in p.find_by_photo({str(picture)!r})])
    turned = p.change_image(image.id, edits={{"rotate": 90}})
    replaced = p.replace_file(image.id, {samples.png(90, 60)!r}, filename="mug.png", wait=True)
    print(replaced.version, replaced.edits, [each.version for each in p.versions(image.id)])
    back = p.restore_version(image.id, 1)
    p.wait_until_ready(back.id)
    print(p.image(image.id).renditions["optimized"].width, back.sha256 == image.sha256)
    print([each.error for each in p.batch("tag", [image.id], tags=["front"])], p.image(image.id).tags)
    print(p.fsck(), p.cleanup().orphaned_objects)
""",
    )
    first = ["ready 7", "True", "no such entity", "[(True, 'Fjord mug')]", "2 {} [2, 1]", "200 True"]
    assert done.stdout.splitlines() == [*first, "[None] ['front']", "[] 0"]
    assert done.stderr == ""


def test_pictures_are_made_again_by_the_workers_of_a_running_portal(beside: RunningPortal) -> None:
    said = json.loads(run(beside, "rerender", "missing", "--type", "categories", "--json").stdout)
    assert (said["kind"], said["state"]) == ("rerender", "queued")
    assert len(run(beside, "rerender", "selected", "--failed", "gone").stdout.strip()) == 36
    assert "Say which" in run(beside, "rerender", "selected", code=1).stderr


def test_cleanup_reports_and_removes_only_when_told(beside: RunningPortal) -> None:
    left = beside.data_dir / "uploads" / "images" / "inventory_items" / "notes.txt"
    left.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    left.write_text("whose?")
    said = json.loads(run(beside, "cleanup", "--json").stdout)
    assert (said["dry_run"], said["orphaned_objects"], said["examples"]) == (True, 1, ["inventory_items/notes.txt"])
    assert left.exists()
    removed = run(beside, "cleanup", "--apply").stdout.splitlines()
    assert (removed[0], removed[-1]) == ("1 orphaned objects, 6 bytes", "6 bytes in all, removed.")
    assert not left.exists()


def test_fsck_is_silent_on_a_sound_portal_and_names_each_breach(beside: RunningPortal) -> None:
    stray = beside.data_dir / "uploads" / "images" / "invoices" / f"{'long' * 40}.txt"
    stray.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    stray.write_text("whose?")
    try:
        found = [json.loads(line) for line in run(beside, "fsck", "--json", code=1).stdout.splitlines()]
        assert [(each["kind"], each["key"], each["image_id"]) for each in found] == [
            ("orphaned_object", f"invoices/{stray.name}", None)
        ]
        assert run(beside, "fsck", code=1).stdout.startswith(f"orphaned_object invoices/{stray.name} - ")
    finally:
        stray.unlink()
    assert "Sound" in run(beside, "fsck").stderr


def test_fsck_says_in_one_line_that_the_folder_for_pictures_is_not_mounted(beside: RunningPortal) -> None:
    root = beside.data_dir / "uploads" / "images"
    (root / "companies").mkdir(mode=0o700, exist_ok=True)
    (root / ".portal-root").rename(root.with_name("marker"))
    try:
        line = run(beside, "fsck", code=1).stdout
        assert line.startswith("unmounted_root - - the folder for pictures is not mounted")
        assert line.count("\n") == 1
        (told,) = run(beside, "fsck", "--json", code=1).stdout.splitlines()
        assert json.loads(told)["evidence"] == {"expected": {"file": ".portal-root"}, "found": None}
    finally:
        root.with_name("marker").rename(root / ".portal-root")


def test_the_audit_is_verified_against_a_hash_that_was_kept_elsewhere(beside: RunningPortal) -> None:
    run(beside, "token", "create", "nightly", "--role", "editor")
    anchor = run(beside, "audit", "seal").stdout.strip()
    assert len(bytes.fromhex(anchor)) == 32
    done = run(beside, "audit", "verify", "--json", "--anchor", anchor)
    verdict = json.loads(done.stdout)
    assert (verdict["is_whole"], verdict["breaches"], verdict["head"]) == (True, 0, anchor)
    done = run(beside, "audit", "verify", "--anchor", "0" * 64, code=1)
    assert done.stdout == f"unknown_anchor -: no seal of this chain has the hash {'0' * 64}\n"
    said = run(beside, "audit", "erase", "--person", "nobody@example.com", code=1).stderr
    assert "Nothing here says the name of this person" in said


def test_a_wrong_setting_is_one_line(fresh: RunningPortal) -> None:
    fresh.environment["PORTAL_TRASH_DAYS"] = "never"
    done = run(fresh, "serve", code=1)
    assert done.stderr == "Error: PORTAL_TRASH_DAYS is 'never'; expected a whole number from 0\n"


@pytest.mark.parametrize("word", ["migrate", "serve"])
def test_a_database_out_of_reach_is_said_without_its_password(fresh: RunningPortal, word: str) -> None:
    fresh.environment["PORTAL_DATABASE_URL"] = "postgresql://nobody:secret@127.0.0.1:1/none"
    done = subprocess.run([*PORTAL, word], env=fresh.environment, capture_output=True, text=True, timeout=250)
    assert done.returncode != 0
    assert "PostgreSQL cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stdout + done.stderr


def test_serve_prints_its_link_takes_up_after_a_kill_and_ends_with_0(fresh: RunningPortal) -> None:
    fresh.start()
    assert fresh.url in fresh.said
    assert fresh.setup_link().startswith(f"{fresh.url}/setup?token=")
    assert httpx.get(f"{fresh.url}/health/ready", timeout=PATIENCE).status_code == 200
    fresh.kill()
    fresh.start()
    fresh.setup_link()
    assert httpx.get(f"{fresh.url}/health/ready", timeout=PATIENCE).status_code == 200
    fresh.stop()
    assert fresh.process is not None
    assert fresh.process.returncode == 0
    assert "Traceback" not in fresh.logged()
    assert fresh.database is not None or not _has_server(fresh.data_dir)


def _has_server(data_dir: Path) -> bool:
    pid = data_dir / "postgres" / "cluster" / "postmaster.pid"
    if not pid.exists():
        return False
    try:
        os.kill(int(pid.read_text().split()[0]), 0)
    except (ProcessLookupError, FileNotFoundError):
        return False
    return True


def test_demo_fills_an_empty_portal_and_no_other(fresh: RunningPortal, beside: RunningPortal) -> None:
    done = run(fresh, "demo")
    assert done.stdout.startswith("The shop is open: ")
    assert done.stdout.count("\n") == 1
    run(beside, "entities", "import", str(CHECKOUT / "portal" / "demo_shop" / "entities.jsonl"))
    assert "Nothing was changed" in run(beside, "demo", code=1).stderr


def test_a_folder_comes_in_is_tried_first_and_goes_out_again(beside: RunningPortal, tmp_path: Path) -> None:
    mugs = tmp_path / "shop" / "inventory_items" / "MUG-12"
    mugs.mkdir(parents=True)
    (mugs / "front.jpg").write_bytes(samples.jpeg(90, 70))
    (mugs / "notes.txt").write_text("no picture")
    tried = run(beside, "import", str(tmp_path / "shop"), "--dry-run", code=1)
    assert tried.stdout == (
        "entities: 1 would be created, 0 would be changed\npictures: 1 would be added, 0 there already, 1 refused\n"
    )
    assert "inventory_items/MUG-12/notes.txt: " in tried.stderr
    (mugs / "notes.txt").unlink()
    done = json.loads(run(beside, "import", str(tmp_path / "shop"), "--json").stdout)
    assert (done["added"], done["made"], done["refusals"]) == (1, 1, [])
    words = ("export", str(tmp_path / "out"), "--entity", "inventory_items/MUG-12")
    assert run(beside, *words).stdout.startswith("entities: 1; pictures: 1, ")
    assert (tmp_path / "out" / "inventory_items" / "MUG-12" / "01-front.jpg").read_bytes() == samples.jpeg(90, 70)
    assert "is not empty" in run(beside, *words, code=1).stderr
    assert "Write it as inventory_items/MUG-1" in run(beside, *words[:3], "MUG-12", code=2).stderr
