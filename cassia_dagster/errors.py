"""The few kinds of trouble that a user can do something about.

Every message names the thing, the value and the way out; the command line prints it as it stands.
"""


class CassiaError(Exception):
    """Base of all errors that are the user's to mend, as opposed to defects of this program."""


class InputError(CassiaError):
    """The data file, or what the user said about it, cannot be used."""


class ConfigurationError(CassiaError):
    """The project's configuration (catalog, resources, environment) does not fit."""


class ModelError(CassiaError):
    """A language model cannot be used at all: bad key, no credit, unknown model."""
