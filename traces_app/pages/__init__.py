"""What the trace pages show, worked out before a template sees it: rows, conversation, JSON as a tree."""
