//! The instruments of `receptive::inspect`, each against what it claims to measure.

mod steps;
