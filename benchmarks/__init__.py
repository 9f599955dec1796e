"""Speed and accuracy, side by side with peers in one run. Each module is a command and writes docs/benchmarks.md."""
