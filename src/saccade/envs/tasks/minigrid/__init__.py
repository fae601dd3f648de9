"""MiniGrid (Chevalier-Boisvert et al., 2023), fully observed: many environments of one task, stepped and drawn at once.

``tasks`` lists what there is without loading anything; ``world.GridWorlds`` plays it.
"""
