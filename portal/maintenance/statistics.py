"""Counts and bytes of all that is stored and served."""
