"""Weights files examined: whether a file is the row's own and sound (`check`). Torch and no data set; nothing is fetched."""
