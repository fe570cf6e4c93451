"""Weights files: container -> state dict -> key layout -> strict load; and whether a file looks sound (`health`)."""
