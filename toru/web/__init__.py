"""The HTTP and WebSocket surface: handlers that only send messages to actors."""
