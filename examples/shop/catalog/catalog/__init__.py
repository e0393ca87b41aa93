"""What the shop sells, and for how much: an asynchronous service."""
