//! What the machine can do at all: one write and one flush per checkpoint, no format, nothing remembered. Nothing that keeps
//! its promises can be faster by much; how close an engine comes is the question.

mod buffer;
mod plain;
mod reading;
mod rewriting;
mod space;
mod streamed;

use super::Contender;
use crate::engine::{Engine, Setup};
use space::{Space, Way};

/// L1, L1b, L2, L3, L5, L5b, the two that read, and the one that copies what lives.
pub(crate) const ALL: [Contender; 9] =
    [APPEND, FALLOCATED, RECYCLED, DIRECT, STREAMED, STREAMED_FALLOCATED, READ, MAP, REWRITE];

const APPEND: Contender =
    Contender { retains: true, ..Contender::limit("raw-append", |setup| plain(setup, Space::GROWING)) };

const FALLOCATED: Contender = Contender {
    retains: true,
    ..Contender::limit("raw-fallocated", |setup| plain(setup, Space::FALLOCATED))
};

const RECYCLED: Contender = Contender::limit("raw-recycled", |setup| plain(setup, Space::RECYCLED));

const DIRECT: Contender = Contender::limit("raw-direct", |setup| plain(setup, Space::RECYCLED_DSYNC));

const STREAMED: Contender = Contender {
    threads: false,
    ..Contender::limit("raw-streamed", |setup| streamed(setup, Space::RECYCLED_DIRECT))
};

const STREAMED_FALLOCATED: Contender = Contender {
    threads: false,
    retains: true,
    ..Contender::limit("raw-streamed-fallocated", |setup| streamed(setup, Space::FALLOCATED_DIRECT))
};

const READ: Contender = Contender {
    writes: false,
    retains: true,
    replay: Some(reading::by_pread),
    ..Contender::limit("raw-pread-crc", |setup| plain(setup, Space::GROWING))
};

const MAP: Contender = Contender {
    writes: false,
    retains: true,
    replay: Some(reading::by_map),
    ..Contender::limit("raw-map-crc", |setup| plain(setup, Space::GROWING))
};

const REWRITE: Contender = Contender {
    writes: false,
    keyed: Some(|setup| Ok(Box::new(rewriting::Rows::open(setup)?))),
    ..Contender::limit("raw-rewrite", |setup| plain(setup, Space::GROWING))
};

/// The file of all of them.
const FILE: &str = "raw";

fn plain(setup: &Setup, way: Way) -> anyhow::Result<Box<dyn Engine>> {
    Ok(Box::new(plain::Plain::new(Space::open(setup, way)?, setup)))
}

fn streamed(setup: &Setup, way: Way) -> anyhow::Result<Box<dyn Engine>> {
    Ok(Box::new(streamed::Streamed::new(Space::open(setup, way)?, setup)))
}
