"""Timed inference by a publisher's protocol, and the state of the GPU that it ran on."""
