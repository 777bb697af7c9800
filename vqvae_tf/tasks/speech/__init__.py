"""Speech: codes, a WaveNet decoder, a fast decoder."""
