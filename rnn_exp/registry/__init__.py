"""Registries of the things that a word can choose, and where those of users come from.

A `Registry` knows of each thing its `Source`: none for what is part of this package, or a file, a
package, or what was typed in a notebook.
"""

from rnn_exp.registry.caller import source_of_caller
from rnn_exp.registry.loading import SourceText, load_plugins, use
from rnn_exp.registry.registry import Registry
from rnn_exp.registry.source import Source, SourceError, module_of_caller, why_of
from rnn_exp.registry.used import files_in, folders_in, use_files

__all__ = [
    "Registry",
    "Source",
    "SourceError",
    "SourceText",
    "files_in",
    "folders_in",
    "load_plugins",
    "module_of_caller",
    "source_of_caller",
    "use",
    "use_files",
    "why_of",
]
