"""What sets the project up, checks it and packs it; standard library only.

Runs on: any Python from 3.11 on, before anything is installed.
"""
