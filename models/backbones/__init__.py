"""Backbones, a file a family: images (N, 3, H, W) to features of falling resolution."""
