"""How alerts and status reach people."""
