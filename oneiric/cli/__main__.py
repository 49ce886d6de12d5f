"""`python -m oneiric.cli`."""

from oneiric.cli.app import main

if __name__ == "__main__":
    main()
