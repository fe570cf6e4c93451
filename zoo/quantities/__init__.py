"""What can be claimed and measured: accuracy (`recount`, `rounding`, `early`), `memory`, `speed`.

In come a row and a way to measure it; out comes a `Measurement`, a number with everything that it depends on.
Nothing here prints, fetches unasked or writes a table.
"""
