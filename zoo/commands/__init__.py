"""The `zoo` commands, a module a command or a pair of kin; `zoo.cli` imports the one that is asked for.

A command reads its arguments (`arguments`), calls the library, and gives its answer back (`answer`). Only this
folder knows argparse's namespaces, prints, and chooses exit codes; what is worth calling from Python lies above it.
"""
