"""Files and speech that commands play into calls and conferences."""
