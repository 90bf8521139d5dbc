"""Data larger than memory: read in parts under the one reading rule, fitted to in three ways that say what they are."""
