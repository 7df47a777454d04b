"""The audit's chain as one of fsck's promises; its signature is judged where the keys are (`portal audit verify`)."""

from __future__ import annotations

from typing import Final

from portal.audit.verification import Breach, verify_chain
from portal.integrity.findings import Finding

MOST: Final = 1000


async def breaks_in_audit() -> list[Finding]:
    found: list[Finding] = []

    def hear(breach: Breach) -> None:
        if len(found) < MOST:
            found.append(_finding(breach))

    await verify_chain(None, tell=hear)
    return found


def _finding(breach: Breach) -> Finding:
    named = f"line/{breach.line}" if breach.line is not None else f"seal/{breach.seal}"
    place = f"line {breach.line}" if breach.line is not None else f"seal {breach.seal}" if breach.seal else "the chain"
    evidence = {"breach": breach.kind, "seal": breach.seal, "line": breach.line}
    return Finding("audit_chain", f"audit/{breach.kind}/{named}", None, f"{place}: {breach.detail}", None, evidence)
