"""Many rows: a CSV file in, the same file with answers out."""
