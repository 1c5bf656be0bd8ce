"""The command line of classifiers, one file a command."""
