"""The rating study of Section 3.3: design, stage, votes and export. Knows no torch and no training."""
