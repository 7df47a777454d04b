"""How the portal fares: small checks, each with its evidence and what to do; a verdict that is kept and shared; alerts."""
