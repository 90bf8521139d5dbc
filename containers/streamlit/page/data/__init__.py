"""The tables in PostgreSQL, to be looked at and asked."""
