"""segbench.reports."""
