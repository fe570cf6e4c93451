"""What is wrong with a data set: names, headers and pixels examined, each finding with effect and remedy.

`checker.check` runs all of it. Nothing is written or mended.
"""
