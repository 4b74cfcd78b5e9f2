"""What the results say of the paper: per printed value, per claim, and in one headline."""
