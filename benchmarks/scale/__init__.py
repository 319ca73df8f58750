"""What grows with a catalogue, measured one subject a module: each adds its options to the command and measures."""
