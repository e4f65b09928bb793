"""What goes over sockets: framing and the messages of the runner and of plugins."""
