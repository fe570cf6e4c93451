"""Necks, a file a neck: feature maps to feature maps, between the backbone and all heads."""
