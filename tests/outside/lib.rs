//! The tests in `doors/` are what this crate is for. Cargo asks for a library beside them.
