"""What is wrong with this machine or this folder, a line each, with the command that mends it."""
