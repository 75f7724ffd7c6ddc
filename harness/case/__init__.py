"""What a case is, and how files of cases are read."""
