"""What `--help` shows: commands under headings, each with its whole sentence, and options without Python's types."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from typer.core import TyperGroup, TyperOption

HEADINGS = ("Annotate", "Look at the results", "Ask more", "Keep house")
"""Of the commands, in this order; each command says under which it stands."""

_LONGEST = 200
"""Letters of a command's sentence."""


class HelpfulGroup(TyperGroup):
    """Commands whose help is written for people who do not program."""

    def __init__(self, **said: Any) -> None:
        super().__init__(**said)
        for command in self.commands.values():
            for option in command.params:
                if isinstance(option, TyperOption) and option.metavar is None and not option.is_flag:
                    option.metavar = _takes(option)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands; Typer groups them only where it prints with Rich, and cuts their sentences."""
        del ctx
        headed = [(getattr(command, "rich_help_panel", None), command) for command in self.commands.values()]
        ordered = sorted(headed, key=lambda one: HEADINGS.index(one[0]) if one[0] else 0)
        for heading, commands in groupby(ordered, key=lambda one: one[0]):
            with formatter.section(heading or "Commands"):
                formatter.write_dl([(str(one.name), one.get_short_help_str(_LONGEST)) for _, one in commands])


def _takes(option: TyperOption) -> str:
    """Name what stands after an option."""
    described = option.type_descriptor
    if described.is_choice:
        return "|".join(map(str, described.choices or ()))
    if described.is_path:
        return "PATH"
    return "NUMBER" if "int" in option.bare_type() or "float" in option.bare_type() else "TEXT"
