"""What an admin does with people and tokens, each with something for it to change."""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID, uuid4

import httpx

from portal.accounts import tokens, users
from portal.audit.actors import SYSTEM
from tests.web.deeds import Deed, World, form
from tests.web.small_portal import PASSWORD, sign_in


async def _person(w: World, *, in_browser: bool = False) -> UUID:
    email = f"p{uuid4().hex[:8]}@example.com"
    await users.set_password_by_link(await users.create_user(email, "viewer", "", SYSTEM), PASSWORD)
    if in_browser:
        await sign_in(w.visitor, email)
        w.said += w.visitor.cookies.values()
        w.visitor.cookies.clear()
    return next(user.id for user in await users.list_users() if user.email == email)


def _of_person(deed: str, *, disabled: bool = False, in_browser: bool = False, **fields: str) -> Deed:
    async def done(w: World) -> httpx.Response:
        id = await _person(w, in_browser=in_browser)
        if disabled:
            await w.form(f"/settings/users/{id}/disable")
        return _noted(w, await w.form(f"/settings/users/{id}/{deed}", **fields))

    return done


async def invite(w: World) -> httpx.Response:
    return _noted(w, await w.form("/settings/users", email="ida@example.com", name="Ida", role="viewer"))


async def make_token(w: World) -> httpx.Response:
    return _noted(w, await w.form("/settings/tokens", name="nightly", role="editor", ends="never"))


async def revoke_token(w: World) -> httpx.Response:
    w.said.append(await tokens.create_token("weekly", "viewer", None, SYSTEM))
    found = next(each for each in await tokens.list_tokens() if each.name == "weekly")
    return await w.form(f"/settings/tokens/{found.id}/revoke")


def _noted(w: World, answer: httpx.Response) -> httpx.Response:
    """What it says this once is a secret."""
    w.said += re.findall(r"pt_[A-Za-z0-9_-]{43}|(?<=/password/)[A-Za-z0-9_-]{43}", answer.text)
    return answer


async def end_others(w: World) -> httpx.Response:
    await sign_in(w.visitor, "bo@example.com")
    w.said += w.visitor.cookies.values()
    w.visitor.cookies.clear()
    return await w.form("/account/sessions/end-others")


PEOPLE_DEEDS: Final = {
    ("POST", "/account/sessions/end-others"): (end_others, "user.end_sessions"),
    ("POST", "/account/preferences"): (form("/account/preferences", dates="iso"), "user.prefer"),
    ("POST", "/settings/users"): (invite, "user.add"),
    ("POST", "/settings/users/{id:uuid}/role"): (_of_person("role", role="editor"), "user.change_role"),
    ("POST", "/settings/users/{id:uuid}/disable"): (_of_person("disable"), "user.disable"),
    ("POST", "/settings/users/{id:uuid}/enable"): (_of_person("enable", disabled=True), "user.enable"),
    ("POST", "/settings/users/{id:uuid}/sign-out"): (_of_person("sign-out", in_browser=True), "user.end_sessions"),
    ("POST", "/settings/users/{id:uuid}/reset"): (_of_person("reset"), "user.reset"),
    ("POST", "/settings/tokens"): (make_token, "token.add"),
    ("POST", "/settings/tokens/{id:uuid}/revoke"): (revoke_token, "token.revoke"),
}
