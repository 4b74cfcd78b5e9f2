"""A study as plain values and pure functions: its file, orders, progress, viewing conditions, texts."""
