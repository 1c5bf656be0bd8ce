"""What is kept to show people afterwards."""
