"""What handlers are given, in one word each: the portal's parts (named in portal.app), pieces of the path, of the query."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from portal.audit.actors import Actor
from portal.imaging.pool import RenderPool
from portal.settings import Settings
from portal.storage.links import Links
from portal.storage.store import Store

Http = Request[Any, Any, Any]

TheSettings = NamedDependency[Settings]
TheStore = NamedDependency[Store]
ThePool = NamedDependency[RenderPool]
TheLinks = NamedDependency[Links]
TheActor = NamedDependency[Actor]  # behind a guard: somebody
TheReader = NamedDependency[Actor | None]  # a visitor is None

PathText = FromPath[str]
QueryText = FromQuery[str | None]
Limit = Annotated[str | None, QueryParameter(description="1 to 200; 50 unless told")]
Cursor = Annotated[str | None, QueryParameter(description="`next` of the page before")]
Force = Annotated[str, QueryParameter(description="1, for admins: also what invoices are pinned to")]
