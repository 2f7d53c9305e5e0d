"""Setup: from a config to one prepared run, its data, detectors, pair, task and baselines."""
