"""Pages of the strategies: the catalogue, and the rules that users put together."""
