"""Networks seen otherwise: tapped, guided, rewired, with the same parameters."""
