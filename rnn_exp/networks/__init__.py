"""Networks: cells with exact adjoints, initial weights, and from a loss to all gradients."""
