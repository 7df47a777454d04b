"""What was stored day by day."""
