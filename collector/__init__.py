"""Readings in, points out: validate, store, receipt, quarantine."""
