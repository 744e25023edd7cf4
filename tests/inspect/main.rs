//! The instruments that look into a network.

#[cfg(feature = "cli")]
mod cli;
mod diff;
mod graph;
mod health;
#[cfg(feature = "cli")]
#[path = "../program/mod.rs"]
mod program;
