"""What a run learns: everything in which classification and detection differ."""
