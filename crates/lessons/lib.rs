//! The lessons are examples: `cargo run --release --example 01_tensor`. Cargo requires a library in the same package.
