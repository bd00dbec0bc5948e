"""What the commands do, a file each. It is imported when a command runs, so here imports stand at the top as ever."""
