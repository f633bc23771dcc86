"""From readings to alarms and cases: the language, the alarm and case machines, and the engine that feeds them."""
