"""What the plugin Files is made of."""
