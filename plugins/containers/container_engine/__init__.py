"""A container engine: Docker or Podman, spoken to over its Unix socket.

Runs on: any thread that may wait.
"""
