"""An output that is energised only while the track is known to be clear. De-energised is the alarm."""
