"""Autoregressive densities of codes, and sampling from them."""
