"""Worker processes that ship with the harness; each is a program in one file."""
