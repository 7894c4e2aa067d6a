"""What a user may set: keys and theme, in a TOML file where the system keeps such files."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from dicomsniff.tui.commands import BY_NAME, COMMANDS

MAX_CONFIG = 1 << 20
"""Bytes of a configuration file that are read: it holds some dozen lines."""

SPELLINGS = {
    "/": "slash",
    "?": "question_mark",
    "+": "plus",
    "-": "minus",
    " ": "space",
    "'": "apostrophe",
    ".": "full_stop",
    ",": "comma",
    ":": "colon",
    ";": "semicolon",
    "<": "less_than_sign",
    ">": "greater_than_sign",
    "*": "asterisk",
    "#": "number_sign",
    "!": "exclamation_mark",
    "=": "equals_sign",
    "_": "underscore",
    "esc": "escape",
    "pgup": "pageup",
    "pgdn": "pagedown",
    "return": "enter",
}
"""How people write keys, and what Textual calls them."""


@dataclass(slots=True)
class Config:
    """What the configuration file says."""

    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Keys by name of the command; an empty tuple takes its keys away."""
    theme: str = ""
    mask_people: bool = False
    collapse: bool = False
    problems: list[str] = field(default_factory=list)
    """One line each: what in it cannot be used."""


def path() -> Path:
    """Where the file is, whether it exists or not."""
    from platformdirs import user_config_path

    return user_config_path("dicomsniff") / "config.toml"


def key_name(text: str) -> str:
    """Textual's name of a key as a person writes it: ``/``, ``ctrl+x``, ``^x``, ``pgdn``."""
    if len(text) > 1 and text.startswith("^"):
        return "ctrl+" + key_name(text[1:])
    if "+" in text[:-1]:
        modifiers, key = (text[:-2], "+") if text.endswith("++") else text.rsplit("+", 1)
        if len(key) == 1:
            key = key.lower()
        return f"{modifiers.lower()}+{key_name(key)}"
    return SPELLINGS.get(
        text, SPELLINGS.get(text.lower(), text if len(text) == 1 else text.lower())
    )


def load(file: Path | None = None) -> Config:
    """Read the file. What cannot be used is told and left out; the screen starts in any case."""
    config = Config()
    file = file or path()
    try:
        with file.open("rb") as stream:
            text = stream.read(MAX_CONFIG)
    except FileNotFoundError:
        return config
    except OSError as error:
        config.problems.append(f"{file}: {error.strerror or error}")
        return config
    try:
        found = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        config.problems.append(f"{file}: {error}")
        return config
    for name, value in found.items():
        if name == "keys" and isinstance(value, dict):
            _keys(value, config)
        elif name == "theme" and isinstance(value, str):
            config.theme = value
        elif name in ("mask_people", "collapse") and isinstance(value, bool):
            setattr(config, name, value)
        else:
            config.problems.append(f"{file.name}: {name} is not a setting, or not of its kind")
    return config


def _keys(table: dict[str, object], config: Config) -> None:
    for name, value in table.items():
        if name not in BY_NAME:
            config.problems.append(f"keys: there is no command {name!r}")
            continue
        keys = [value] if isinstance(value, str) else value
        if not isinstance(keys, list) or not all(isinstance(key, str) and key for key in keys):
            config.problems.append(f"keys: {name} needs a key or a list of keys")
            continue
        config.keys[name] = tuple(key_name(key) for key in keys)


def key_table(config: Config) -> dict[str, tuple[str, ...]]:
    """Keys of every command: a key given to another command is taken from its owner."""
    given = {key for keys in config.keys.values() for key in keys}
    table = {}
    for command in COMMANDS:
        if command.name in config.keys:
            table[command.name] = config.keys[command.name]
        else:
            table[command.name] = tuple(key for key in command.keys if key not in given)
    return table
