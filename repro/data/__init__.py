"""Where the images come from: registry, download, verification, training sets. Light: no torch."""
