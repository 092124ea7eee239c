//! Every module by its name.
