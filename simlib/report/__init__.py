"""Frames and figures to pages; notebooks to HTML."""
