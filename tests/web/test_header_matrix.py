"""What every address says about itself, to a visitor and to somebody who may look: who may keep it, frame it, run it."""

from __future__ import annotations

import re
from dataclasses import dataclass

import httpx
import pytest
from litestar import Litestar

from tests import samples
from tests.web.test_get_changes_nothing import app, names, paths  # noqa: F401 - the walk's fixtures
from tests.web.whole_app import caller, render

ACCEPT = "text/html, application/json"
PRIVATE = re.compile(
    r"(?!/api/images/fallback/).*(/invoices|/customers|/k/)"
)  # what stands in for a picture tells nothing of it
LASTING = "public, max-age=31536000, immutable"
SCRIPTS = "default-src 'none'; script-src 'self'; style-src"
STRICT = "default-src 'none'; frame-ancestors 'none'; sandbox"


@dataclass(frozen=True)
class Kind:
    """`everybodys` and `readers`: the Cache-Control of what succeeds, where all may see it and where a right was shown."""

    pattern: str
    policy: str
    everybodys: str = "no-store"
    readers: str = "no-store"
    is_for_other_sites: bool = False  # their pages may load it
    is_framed: bool = False
    vary: str | None = None


# the first that fits
KINDS = [
    Kind(
        r"/api/images/serve/[^?]+\?size=original",
        "default-src 'none'; sandbox",
        "",
        "private, max-age=300",
        vary="Accept",
    ),
    Kind(
        r"/api/images/serve/.*[?&]v=",
        "default-src 'none'; sandbox",
        LASTING,
        "private, max-age=300",
        True,
        vary="Accept",
    ),
    Kind(
        r"/api/images/serve/",
        "default-src 'none'; sandbox",
        "public, max-age=86400",
        "private, max-age=300",
        True,
        vary="Accept",
    ),
    Kind(r"/api/images/fallback/", "default-src 'none'; sandbox", "public, max-age=86400", is_for_other_sites=True),
    Kind(r"/static/", SCRIPTS, LASTING, is_for_other_sites=True),
    Kind(r"/favicon\.ico", SCRIPTS, "public, max-age=86400"),
    Kind(r"/embed(-host)?\.js", SCRIPTS, "public, max-age=300", is_for_other_sites=True),
    Kind(r"/(embed|cards)/", "default-src 'none'; ", "public, max-age=60", "private, no-store", True, is_framed=True),
    Kind(r"/qr/", "default-src 'none'; sandbox", "public, max-age=86400", "private, max-age=300", True),
    Kind(r"/api/images/entity/.*/primary", STRICT, "public, max-age=60", "private, max-age=60", True),
    Kind(r"/api/", STRICT),
    Kind(r"/docs", "default-src 'none'; script-src 'self' 'unsafe-inline'"),
    Kind(r"/", SCRIPTS),
]


LIVE = r"/metrics|/maintenance(/.*)?|/api/images/(health|statistics)"  # figures that go on meanwhile


def kind_of(path: str) -> Kind:
    return next(kind for kind in KINDS if re.match(kind.pattern, path))


@pytest.fixture
async def addresses(app: Litestar, names: dict[str, str]) -> list[tuple[str, bool]]:  # noqa: F811 - the fixtures above
    """Every address, and whether what lies there is private."""
    editor = await caller(app, "editor")
    form = {"entity_type": "inventory_items", "entity_id": "MUG"}
    answer = await editor.post("/api/images/upload", data=form, files={"file": ("a.jpg", samples.jpeg(80, 60))})
    public = answer.json()["id"]
    await render(app, public)
    static = re.findall(r'(?:href|src)="(/static/[^"]+)"', (await editor.get("/login")).text)
    assert static
    pictures = [f"/api/images/serve/{public}", f"/api/images/serve/{public}?size=card&v=1.1"]
    signed = (await editor.get(f"/api/images/{names['image']}")).json()["renditions"]["card"]["url"]
    answering = [path for path in paths(app, names) if not path.endswith("/stream")]  # which has a test of its own
    found = [*answering, *pictures, signed, *static, "/nowhere", "/api/nowhere", "/static/nowhere"]
    return [(path, PRIVATE.match(path) is not None or names["image"] in path) for path in found]


@pytest.mark.parametrize("role", [None, "viewer"])
async def test_every_address_says_who_may_keep_frame_and_run_it(
    app: Litestar,  # noqa: F811 - the fixture above
    addresses: list[tuple[str, bool]],
    role: str | None,
) -> None:
    client = await caller(app, role)
    wrong: list[str] = []
    seen: set[Kind] = set()
    for path, is_private in addresses:
        # a stranger's cookie changes nothing, and is not answered by another
        cookie = {} if role else {"cookie": "portal=made-up; theme=dark"}
        answer = await client.get(path, headers={"accept": ACCEPT, **cookie})
        head = await client.head(path, headers={"accept": ACCEPT, **cookie})
        kind = kind_of(path)
        found = [*about_all(answer), *about_head(answer, head)]
        is_success = answer.status_code in (200, 302)  # what leads to a picture; who is not signed in gets 303
        found += about_success(kind, answer, is_private, role) if is_success else about_refusal(answer)
        wrong += [f"{answer.status_code} {path}: {line}" for line in found]
        if is_success:
            seen.add(kind)
    assert wrong == []
    unseen = {KINDS[0]} if role is None else set()
    assert set(KINDS) - seen == unseen


def about_all(answer: httpx.Response) -> list[str]:
    headers = answer.headers
    once = {"content-security-policy", "x-content-type-options", "cross-origin-resource-policy", "cache-control"}
    wrong = [f"{name} {len(headers.get_list(name))} times" for name in once if len(headers.get_list(name)) != 1]
    if headers.get("x-content-type-options") != "nosniff":
        wrong.append("a browser may guess its type")
    if "set-cookie" in headers:
        wrong.append("sets a cookie")
    if "server" in headers:
        wrong.append("says by what it was made")
    if headers.get("content-type", "").count("charset") > 1:
        wrong.append(f"content-type: {headers['content-type']}")
    return wrong


def about_head(answer: httpx.Response, head: httpx.Response) -> list[str]:
    def said(response: httpx.Response) -> dict[str, str]:
        return {name: value for name, value in response.headers.items() if name not in ("x-request-id", "date")}

    wrong = ["HEAD has a body"] if head.content else []
    if head.status_code != answer.status_code:
        return [*wrong, f"HEAD gets {head.status_code}"]
    differing = {name for name in said(answer) | said(head) if said(answer).get(name) != said(head).get(name)}
    has_any_length = head.headers.get("content-encoding") == "gzip" and "etag" not in head.headers
    if has_any_length and "content-length" in head.headers:
        wrong.append("HEAD tells a length that GET will not have")
    if answer.status_code != 200 or has_any_length or re.fullmatch(LIVE, answer.url.path):
        differing -= {"content-length"}  # an error's body names its request, and figures go on
    return [*wrong, *(f"HEAD differs in {name}" for name in sorted(differing))]


def about_refusal(answer: httpx.Response) -> list[str]:
    """Nobody keeps a refusal, nor what leads to the sign-in or on to another page."""
    wrong = [] if answer.headers["cache-control"] == "no-store" else ["may be kept"]
    leads_on = answer.status_code == 303 and not answer.headers["location"].startswith("/login")
    is_ours = not answer.url.path.startswith("/docs/") and not leads_on
    if is_ours and "accept" not in answer.headers.get("vary", "").lower():
        wrong.append("does not say that it is written as Accept asks")
    return [*wrong, *(["is tagged for caches"] if "cache-tag" in answer.headers else [])]


def about_success(kind: Kind, answer: httpx.Response, is_private: bool, role: str | None) -> list[str]:
    headers = answer.headers
    allowed = {kind.readers} if is_private else {kind.everybodys, kind.readers} if role else {kind.everybodys}
    wrong = [] if headers["cache-control"] in allowed else [f"cache-control: {headers['cache-control']}"]
    policy = headers["content-security-policy"]
    if not policy.startswith(kind.policy):
        wrong.append(f"content-security-policy: {policy}")
    is_locked = "frame-ancestors 'none'" in policy or policy == "default-src 'none'; sandbox"
    if is_locked == kind.is_framed:
        wrong.append(f"framing: {policy}")
    if (headers["cross-origin-resource-policy"] == "cross-origin") != kind.is_for_other_sites:
        wrong.append(f"cross-origin-resource-policy: {headers['cross-origin-resource-policy']}")
    if kind.vary and headers.get("vary") != kind.vary:
        wrong.append(f"vary: {headers.get('vary')}")
    is_tagged = {"cache-tag", "surrogate-key"} <= set(headers)
    if is_tagged != ("serve" in kind.pattern and headers["cache-control"].startswith("public")):
        wrong.append("tagged for caches, though private" if is_tagged else "not tagged for caches")
    return wrong


async def test_a_public_picture_is_known_to_caches_by_its_id_and_type(
    app: Litestar,  # noqa: F811 - the fixture above
    addresses: list[tuple[str, bool]],
) -> None:
    (url,) = [path for path, is_private in addresses if "serve" in path and "v=1.1" in path and not is_private]
    image_id = url.removeprefix("/api/images/serve/")[:36]
    for headers in ({}, {"accept": "image/webp"}, {"range": "bytes=0-1"}, {"if-none-match": "*"}):
        said = (await (await caller(app, None)).get(url, headers=headers)).headers
        assert said["cache-tag"] == f"image-{image_id},inventory_items"
        assert said["surrogate-key"] == f"image-{image_id} inventory_items"
