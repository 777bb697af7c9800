"""Writing pictures, animations and sound for people."""
