"""The pages that keep the plant and answer for it: devices, quarantine, rules, quality, roster, log, drills."""
