//! The engine's own paths, for the everyday: appending, committing, opening, replaying, pruning, compacting. The comparison with other
//! engines and with the machine's limits is a package of its own, `benches/versus`.

#![allow(clippy::unwrap_used, missing_docs)] // a benchmark panics; criterion's macros make undocumented items

mod append;
mod commit;
mod compact;
mod open;
mod prune;
mod replay;
mod setup;

use criterion::{criterion_group, criterion_main};

criterion_group!(
    benches,
    append::records,
    commit::checkpoints,
    commit::among_many_states,
    commit::threads,
    open::after_close,
    open::to_read,
    replay::all,
    prune::all_but_ten,
    compact::rewritten_rows
);
criterion_main!(benches);
