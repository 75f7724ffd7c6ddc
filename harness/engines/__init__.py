"""Where a run's cases are executed: in this process, in worker processes, by an executor."""
