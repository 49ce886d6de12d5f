"""`python -m oneiric.cli`, and the command `oneiric`."""

import signal


def run() -> None:
    """Run the command line; Ctrl-C ends it without a traceback from the first moment on."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from oneiric.cli.app import main  # takes a while, and there is nothing yet to be let go of

    main()


if __name__ == "__main__":
    run()
