"""Files in and out: scores, votes, training runs; names and their order."""
