"""One folder a dialect; `tapeline.api.dialect.find_dialects` finds them here by their `DIALECT`."""
