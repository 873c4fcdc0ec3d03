"""The servers of the sandbox, one module each."""
