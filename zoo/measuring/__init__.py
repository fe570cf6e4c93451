"""How numbers are made: what to measure with (`bench`), on which terms (`terms`), the record of a number (`measurement`), speed, training memory.

In come a row and options; out come measurements. Nothing here knows which claims there are, or judges one.
"""
