"""The runner: a small process, standard library only, that holds every child process."""
