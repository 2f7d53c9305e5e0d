"""Search configs: files for `gp_search run`, a package only so that wheels carry them."""
