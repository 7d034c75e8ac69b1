"""The program's entry: looks whose packages it is about to import, then runs the commands."""

import sys

from sleepcli.rooms import OWN, strangers


def main() -> None:
    """Run `sleepcli`; end with a sentence where another project's package stands in for one of its own."""
    for room, place in strangers().items():
        sys.stderr.write(f"Error: the package {room} is another project's, in {place or 'no folder'}. {OWN}\n")
        raise SystemExit(3)
    try:
        from sleepcli.app import app
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        raise SystemExit(130) from None
    app()


if __name__ == "__main__":
    main()
