//! The language: YAML, inventory, variables, roles and vault, read once with their places, into steps.
//! Pure: reads the project's files, but touches no host and no network.
