"""Other frameworks' batch normalisation as array classes; each module needs its framework."""
