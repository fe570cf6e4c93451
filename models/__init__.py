"""segbench.models."""
