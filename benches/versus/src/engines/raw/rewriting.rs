//! Reading a file of rows and copying those that live: what no compaction can do without.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use anyhow::Result;

use crate::engine::{Keyed, Setup};

const KEY_BYTES: usize = 8;
const PIECE_ROWS: usize = 256;
const COPY_BYTES: usize = 256 << 10;

/// Keys and rows one after another. Which of them live it knows without looking: finding out is the engine's part.
pub(super) struct Rows {
    path: PathBuf,
    out: BufWriter<File>,
    row_bytes: usize,
    last: HashMap<u64, u64>,
    rows: u64,
}

impl Rows {
    pub(super) fn open(setup: &Setup) -> Result<Rows> {
        fs::create_dir_all(&setup.dir)?;
        let path = setup.dir.join(super::FILE);
        let out = BufWriter::with_capacity(COPY_BYTES, File::create(&path)?);
        Ok(Rows { path, out, row_bytes: KEY_BYTES + setup.record_bytes, last: HashMap::new(), rows: 0 })
    }

    /// Every row with its number, CRC taken.
    fn each(&self, mut visit: impl FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
        let file = File::open(&self.path)?;
        let length = file.metadata()?.len();
        let mut piece = vec![0; self.row_bytes * PIECE_ROWS];
        let (mut at, mut number) = (0, 0);
        while at < length {
            let piece_bytes = (piece.len() as u64).min(length - at) as usize;
            let piece = &mut piece[..piece_bytes];
            file.read_exact_at(piece, at)?;
            std::hint::black_box(crc32fast::hash(piece));
            for row in piece.chunks_exact(self.row_bytes) {
                visit(number, row)?;
                number += 1;
            }
            at += piece_bytes as u64;
        }
        Ok(())
    }
}

fn key(row: &[u8]) -> Result<u64> {
    Ok(u64::from_be_bytes(row[..KEY_BYTES].try_into()?))
}

impl Keyed for Rows {
    fn put(&mut self, key: u64, row: &[u8]) -> Result<()> {
        self.out.write_all(&key.to_be_bytes())?;
        self.out.write_all(row)?;
        self.last.insert(key, self.rows);
        self.rows += 1;
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        self.out.flush()?;
        Ok(self.out.get_ref().sync_data()?)
    }

    fn rewrite(&mut self) -> Result<()> {
        let path = self.path.with_extension("rewritten");
        let mut out = BufWriter::with_capacity(COPY_BYTES, File::create(&path)?);
        self.each(|number, row| {
            if self.last.get(&key(row)?) == Some(&number) {
                out.write_all(row)?;
            }
            Ok(())
        })?;
        out.into_inner()?.sync_data()?;
        Ok(fs::rename(&path, &self.path)?)
    }

    fn rows(&mut self, visit: &mut dyn FnMut(u64, &[u8])) -> Result<()> {
        self.each(|_, row| {
            visit(key(row)?, &row[KEY_BYTES..]);
            Ok(())
        })
    }
}
