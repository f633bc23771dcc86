"""Who may come in and what is private: accounts' tables, sessions, passwords, the journal, households, forgetting, and the console's rim."""
