"""Tables of papers as data, and the grids that run them: one file per paper, and one for its rivals."""
