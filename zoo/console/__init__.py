"""The process around a command: its streams, its signals, and what happens when something breaks that nobody foresaw."""
