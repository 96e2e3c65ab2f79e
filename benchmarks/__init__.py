"""How right and how fast it is: what makes the figures of the documentation, and the cases they are made from."""
