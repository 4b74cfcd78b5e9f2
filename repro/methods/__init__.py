"""One file a method, and the explicit table of all of them."""
