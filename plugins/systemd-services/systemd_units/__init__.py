"""Services of systemd: asked for, told and changed through ``systemctl`` and ``journalctl``.

Runs on: the loop.
"""
