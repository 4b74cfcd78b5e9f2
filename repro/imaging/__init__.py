"""Images as arrays: files, ranges, colour, MATLAB's resizing, tiles."""
