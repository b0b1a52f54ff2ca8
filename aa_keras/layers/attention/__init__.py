"""Self-attention over a map, as pure functions of tensors."""
