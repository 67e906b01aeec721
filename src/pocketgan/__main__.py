"""`python -m pocketgan` is `pocketgan`."""

from pocketgan.cli import main

main()
