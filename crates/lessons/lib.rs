//! The lessons are examples: `cargo run --release --example 01_tensor`. Cargo asks for a library beside them.
