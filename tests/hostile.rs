//! Logs made by somebody who means harm: whatever their bytes say, the search for what is whole ends, and soon.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use highwater::environment::Stepped;
use highwater::repair::{self, Mode};
use highwater::storage::{Access, Disk, FileLayer, Layer, Memory, Storage, StorageFile};
use highwater::{Commit, Config, Log, LogReader, Op, StreamSpec};

const SEGMENT: usize = 1 << 20;
const NAME: &str = "00000001.hws";
const HEADER: usize = 40;
const MARKER: usize = 8;

/// Counts the bytes that are read, and knows the most that was asked for at once.
#[derive(Debug, Clone)]
struct Counting {
    files: Arc<dyn Storage>,
    read: Arc<AtomicU64>,
    most: Arc<AtomicU64>,
}

impl Counting {
    fn over(files: Arc<dyn Storage>) -> Self {
        Counting { files, read: Arc::default(), most: Arc::default() }
    }
}

#[derive(Debug)]
struct CountingFile(Box<dyn StorageFile>, Counting);

impl Layer for Counting {
    fn below(&self) -> &dyn Storage {
        &*self.files
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn StorageFile>> {
        let file = self.files.open(name, access)?;
        Ok(Box::new(CountingFile(file, self.clone())))
    }
}

impl FileLayer for CountingFile {
    fn below(&self) -> &dyn StorageFile {
        &*self.0
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let n = self.0.read_at(buf, offset)?;
        self.1.read.fetch_add(n as u64, Ordering::Relaxed);
        self.1.most.fetch_max(buf.len() as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// A log of one segment that is nearly full, and was closed.
fn sample() -> Memory {
    let files = Memory::new();
    let environment = Arc::new(Stepped::new(3, 1));
    let config = Config { segment_bytes: SEGMENT as u32, environment, ..Config::default() };
    let (log, _) = Log::open_on(Arc::new(files.clone()), config).unwrap();
    let stream = log.stream(StreamSpec::new("s")).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    for i in 0..9u8 {
        writer.append(&stream, Op::Insert { key: b"", row: &[i; 100_000] }).unwrap();
        writer.commit(Commit::new().stream(&stream, &i)).unwrap();
    }
    drop(writer);
    log.close().unwrap();
    assert_eq!(files.content(NAME).unwrap().len(), SEGMENT);
    files
}

/// Where the chain of frames ends.
fn end_of(segment: &[u8]) -> usize {
    let mut at = 4096;
    while segment[at] != 0 {
        let body = u32::from_le_bytes(segment[at + 4..at + 8].try_into().unwrap()) as usize;
        at += HEADER + body.next_multiple_of(8) + MARKER;
    }
    at
}

/// A header of a data frame that passes its checksum, and the marker behind its body.
fn frame(segment: &[u8], at: usize, body_len: usize) -> ([u8; HEADER], [u8; MARKER]) {
    frame_of(2, 0, segment, at, body_len)
}

/// The same of another kind, with a checksum of the body.
fn frame_of(
    kind: u8,
    body_crc: u32,
    segment: &[u8],
    at: usize,
    body_len: usize,
) -> ([u8; HEADER], [u8; MARKER]) {
    const EPOCH: u32 = 1;
    let address = 1u64 << 32 | at as u64;
    let mut header = [0; HEADER];
    header[0] = kind;
    header[24..28].copy_from_slice(&body_crc.to_le_bytes());
    header[28..32].copy_from_slice(&body_crc.to_le_bytes());
    header[4..8].copy_from_slice(&(body_len as u32).to_le_bytes());
    header[8..12].copy_from_slice(&EPOCH.to_le_bytes());
    let salt = &segment[40..48];
    let crc = crc32fast::hash(&[salt, &address.to_le_bytes(), &header[..36]].concat());
    header[36..].copy_from_slice(&crc.to_le_bytes());
    let marker = 0x7469_6D6D_6F63_7768 ^ address ^ u64::from(EPOCH).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (header, marker.to_le_bytes())
}

/// Looks for what can be repaired; how often all of the segment was read for that, on average.
fn effort(files: &Memory) -> u64 {
    let storage = Counting::over(Arc::new(files.clone()));
    let plan = repair::plan_on(Arc::new(storage.clone()), Mode::SkipDamaged).unwrap();
    assert!(plan.is_needed());
    storage.read.load(Ordering::Relaxed) / SEGMENT as u64
}

/// Thousands of headers, each of a frame that reaches over half of the segment and is right but for its body's checksum: to
/// look at each frame would read the segment thousands of times.
#[test]
fn headers_everywhere_do_not_make_the_search_endless() {
    let files = sample();
    let mut bytes = files.content(NAME).unwrap();
    let (from, to) = (8192, 800_000);
    bytes[from..to].fill(0xEE);
    let count = (to - from) / (HEADER + MARKER);
    for i in 0..count {
        let (at, end) = (from + i * HEADER, from + count * HEADER + i * MARKER);
        let (header, marker) = frame(&bytes, at, end - at - HEADER);
        bytes[at..at + HEADER].copy_from_slice(&header);
        bytes[end..end + MARKER].copy_from_slice(&marker);
    }
    files.set_content(NAME, bytes);
    let effort = effort(&files);
    assert!(effort < 100, "the segment was read {effort} times");
}

/// A whole frame, a few bytes of nothing, and so on: each hole is looked over, and the search begins anew behind it.
#[test]
fn thousands_of_small_holes_do_not_make_the_search_endless() {
    let files = sample();
    let mut bytes = files.content(NAME).unwrap();
    for at in (8192..800_000).step_by(HEADER + MARKER + 8) {
        let (header, marker) = frame(&bytes, at, 0);
        let whole = [&header[..], &marker, &[0xEE; 8]].concat();
        bytes[at..at + whole.len()].copy_from_slice(&whole);
    }
    files.set_content(NAME, bytes);
    let effort = effort(&files);
    assert!(effort < 500, "the segment was read {effort} times");
}

/// A sparse file costs whoever makes it nothing, however long it is: a frame of zeros that is longer than any writer makes one
/// takes no memory, with every checksum right and whatever it says that it is.
#[test]
#[cfg(target_os = "linux")]
fn a_frame_of_nothing_but_zeros_takes_no_memory() {
    const BYTES: u64 = 640 << 20;
    let files = sample();
    let mut segment = files.content(NAME).unwrap();
    segment[48..56].copy_from_slice(&BYTES.to_le_bytes());
    let crc = crc32fast::hash(&segment[..124]);
    segment[124..128].copy_from_slice(&crc.to_le_bytes());
    let at = end_of(&segment);
    let body_len = BYTES as usize - at - HEADER - MARKER;
    let (piece, mut zeros) = (vec![0; 1 << 20], crc32fast::Hasher::new());
    (0..body_len / piece.len()).for_each(|_| zeros.update(&piece));
    zeros.update(&piece[..body_len % piece.len()]);
    let body_crc = zeros.finalize();
    const DATA: u8 = 2;
    const COMMIT: u8 = 4;
    const INDEX: u8 = 6;
    for kind in [DATA, COMMIT, INDEX] {
        let dir = tempfile::tempdir().unwrap();
        let (header, marker) = frame_of(kind, body_crc, &segment, at, body_len);
        std::fs::write(dir.path().join("mark"), files.content("mark").unwrap()).unwrap();
        let file = std::fs::File::create(dir.path().join(NAME)).unwrap();
        let write =
            |bytes: &[u8], at: u64| std::os::unix::fs::FileExt::write_all_at(&file, bytes, at).unwrap();
        file.set_len(BYTES).unwrap();
        write(&segment[..at], 0);
        write(&header, at as u64);
        write(&marker, BYTES - MARKER as u64);
        let storage = Counting::over(Arc::new(Disk::new(dir.path())));
        let _ = LogReader::open_on(Arc::new(storage.clone())).and_then(|log| log.verify(&mut |_| {}));
        let most = storage.most.load(Ordering::Relaxed);
        assert!((1..=2 << 20).contains(&most), "kind {kind}: {most} bytes were asked for at once");
    }
}
