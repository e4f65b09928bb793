"""The version of this library; the core is told it as part of the greeting.

Runs on: any thread.
"""

__version__ = "0.2.0"
