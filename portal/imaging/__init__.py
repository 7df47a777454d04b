"""Bytes in, bytes out: what is a safe picture, and what every preset makes of it. No database, no settings, no web."""
