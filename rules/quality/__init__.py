"""How good the alarms are: ISA-18.2's figures over a span, and the audit of tables against the log."""
