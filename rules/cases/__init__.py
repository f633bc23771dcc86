"""Cases 工单: the work that alarms cause, and who does it."""
