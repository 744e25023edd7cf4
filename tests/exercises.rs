//! Tests that the course's exercises can be solved, and that their checks fail while they are unsolved.

#[path = "../examples/exercises/conv_weight_gradient.rs"]
mod conv_weight_gradient;
#[path = "../examples/exercises/gemm_tile.rs"]
mod gemm_tile;
#[path = "../examples/exercises/pool_gradient.rs"]
mod pool_gradient;
#[path = "../examples/exercises/receptive_field.rs"]
mod receptive_field;
#[path = "../examples/exercises/softplus.rs"]
mod softplus;
#[path = "../examples/exercises/solutions.rs"]
mod solutions;

/// The description of a wrong answer.
type Wrong = Box<dyn std::error::Error>;

/// The check fails for the unsolved exercise and names the place. It passes for the solution.
fn holds(unwritten: Result<String, Wrong>, solved: Result<String, Wrong>, place: &str) {
    let wrong = unwritten.expect_err("an exercise that needs no answer").to_string();
    assert!(wrong.contains(place), "{wrong}");
    if let Err(wrong) = solved {
        panic!("the solution is wrong:\n{wrong}");
    }
}

#[test]
fn receptive_field() {
    let [yours, solved] = [receptive_field::through, solutions::receptive_field].map(receptive_field::check);
    holds(yours, solved, "lenet5, layer 0");
}

#[test]
fn softplus() {
    holds(softplus::check(&softplus::YOURS), softplus::check(&solutions::SOFTPLUS), "grad.input");
}

#[test]
fn pool_gradient() {
    let [yours, solved] = [pool_gradient::gradient, solutions::pool_gradient].map(pool_gradient::check);
    holds(yours, solved, "8 numbers, kernel 2");
}

#[test]
fn conv_weight_gradient() {
    let answers = [conv_weight_gradient::gradient, solutions::conv_weight_gradient];
    let [yours, solved] = answers.map(conv_weight_gradient::check);
    holds(yours, solved, "dw[0, 0, 0, 0]");
}

#[test]
fn gemm_tile() {
    let [yours, solved] = [gemm_tile::tile, solutions::gemm_tile].map(gemm_tile::check);
    holds(yours, solved, "C[0][0]");
}
