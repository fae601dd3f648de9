"""Recordings and rows become pictures, charts and pages. Nothing here imports what trains."""
