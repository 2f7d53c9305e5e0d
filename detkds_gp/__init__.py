"""Genetic programming that searches for knowledge-distillation losses of object detectors."""
