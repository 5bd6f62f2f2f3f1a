//! What the targets share: memory is bounded, whatever a log claims. Who wants more gets none, and the process ends.

use std::alloc::System;

use cap::Cap;

/// In all, in bytes: the largest log that a target makes, several times.
const LIMIT: usize = 64 << 20;

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, LIMIT);
