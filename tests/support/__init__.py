"""What tests share: a real hub as a process, and clients that speak to it."""
