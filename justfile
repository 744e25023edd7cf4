# The commands for developers. `just` lists them, and `just NAME` runs one. (https://github.com/casey/just)

# List the commands
default:
    @just --list

# Build the program
build:
    cargo build --release

# Run all tests
test:
    cargo test --release

# Check the format and the lints, then run all tests; do this before a commit
check:
    cargo fmt --check
    cargo clippy --release --all-targets -- -D warnings
    cargo test --release

# Run every check that must pass before a change is merged
ci:
    .ci/run

# Run a lesson: just lesson 05_cifar_resnet
lesson name:
    cargo run --release --example {{name}}

# Build the documentation of the code, with its formulas, and open it
book:
    cargo book --open

# Time every version of every kernel
ladder:
    cargo bench --bench ladder

# Time every op
ops:
    cargo bench --bench ops

# Time whole training steps
step:
    cargo bench --bench step

# Measure the notebooks' experiments in the background: just results --until 18:00
results *arguments:
    tools/results.sh {{arguments}}

# Build the simulated GPU in target/sim, and run the whole suite of CUDA tests on it
sim:
    tests/sim/suite.sh target/sim

# Look for races and accesses out of bounds in every kernel, on the simulator
sanitize:
    tests/sim/sanitize.sh target/sim

# Check the fork and join of threads in all orders, and the code for raw memory in Miri
memory:
    tools/check-memory.sh

# Compile the CUDA kernels to PTX in kernels/prebuilt/, after a change in one of them
ptx:
    NVCC=$(tools/get-nvcc.sh) RECEPTIVE_UPDATE_PREBUILT=1 cargo build --release

# Check that the committed PTX has the same kernels and parameters as the sources
check-ptx:
    tools/check-ptx.sh "$(tools/get-nvcc.sh)"

# Check the formulas of the documentation, and the scripts of the HTML pages
pages:
    node tools/check-math.mjs
    node tools/check-pages.mjs

# Check the HTML pages in a headless browser
browser:
    python3 tests/browser/run.py

# Pack the tests and benches for a machine that has a GPU and no Rust
gpu-bundle:
    tools/gpu-bundle.sh

# Write the functions on two call paths to docs/walks/ again (needs gdb, and MNIST)
walk:
    tools/walk --update

# Take the pictures of docs/tour.md again
tour:
    python3 tools/tour.py

# Build a static Linux program and both packed crates in target/dist
release:
    tools/release.sh
