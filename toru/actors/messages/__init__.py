"""What actors say to each other: frozen messages, grouped by receiver."""
