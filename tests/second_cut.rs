//! A power cut, and another while the log is opened again: what was flushed is not written a second time, so nothing can tear
//! it. The simulated disk runs one thread at a time; here frames come while another thread's flush is under way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex};

use highwater::environment::Stepped;
use highwater::storage::{Access, FileLayer, Layer, Memory, Storage, StorageFile};
use highwater::{Commit, Config, Durability, Log, LogReader, Op, Sequence, StreamSpec};

const SEGMENT: &str = "00000001.hws";
/// So many bytes of records make a frame.
const FRAME: usize = 128 << 10;

type Meanwhile = Box<dyn FnOnce() + Send>;

/// Memory that notes where the first segment is written, and does something during its next flush.
#[derive(Default, Clone)]
struct Watched {
    files: Memory,
    /// From byte to byte.
    writes: Arc<Mutex<Vec<(u64, u64)>>>,
    flushing: Arc<Mutex<Option<Meanwhile>>>,
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watched")
    }
}

impl Watched {
    fn written_to(&self) -> u64 {
        self.writes.lock().unwrap().iter().map(|(_, end)| *end).max().unwrap()
    }
}

impl Layer for Watched {
    fn below(&self) -> &dyn Storage {
        &self.files
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn StorageFile>> {
        let file = self.files.open(name, access)?;
        // A segment is made under another name.
        let watch = name == SEGMENT || name == "new.tmp";
        Ok(if watch { Box::new(WatchedFile { file, disk: self.clone() }) } else { file })
    }
}

#[derive(Debug)]
struct WatchedFile {
    file: Box<dyn StorageFile>,
    disk: Watched,
}

impl FileLayer for WatchedFile {
    fn below(&self) -> &dyn StorageFile {
        &*self.file
    }

    fn write_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let written = self.file.write_at(pieces, offset)?;
        self.disk.writes.lock().unwrap().push((offset, offset + written as u64));
        Ok(written)
    }

    fn sync(&self) -> io::Result<()> {
        let meanwhile = self.disk.flushing.lock().unwrap().take();
        meanwhile.into_iter().for_each(|meanwhile| meanwhile());
        self.file.sync()
    }
}

#[test]
fn an_opening_leaves_a_flushed_batch_alone_whatever_came_during_its_flush() {
    let disk = Watched::default();
    let environment = Arc::new(Stepped::new(7, 1));
    let config = Config { segment_bytes: 1 << 20, environment: environment.clone(), ..Config::default() };
    let (log, _) = Log::open_on(Arc::new(disk.clone()), config.clone()).unwrap();
    let [a, b] = ["a", "b"].map(|name| log.stream(StreamSpec::new(name)).unwrap());
    let mut writer = log.writer(&[&a]).unwrap();
    let mut other = log.writer(&[&b]).unwrap();
    let frame = vec![5; FRAME - 100];
    let mut spill = move || other.append(&b, Op::Insert { key: b"", row: &frame }).unwrap();

    // One batch: a checkpoint, and records behind it that nobody has committed.
    writer.commit(Commit::new().stream(&a, &1).durability(Durability::Buffered)).unwrap();
    let before = disk.files.content("mark").unwrap();
    spill();
    spill();
    let flushed = Arc::new(Mutex::new((0, None)));
    let (told, watched) = (flushed.clone(), disk.clone());
    *disk.flushing.lock().unwrap() = Some(Box::new(move || {
        spill(); // it gets its place now, and says that less is durable than soon will be
        *told.lock().unwrap() = (watched.written_to(), Some(spill));
    }));
    log.flush().unwrap();
    let (flushed_to, mut spill) = {
        let mut told = flushed.lock().unwrap();
        (told.0, told.1.take().unwrap())
    };
    assert!(flushed_to.is_multiple_of(4096));
    (0..5).for_each(|_| spill());
    let end = disk.written_to();
    assert!(end > flushed_to, "more was written, and not flushed");

    // The power is cut: the mark is old, and of what was not flushed only the first frame is whole.
    let image = disk.files.image();
    image.set_content("mark", before);
    let mut bytes = image.content(SEGMENT).unwrap();
    bytes[flushed_to as usize + FRAME + 4096..].fill(0);
    image.set_content(SEGMENT, bytes);
    drop((writer, spill, log));
    environment.reboot();

    let disk = Watched { files: image, ..Watched::default() };
    let shown = LogReader::open_on(Arc::new(disk.clone())).unwrap();
    assert_eq!(shown.end().unwrap().sequence, Sequence::FIRST);
    let (log, _) = Log::open_on(Arc::new(disk.clone()), config).unwrap();
    assert_eq!(log.end().unwrap().sequence, Sequence::FIRST);
    let first = disk.writes.lock().unwrap().iter().map(|(from, _)| *from).min().unwrap();
    assert!(
        first >= flushed_to,
        "byte {first} is written again, and everything up to {flushed_to} was flushed"
    );
}
