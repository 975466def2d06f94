"""Kinds of fault that strangers found; each file opens with its claim."""
