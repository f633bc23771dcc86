"""Who is called for a case when: programs of calls, timers as rows, and who watches that nothing stands still."""
