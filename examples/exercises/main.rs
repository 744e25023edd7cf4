//! Exercises: five functions of a working engine for you to write. Each file asks a question, leaves one function to
//! you, and then checks your answer against the engine.
//!
//!     cargo run --release --example exercises               # which are solved
//!     cargo run --release --example exercises softplus      # one, with what is still wrong
//!
//! | exercise | what you write | after lesson |
//! |---|---|---|
//! | `receptive_field` | which pixels an output sees after one more layer | 3 |
//! | `softplus` | an op's gradient, from its formula | 2 |
//! | `pool_gradient` | a gradient through windows that overlap | 3 |
//! | `conv_weight_gradient` | the gradient of a convolution's weights | 3 |
//! | `gemm_tile` | the inner loop of a fast matrix product | 10 |
//!
//! A function that has not been written yet returns something simple and wrong, so that everything compiles.
//! `solutions.rs` has one answer to each; `cargo test --test exercises` holds them to the same checks.

mod conv_weight_gradient;
mod gemm_tile;
mod pool_gradient;
mod receptive_field;
mod softplus;

/// What is wrong with an answer.
type Wrong = Box<dyn std::error::Error>;

struct Exercise {
    name: &'static str,
    check: fn() -> Result<String, Wrong>,
}

const EXERCISES: [Exercise; 5] = [
    Exercise { name: "receptive_field", check: || receptive_field::check(receptive_field::through) },
    Exercise { name: "softplus", check: || softplus::check(&softplus::YOURS) },
    Exercise { name: "pool_gradient", check: || pool_gradient::check(pool_gradient::gradient) },
    Exercise {
        name: "conv_weight_gradient",
        check: || conv_weight_gradient::check(conv_weight_gradient::gradient),
    },
    Exercise { name: "gemm_tile", check: || gemm_tile::check(gemm_tile::tile) },
];

fn main() {
    let Some(name) = std::env::args().nth(1) else { return overview() };
    let Some(exercise) = EXERCISES.iter().find(|exercise| exercise.name == name) else {
        let known = EXERCISES.map(|exercise| exercise.name).join(", ");
        eprintln!("error: there is no exercise `{name}`\n  expected one of {known}");
        std::process::exit(1);
    };
    match (exercise.check)() {
        Ok(remark) => println!("{name}: solved. {remark}"),
        Err(wrong) => {
            println!("{name}: not solved yet.\n{wrong}\nThe hole is in examples/exercises/{name}.rs.");
            std::process::exit(1);
        }
    }
}

fn overview() {
    for Exercise { name, check } in &EXERCISES {
        // An answer that panics is wrong, too. Its message is on stderr.
        let state = match std::panic::catch_unwind(check) {
            Ok(Ok(_)) => "solved",
            Ok(Err(_)) => "not solved yet",
            Err(_) => "not solved yet: it panics",
        };
        println!("{name:22} {state}");
    }
    println!("\nOne of them, with what is wrong: cargo run --release --example exercises softplus");
}
