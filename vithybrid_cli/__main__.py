"""``python -m vithybrid_cli`` and the ``vithybrid`` script."""

from vithybrid_cli.commands.app import main

if __name__ == "__main__":
    main()
