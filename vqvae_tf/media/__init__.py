"""Pictures and sound, for people to see and hear."""
