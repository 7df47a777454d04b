"""Objects in a bucket: S3, Google Cloud Storage, Azure, by one URL. The one door to obstore."""

from __future__ import annotations

import obstore

__all__ = ["obstore"]
