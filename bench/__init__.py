"""The budgets of the design, each measured beside the bare thing it is compared to."""
