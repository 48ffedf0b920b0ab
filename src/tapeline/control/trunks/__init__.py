"""Trunks: their rows and settings, what a node knows of them, which one a number goes by."""
