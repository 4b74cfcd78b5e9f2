"""Helpers of the rating study's tests: small studies, servers, simulated raters, and the browser."""
