"""`python -m railwatch`."""

from railwatch.cli.main import main

if __name__ == "__main__":
    main()
