"""Shared parts of networks and losses."""
