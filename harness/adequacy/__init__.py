"""Who tests the suite: implementations that are wrong on purpose, and others that only differ."""
