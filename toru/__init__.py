"""Toru: a self-hosted steering centre for one's own servers."""

__version__ = "0.1.0"
