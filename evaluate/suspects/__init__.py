"""Known mistakes in measuring (`suspects`), and which of them explains a number (`diagnosis`)."""
