"""`python -m oneiric.cli`, and the commands `oneiric` and `oneiric-validate`."""

import signal
import sys


def run() -> None:
    """Run the command line; Ctrl-C ends it without a traceback from the first moment on."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from oneiric.cli.app import main  # takes a while, and there is nothing yet to be let go of

    main()


def validate() -> None:
    """Run the commands of validation: `oneiric-validate`, which is `oneiric validation`."""
    sys.argv.insert(1, "validation")
    run()


if __name__ == "__main__":
    run()
