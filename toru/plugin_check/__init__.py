"""Checks that a plugin keeps to the protocol, as ``toru plugin check`` does.

The checker is the plugin's only hub: it starts the file as the hub does, speaks both versions with
the hub's own modules of ``toru.wire``, and keeps the plugin's keys in memory. Every case is a
function with a name, a sentence and a version; `toru.plugin_check.checker` runs them.

Runs on: one thread of a process of its own, since it ends every child that it finds.
"""
