"""What is read, and everything that is computed from the votes of one study, once."""
