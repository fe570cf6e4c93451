"""Where files lie and how they are named, read and written: one convention for every path that a user gives.

Knows nothing of zoos.
"""
