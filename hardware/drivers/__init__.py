"""Drivers of arms, one file each; a vendor's library is imported in its file alone."""
