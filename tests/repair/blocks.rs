//! Blocks that a disk does not give back.

use super::*;

/// Memory with a block that can't be read until it is written.
#[derive(Debug, Clone)]
struct BadBlock {
    files: Memory,
    name: &'static str,
    at: u64,
    is_bad: Arc<AtomicBool>,
}

#[derive(Debug)]
struct BadFile(Box<dyn StorageFile>, BadBlock);

impl Layer for BadBlock {
    fn below(&self) -> &dyn Storage {
        &self.files
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn StorageFile>> {
        let file = Storage::open(&self.files, name, access)?;
        Ok(if name == self.name { Box::new(BadFile(file, self.clone())) } else { file })
    }
}

impl BadFile {
    fn is_met(&self, offset: u64, len: usize) -> bool {
        offset < self.1.at + 4096 && offset + len as u64 > self.1.at
    }
}

impl FileLayer for BadFile {
    fn below(&self) -> &dyn StorageFile {
        &*self.0
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.1.is_bad.load(Ordering::Relaxed) && self.is_met(offset, buf.len()) {
            return Err(io::Error::other("a bad block"));
        }
        self.0.read_at(buf, offset)
    }

    fn write_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let written = self.0.write_at(pieces, offset)?;
        if self.is_met(offset, written) {
            self.1.is_bad.store(false, Ordering::Relaxed);
        }
        Ok(written)
    }
}

/// What the disk can't read is named by a verification and given up by a repair; the rest stays.
#[test]
fn a_block_that_cannot_be_read_costs_what_is_in_it() {
    for mode in [Mode::Cut, Mode::SkipDamaged] {
        for (name, at) in [("00000001.hws", 8192), ("00000003.hws", 20480), ("00000007.hws", 12288)] {
            let disk = BadBlock { files: sample(false), name, at, is_bad: Arc::new(true.into()) };
            let disk: Arc<dyn Storage> = Arc::new(disk);
            if let Ok(log) = LogReader::open_on(disk.clone()) {
                let problems = log.verify(&mut |_| {}).unwrap().problems;
                assert!(problems.iter().any(|what| what.contains(name)), "{problems:?}");
            }
            let plan = repair::plan_on(disk.clone(), mode).unwrap();
            assert!(plan.problems.contains(&format!("{name} byte {at}: can't be read: a bad block")));
            let repaired = repair::apply_on(disk.clone(), mode, config());
            if mode == Mode::Cut && !plan.can_cut {
                continue;
            }
            assert_eq!(repaired.unwrap(), plan);
            let (log, _) = Log::open_on(disk, config()).unwrap();
            assert!(log.verify(&mut |_| {}).unwrap().is_sound());
            let kept = content(&log).len() as u64;
            assert_eq!(kept, 60 - plan.lost_checkpoints, "{plan}");
        }
    }
}
