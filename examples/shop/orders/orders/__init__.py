"""Takes orders and asks the catalog for the prices: a synchronous service."""
