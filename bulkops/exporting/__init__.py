"""Incremental exports: which conversations there are, which are exported, and a data set that proves it."""
