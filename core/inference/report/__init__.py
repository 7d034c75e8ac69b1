"""The report of a night: a page that needs no network, and its figure."""
