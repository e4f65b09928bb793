"""__plugin_name__: what it is called. What it answers is in ``plugin.sh``."""

from __future__ import annotations

import shell
from toru_plugin import Plugin

plugin = Plugin(
    id="__plugin_id__",
    name="__plugin_name__",
    version="0.1.0",
    author="__plugin_author__",
    icon="🐚",
    route="/__plugin_id__",
)
plugin.bundle("bundle.js")
shell.serve(plugin, limit_s=60.0)
