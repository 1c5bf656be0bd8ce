"""What is in this frame, and is the frame to be trusted."""
