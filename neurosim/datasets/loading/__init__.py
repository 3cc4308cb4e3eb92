"""From data sets to batches: splitting, caching, collating, loading."""
