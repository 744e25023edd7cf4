//! The instruments of `receptive::inspect`, each against what it claims to measure.

#[cfg(feature = "cli")]
mod cli;
mod diff;
mod graph;
mod health;
#[cfg(feature = "cli")]
mod page;
#[cfg(feature = "cli")]
#[path = "../program/mod.rs"]
mod program;
mod steps;
