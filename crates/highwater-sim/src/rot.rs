//! Damage by no crash: what a disk does to bytes that it had promised to keep.

use highwater::testing::{Content, Random, SECTOR, State};

/// One piece of damage. Places are in bytes or sectors of the file; what lies outside of it damages nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rot {
    /// One bit is another.
    Flip {
        /// The byte.
        byte: u64,
        /// The bit in it.
        bit: u8,
    },
    /// A sector is zeros.
    Zero {
        /// The sector.
        sector: u32,
    },
    /// Two sectors changed places.
    Swap {
        /// One.
        sector: u32,
        /// The other.
        with: u32,
    },
    /// A write went astray: a sector's bytes stand in another place, too.
    Repeat {
        /// The sector.
        sector: u32,
        /// The place that was hit.
        over: u32,
    },
    /// A write got lost: some sectors are as they were in an earlier image.
    Stale {
        /// The first.
        sector: u32,
        /// How many.
        count: u32,
    },
    /// The file ends earlier.
    Truncate {
        /// Its length.
        len: u64,
    },
    /// The file is gone.
    Remove,
}

impl Rot {
    /// Some damage to a file of so many bytes.
    pub fn any(random: &mut Random, len: u64) -> Rot {
        let sectors = len.div_ceil(SECTOR as u64).max(1);
        let sector = random.below(sectors) as u32;
        let other = random.below(sectors) as u32;
        match random.below(8) {
            0 | 1 => Rot::Flip { byte: random.below(len), bit: random.below(8) as u8 },
            2 => Rot::Zero { sector },
            3 => Rot::Swap { sector, with: other },
            4 => Rot::Repeat { sector, over: other },
            5 => Rot::stale(sector, other),
            6 => Rot::Truncate { len: random.below(len) },
            _ => Rot::Remove,
        }
    }
}

impl Rot {
    /// A lost write of one sector, or of one, two or three whole blocks, as a page cache writes them: what an opening had dropped fits
    /// again only there.
    pub(crate) fn stale(sector: u32, any: u32) -> Rot {
        const BLOCK: u32 = 8;
        match any % 4 {
            0 => Rot::Stale { sector, count: 1 },
            blocks => Rot::Stale { sector: sector / BLOCK * BLOCK, count: blocks * BLOCK },
        }
    }

    /// Damages a file; `earlier` is what stale sectors come from. Says whether anything is other than before.
    pub fn damage(self, state: &mut State, name: &str, earlier: &State) -> bool {
        let Some(file) = state.find(name) else { return false };
        if self == Rot::Remove {
            state.forget(name);
            return true;
        }
        let before = state.cached(file).clone();
        let old = earlier.find(name).map(|file| earlier.cached(file).clone()).unwrap_or_default();
        let content = damaged(&before, self, &old);
        let changed = content.len() != before.len() || content.to_vec() != before.to_vec();
        state.replace(name, content);
        changed
    }
}

fn damaged(before: &Content, rot: Rot, earlier: &Content) -> Content {
    let mut content = before.clone();
    match rot {
        Rot::Flip { byte, bit } => {
            let mut found = [0];
            if before.read(&mut found, byte) == 1 {
                content.write(&[found[0] ^ 1 << (bit % 8)], byte);
            }
        }
        Rot::Zero { sector } => content.set_sector(sector, &[0; SECTOR]),
        Rot::Swap { sector, with } => {
            content.set_sector(sector, &before.sector(with));
            content.set_sector(with, &before.sector(sector));
        }
        Rot::Repeat { sector, over } => content.set_sector(over, &before.sector(sector)),
        Rot::Stale { sector, count } => {
            let end = u32::try_from(before.len().div_ceil(SECTOR as u64)).unwrap_or(u32::MAX);
            for sector in sector..sector.saturating_add(count).min(end) {
                content.set_sector(sector, &earlier.sector(sector));
            }
        }
        Rot::Truncate { len } => content.set_len(len.min(before.len())),
        Rot::Remove => {}
    }
    content
}
