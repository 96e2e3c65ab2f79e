"""The commands of `cassia-dagster`, a file each, and what they share: options, tables on the terminal, progress."""
