"""Networks by a name of their own, a file a network: numbers to a module from images to scores."""
