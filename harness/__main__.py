"""``python -m harness`` is ``bn-harness``."""

from harness.cli import main

if __name__ == "__main__":
    main()
