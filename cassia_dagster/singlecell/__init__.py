"""Matrices: load, normalise, embed, cluster, rank markers, profile clusters."""
