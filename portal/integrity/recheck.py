"""Looking again at what was found: only what is open, so it is cheap. What is no more true becomes `gone`."""

from __future__ import annotations

from portal.integrity.findings import Finding, FindingView
from portal.storage.store import Store


async def recheck(finding: FindingView, *, store: Store) -> Finding | None:
    """The same breach as it is now, with new evidence; None when it is no more there.

    What cannot be proved to be gone (somebody is just writing there) is still there. Raises Unavailable when the store is not
    mounted.
    """
    raise NotImplementedError(finding.kind, store)
