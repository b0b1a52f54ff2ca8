"""The attention mechanisms that the paper compares with."""
