"""What a network takes, without running it: operations and activations (`cost`), training memory (`memory`)."""
