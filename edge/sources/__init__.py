"""Where readings come from: serial lines, the local broker, contacts. Each is a task of its own; none waits for another."""
