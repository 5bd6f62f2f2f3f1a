# What CI runs, recipe by recipe. `just ci` runs all of it.

default:
    @just --list

# Formatting
fmt:
    cargo fmt --all --check

# Lints, warnings denied
clippy:
    cargo clippy --workspace --all-targets -- -D warnings

# Documentation, warnings denied
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# The README's test command
test:
    cargo test --workspace

# The README's main job
demo:
    cargo run --release --example demo

# Other platforms compile, where their targets can be installed
targets:
    .ci/targets

# Real connectors, killed at random
e2e:
    cargo build --release -p highwater-cli
    tests/e2e/run

# The crash driver, killed again and again: `just crash 600` for ten minutes
crash seconds="60":
    cargo build --release --example crash_driver
    .ci/crash target/release/examples/crash_driver {{seconds}}

# Write the golden log anew, after a deliberate change of the format
bless:
    HIGHWATER_BLESS=1 cargo test --test golden golden_bytes

# The engine's own benchmarks
bench:
    cargo bench

ci:
    .ci/run
