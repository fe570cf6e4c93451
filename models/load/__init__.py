"""Weights files: container -> state dict -> key layout -> strict load; and whether a file looks sound (`health`).

`folding` and `winograd` bring a loaded network into the form that a CPU runs fastest.
"""
