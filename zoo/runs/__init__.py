"""Whole verifications, run to answer more than one claim: against a stored state, or for the mistake behind a number.

In come rows and options; out come differences (`regression`) or a finding (`diagnosis`). Nothing here knows a flag.
"""
