"""The command line, `gp_search`."""
