"""The database: where it is, its schema, and the statements on it.

Runs on: `open_storage` on the main thread at the start; the rest on the database actors.
"""

from toru.storage.opening import Storage, open_storage

__all__ = ["Storage", "open_storage"]
