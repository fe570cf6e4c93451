"""Where images are predicted: in this process (`local`), or on a cluster (`ray_cluster`).

In come a row, its data set and a protocol; counts go into the evidence store as they arrive. No engine judges.
"""
