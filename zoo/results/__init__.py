"""What measurements say of the claims: answers, verdicts against a stored state, and what reports show beside them.

In come a manifest and measurements; out come rows for `reports`. Nothing is measured here but pictures on request.
"""
