"""The actors of the hub, one file each, and the runtime beneath them."""
