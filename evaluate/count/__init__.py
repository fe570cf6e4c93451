"""Pixels counted: confusion, the scores of it, other libraries' definitions, and how far rounding can move them."""
