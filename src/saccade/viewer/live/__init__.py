"""The live page: a session of ``saccade.explain.session`` in a browser of this machine."""
