"""From rows of results to tables."""
