//! What a power cut leaves: any subset of the sectors that were not flushed, in any of the versions they had, torn, as
//! junk; lengths anywhere between; names in any of their versions, each for itself.

use std::collections::BTreeMap;

use super::content::{Content, SECTOR, Sector};
use super::random::Random;
use super::state::{File, FileId, Name, State};

/// What kind of cut it is; each reaches states that the others rarely do.
#[derive(Debug, Clone, Copy)]
enum Temper {
    /// Nothing unflushed survives.
    Nothing,
    /// Everything does.
    Everything,
    /// Everything but a few sectors.
    Nearly,
    /// Up to some place, in the order of the file.
    Prefix,
    /// Each with a chance of so many in ten.
    Some(u64),
}

struct Cut<'a> {
    random: &'a mut Random,
    temper: Temper,
    /// One in so many sectors is junk; 0: none.
    junk: u64,
}

impl State {
    /// The disk as the next boot finds it.
    #[must_use]
    pub fn crash(&self, random: &mut Random) -> State {
        let temper = match random.below(8) {
            0 => Temper::Nothing,
            1 => Temper::Everything,
            2 | 3 => Temper::Nearly,
            4 => Temper::Prefix,
            _ => Temper::Some(1 + random.below(9)),
        };
        let junk = [0, 0, 20, 5][random.index(4)];
        let mut cut = Cut { random, temper, junk };
        let mut after = State::default();
        let mut moved: BTreeMap<FileId, FileId> = BTreeMap::new();
        for (name, versions) in &self.names {
            let Some(file) = cut.name(versions) else { continue };
            let id = *moved.entry(file).or_insert_with(|| {
                let content = cut.file(&self.files[file]);
                after.files.push(File { cached: content.clone(), device: content, ..File::default() });
                after.files.len() - 1
            });
            after.names.insert(name.clone(), Name { device: Some(id), since: Vec::new() });
        }
        after
    }
}

impl Cut<'_> {
    fn name(&mut self, name: &Name) -> Option<FileId> {
        if name.since.is_empty() || matches!(self.temper, Temper::Nothing) {
            return name.device;
        }
        if matches!(self.temper, Temper::Everything) || self.survives(0, 1) {
            return name.since.last().copied().flatten();
        }
        let any = self.random.index(name.since.len() + 1);
        any.checked_sub(1).map_or(name.device, |i| name.since[i])
    }

    fn file(&mut self, file: &File) -> Content {
        let mut content = file.device.clone();
        let grown = file.cached.len().saturating_sub(file.device.len());
        if grown > 0 {
            let kept = match self.random.below(4) {
                0 => 0,
                1 => self.random.below(grown),
                _ => grown,
            };
            content.set_len(file.device.len() + kept);
            self.fill_new_space(&mut content, file);
        }
        let all = file.dirty.len();
        for (position, (sector, earlier)) in file.dirty.iter().enumerate() {
            if u64::from(*sector) * SECTOR as u64 >= content.len() {
                break;
            }
            if self.junk > 0 && self.random.one_in(self.junk) {
                let junk = self.junk_sector(&content, &file.cached, *sector);
                content.set_sector(*sector, &junk);
            } else if self.survives(position, all) {
                content.set_sector(*sector, &file.cached.sector(*sector));
            } else if !earlier.is_empty() && self.random.one_in(2) {
                content.set_sector(*sector, &earlier[self.random.index(earlier.len())]);
            }
        }
        content
    }

    /// Space that was allocated and never written may hold anything.
    fn fill_new_space(&mut self, content: &mut Content, file: &File) {
        if self.junk == 0 {
            return;
        }
        let first = file.device.len().div_ceil(SECTOR as u64);
        let end = content.len() / SECTOR as u64;
        for _ in 0..self.random.below(4) {
            let sector = (first + self.random.below(end.saturating_sub(first))) as u32;
            if u64::from(sector) < end && !file.dirty.contains_key(&sector) {
                let junk = self.junk_sector(content, &file.cached, sector);
                content.set_sector(sector, &junk);
            }
        }
    }

    fn survives(&mut self, position: usize, all: usize) -> bool {
        match self.temper {
            Temper::Nothing => false,
            Temper::Everything => true,
            Temper::Nearly => !self.random.one_in((all as u64 / 2).max(2)),
            Temper::Prefix => {
                if self.random.one_in((all - position) as u64) {
                    self.temper = Temper::Nothing;
                }
                !matches!(self.temper, Temper::Nothing)
            }
            Temper::Some(chance) => self.random.below(10) < chance,
        }
    }

    fn junk_sector(&mut self, content: &Content, cached: &Content, sector: u32) -> Sector {
        let mut junk = [0; SECTOR];
        match self.random.below(4) {
            0 => {}
            1 => self.random.fill(&mut junk),
            // Torn inside the sector.
            2 => {
                let at = self.random.index(SECTOR);
                junk = content.sector(sector);
                junk[at..].copy_from_slice(&cached.sector(sector)[at..]);
            }
            // What another place of the file held.
            _ => {
                let sectors = content.len() / SECTOR as u64;
                junk = content.sector(self.random.below(sectors) as u32);
            }
        }
        junk
    }
}
