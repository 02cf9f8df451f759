"""Looks at a registry from outside, through whatever stands before it."""
