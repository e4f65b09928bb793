"""Handlers, grouped by what they are about; the routes stand beside them."""
