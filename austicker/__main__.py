"""`python -m austicker` is `austicker-grid`, where the command itself is not installed."""

from austicker.cli import main

main()
