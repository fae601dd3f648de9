"""Turn recordings and rows into pictures, charts and pages. Nothing here imports what trains."""
