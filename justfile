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

# The SQL destinations on a PostgreSQL server that this starts
postgres:
    crates/highwater-connect/tests/with-postgres cargo test -p highwater-connect --test sql postgres

# How fast SQLite and PostgreSQL take rows, beside plain inserts and a plain COPY
bench-sql records="100000":
    crates/highwater-connect/tests/with-postgres cargo bench -p highwater-connect --bench sql -- {{records}}

# What the runtime costs, beside pipes and `jq`, and beside a source on the Airbyte CDK (which `just e2e` installs)
bench-pipeline records="1000000":
    cargo bench -p highwater-connect --bench pipeline -- {{records}}

# The README's main job, and the engine's part of it alone
demo:
    cargo run --release -p highwater-cli -- demo
    cargo run --release --example demo

# Other platforms compile, where their targets can be installed
targets:
    .ci/targets

# The command built without codecs
light:
    .ci/light

# Real connectors, killed at random
e2e:
    cargo build --release -p highwater-cli
    tests/e2e/run

# Metrics, alert rules and the dashboard against a real Prometheus
monitoring:
    cargo build --release -p highwater-cli
    crates/highwater-serve/monitoring/check

# The page in a real browser; its pictures are left in target/browser/shots
browser:
    cargo build --release -p highwater-cli
    cargo build --release -p highwater-serve --example logs
    crates/highwater-serve/tests/browser/run

# Each source into each database, and each kind of program as a destination, with so many kills of each pair
matrix kills="30":
    cargo build --release -p highwater-cli
    tests/e2e/run --only destinations --only matrix --destination-kills {{kills}} --pair-kills {{kills}}

# One of these pairs: `just pair tap-postgres postgres`
pair source database kills="30":
    cargo build --release -p highwater-cli
    python3 -B tests/e2e/matrix.py --source {{source}} --database {{database}} --kills {{kills}}

# The crash driver, killed again and again: `just crash 600` for ten minutes
crash seconds="60":
    cargo build --release --example crash_driver
    .ci/crash target/release/examples/crash_driver {{seconds}}

# Power cuts on a simulated disk: `just explore 3600` for an hour
explore seconds="60":
    cargo run --release -p highwater-sim -- explore --seconds {{seconds}}

# Damage of every kind at every place, and what passes for a torn tail
damage seconds="60":
    cargo run --release -p highwater-sim -- damage --seconds {{seconds}}

# Each protection taken out once: the explorer has to notice
controls seconds="20":
    .ci/controls {{seconds}}

# The same with real processes: the power rig has to notice an engine that does not flush (needs /dev/fuse and root)
rig-controls seconds="60":
    CARGO_TARGET_DIR=target/fuse cargo build --release --manifest-path tests/fuse/Cargo.toml
    .ci/rig-controls target/fuse/release/powercut {{seconds}}

# Threads under a schedule explorer
schedules count="200":
    .ci/schedules {{count}}

# Fuzzing, every target for so long (needs a nightly toolchain)
fuzz seconds="60":
    .ci/fuzz {{seconds}}

# Undefined behaviour (needs a nightly toolchain with miri)
miri *what:
    .ci/miri {{what}}

# The stress test under ThreadSanitizer (needs a nightly toolchain with rust-src)
threads seconds="5":
    .ci/threads {{seconds}}

# System calls that fail or kill, one at a time (needs strace)
inject seconds="60":
    cargo build --release --example crash_driver
    tests/crash/inject.py target/release/examples/crash_driver {{seconds}}

# Power cuts under the crash driver, on a file system of ours in user space (needs /dev/fuse and root)
power seconds="60":
    cargo build --release --example crash_driver
    CARGO_TARGET_DIR=target/fuse cargo build --release --manifest-path tests/fuse/Cargo.toml
    tests/crash/power.py target/release/examples/crash_driver target/fuse/release/powercut {{seconds}}

# Kills and power cuts on ext4, xfs, btrfs, tmpfs, overlayfs (needs root)
filesystems seconds="60":
    cargo build --release --example crash_driver
    tests/crash/filesystems.py target/release/examples/crash_driver {{seconds}}

# Memory, descriptors and disk use over time: `just soak 3600`
soak seconds="60":
    cargo run --release --example soak -- {{seconds}}

# Everything above against crashes, faults and damage, a little of each
proof:
    .ci/proof

# Write the golden log anew, after a deliberate change of the format
bless:
    HIGHWATER_BLESS=1 cargo test --test golden golden_bytes

# The engine's own benchmarks
bench:
    cargo bench

# Instructions of the hot paths against the baseline (needs valgrind): `just instructions --bless`
instructions *what:
    benches/instructions/count {{what}}

# Beside other engines and the machine's limits: `just versus --quick`
versus *what:
    cargo build --release -p highwater-cli
    benches/versus/versus run {{what}}

# Its small commits on a journaled ext4 in an image (needs root)
versus-ext4 *what:
    benches/versus/ext4 {{what}}

ci:
    .ci/run
