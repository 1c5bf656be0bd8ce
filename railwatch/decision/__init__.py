"""What the observations mean. Pure: no clock, thread, socket, file or chance."""
