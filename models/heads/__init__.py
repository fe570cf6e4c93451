"""Heads, a file a head with both publishers' variants of it: features to scores (N, C, h, w)."""
