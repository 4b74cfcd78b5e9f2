"""Statistics on arrays and frames of votes: one formula each, for this package and for mos_app."""
