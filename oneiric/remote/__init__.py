"""Offers from afar: signed manifests, verified before any of their content is used."""
