"""How right is it? Agreement of labels with labels that others gave."""
