"""A study on disk: its folder, its stimuli, exports, backups, and synthetic studies."""
