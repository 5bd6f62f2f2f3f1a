//! Programs: what users, processes and disks do to a log, one step after another. They come from a seed or from any bytes,
//! and print as Rust.

use highwater::testing::{Fault, Random};

/// Streams that a program knows.
pub(crate) const STREAMS: u8 = 4;
/// Consumers that a program knows.
pub(crate) const CONSUMERS: u8 = 2;
/// Pins that a program knows.
pub(crate) const PINS: u8 = 2;

/// Payload sizes: few, so that frames of one size stand in each other's place; the largest fills more than a segment.
pub(crate) const SIZES: [usize; 8] = [0, 30, 30, 200, 700, 3_000, 9_000, 70_000];

/// What a commit covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cover {
    /// A stream, and sets its state.
    Stream(u8),
    /// A stream's records; its state stays.
    Records(u8),
    /// A stream, and removes its state.
    Clear(u8),
    /// Every stream of one writer, and sets the state of the streams in the mask.
    Set(u8),
    /// Everything, with the global state.
    Global,
    /// Everything, and removes the global state.
    ClearGlobal,
    /// Nothing.
    Empty,
}

/// What a consumer does with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledge {
    /// Nothing.
    Not,
    /// All of it.
    All,
    /// One stream of it.
    Stream(u8),
    /// All of it, flushed.
    Synced,
}

/// One step. Whatever it needs (an open log, a registered stream, a writer, a consumer) is made on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the steps are documented; their numbers have telling names")]
pub enum Step {
    /// Records of one size.
    Append { stream: u8, op: u8, size: u8, count: u8 },
    /// A checkpoint.
    Commit { cover: Cover, buffered: bool, more: u8 },
    /// Buffered checkpoints that each fill whole blocks, so that frames of several stand on block boundaries.
    Aligned { stream: u8, count: u8 },
    /// A stream gets another schema, with its next commit.
    Schema(u8),
    /// A stream gets another name.
    Rename(u8),
    /// A stream's state is removed.
    Reset(u8),
    /// A stream is dropped.
    Drop(u8),
    /// Writers are dropped, with what they did not commit; the mask says which stream goes to which from now on.
    Writers(u8),
    /// A stream's uncommitted records are dropped.
    Discard(u8),
    /// Everything committed becomes durable.
    Flush,
    /// What is due is done.
    Maintain,
    /// Old segments go.
    Prune { keep: u8 },
    /// Old checkpoints become one; with little memory, or ended early.
    Compact { keep: u8, little: bool, cancel: bool },
    /// A segment is filled, and old ones go and are used again.
    Turn(u8),
    /// A consumer takes some checkpoints.
    Consume { consumer: u8, count: u8, acknowledge: Acknowledge },
    /// A consumer goes back, as its destination did.
    Align { consumer: u8, back: u8 },
    /// A consumer is closed.
    CloseConsumer(u8),
    /// A consumer is dropped for good.
    DropConsumer(u8),
    /// Checkpoints are held, from so many before the end.
    Pin { pin: u8, back: u8 },
    /// A pin goes.
    Unpin(u8),
    /// Another process opens the log for reading, and reads all of it.
    Look,
    /// A reader in another process goes on from where it was.
    Follow,
    /// The log is closed; perhaps somebody reads it meanwhile.
    Close { look: bool },
    /// The process is killed; the cache may forget clean pages, and somebody may read meanwhile.
    Kill { evict: bool, look: bool },
    /// A call will fail.
    Fault { fault: Fault, nth: u8 },
    /// The disk has room for so many blocks.
    Room(u8),
    /// The disk is well again.
    Heal,
    /// The power goes at some call since the last boot.
    PowerCut,
}

/// Steps, and the seed of everything else: ids, crash states, how a fault looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The seed.
    pub seed: u64,
    /// The steps.
    pub steps: Vec<Step>,
}

impl Program {
    /// A program from a seed alone.
    pub fn from_seed(seed: u64) -> Program {
        let mut random = Random::new(seed ^ 0x5EED);
        let hard = random.one_in(4);
        let mut steps = if hard { hard_start(&mut random) } else { Vec::new() };
        // Some programs repeat a few steps: what a crash leaves then fits what comes next.
        let few: Vec<Step> = (0..random.below(4)).map(|_| any_step(&mut random)).collect();
        for _ in 0..if hard { random.below(2) } else { 4 + random.below(5) } {
            for _ in 0..random.below(14) {
                let repeat = !few.is_empty() && random.one_in(3);
                steps.push(if repeat { few[random.index(few.len())] } else { any_step(&mut random) });
            }
            steps.push(Step::PowerCut);
        }
        if seed % 16 == 3 {
            trouble(&mut steps, &mut Random::new(seed ^ 0xBADD));
        }
        Program { seed, steps }
    }

    /// A program from any bytes: eight of a seed, four a step.
    pub fn from_bytes(bytes: &[u8]) -> Program {
        let (seed, rest) = bytes.split_at(bytes.len().min(8));
        let seed = seed.iter().fold(0, |seed, byte| seed << 8 | u64::from(*byte));
        let steps = rest.chunks_exact(4).map(|step| Step::decode([step[0], step[1], step[2], step[3]]));
        Program { seed, steps: steps.collect() }
    }

    /// The steps from one boot to the next.
    pub fn lives(&self) -> impl Iterator<Item = &[Step]> {
        self.steps.split(|step| *step == Step::PowerCut)
    }
}

/// Beginnings that random steps rarely find.
fn hard_start(random: &mut Random) -> Vec<Step> {
    let record = Step::Append { stream: 0, op: 0, size: 4, count: 1 };
    let buffered = Step::Commit { cover: Cover::Stream(0), buffered: true, more: 0 };
    let synced = Step::Commit { cover: Cover::Stream(0), buffered: false, more: 0 };
    let close = Step::Close { look: false };
    let kill = Step::Kill { evict: false, look: true };
    match random.below(4) {
        // Commits of one length; the first is lost, and another takes its place. Nothing may follow that.
        0 => {
            let before = [record, synced, close];
            let equals = (0..2 + random.below(5)).flat_map(|_| [record, buffered]).chain([Step::PowerCut]);
            let after = [record, buffered, kill, Step::Look, Step::PowerCut];
            before.into_iter().chain(equals).chain(after).collect()
        }
        // A segment filled to its last blocks, which a pruning and a close use up; then it has to be sealed.
        1 => {
            let fill = [Step::Turn(0), Step::Aligned { stream: 0, count: 8 + random.below(20) as u8 }];
            let use_up = [Step::Prune { keep: 1 }, close, record, synced, kill, Step::Look];
            fill.into_iter().chain(use_up).chain([Step::PowerCut]).collect()
        }
        2 => rewritten_rows(random),
        // A segment that is nearly full, and openings and closes that each leave something; then it has to be sealed.
        _ => {
            let fill = [Step::Aligned { stream: 0, count: 7 + random.below(3) as u8 }];
            let wear = (0..8 + random.below(12)).flat_map(|_| [close, Step::PowerCut]);
            let end = [record, synced, Step::Turn(0), kill, Step::Look];
            fill.into_iter().chain(wear).chain(end).collect()
        }
    }
}

/// Segments of rows that are written again, changed and deleted; somebody reads up to any place; then they are compacted,
/// and that once more.
fn rewritten_rows(random: &mut Random) -> Vec<Step> {
    let mut steps = Vec::new();
    for _ in 0..2 + random.below(4) {
        let stream = 1 + 2 * random.below(2) as u8;
        let reads_at = random.below(14);
        for number in 0..8 + random.below(8) {
            let op = random.below(5) as u8;
            steps.push(Step::Append { stream, op, size: 3, count: 1 + random.below(3) as u8 });
            steps.push(Step::Aligned { stream, count: 1 });
            if number == reads_at {
                steps.push(Step::Follow);
            }
        }
        steps.push(any_step(random));
        let keep = random.below(3) as u8;
        steps.push(Step::Compact { keep, little: random.one_in(3), cancel: random.one_in(8) });
        steps.push(Step::Follow);
    }
    steps.extend([Step::Look, Step::PowerCut]);
    steps
}

fn any_step(random: &mut Random) -> Step {
    let word = random.word().to_le_bytes();
    Step::decode([word[0], word[1], word[2], word[3]])
}

impl Step {
    /// A step from four bytes. The first decides what it is; small ones are the plainest, which helps shrinking.
    pub fn decode([kind, a, b, c]: [u8; 4]) -> Step {
        let stream = a % STREAMS;
        match kind {
            0..=59 => Step::Append { stream, op: a / STREAMS % 5, size: size(b), count: 1 + c % 3 },
            60..=119 => Step::Commit { cover: cover(a, b), buffered: c % 2 == 1, more: c / 2 },
            120..=129 => Step::Aligned { stream, count: 1 + b % 4 },
            130..=133 => Step::Schema(stream),
            134..=136 => Step::Rename(stream),
            137..=139 => Step::Reset(stream),
            140..=142 => Step::Drop(stream),
            143..=147 => Step::Writers(a),
            148..=150 => Step::Discard(stream),
            151..=154 => Step::Maintain,
            155..=159 => Step::Turn(stream),
            160..=168 => Step::Prune { keep: a % 6 },
            169..=174 => Step::Compact { keep: a % 6, little: b % 4 == 0, cancel: c % 8 == 0 },
            175..=194 => Step::Consume {
                consumer: a % CONSUMERS,
                count: 1 + b % 20,
                acknowledge: match c % 8 {
                    0 => Acknowledge::Not,
                    1 => Acknowledge::Stream(b % STREAMS),
                    2 => Acknowledge::Synced,
                    _ => Acknowledge::All,
                },
            },
            195..=197 => Step::Align { consumer: a % CONSUMERS, back: b % 4 },
            198..=200 => Step::CloseConsumer(a % CONSUMERS),
            201..=202 => Step::DropConsumer(a % CONSUMERS),
            203..=205 => Step::Pin { pin: a % PINS, back: b % 8 },
            206..=207 => Step::Unpin(a % PINS),
            208..=210 => Step::Look,
            211..=215 => Step::Follow,
            216..=221 => Step::Close { look: a % 2 == 1 },
            222..=233 => Step::Kill { evict: a % 2 == 1, look: b % 2 == 1 },
            234..=240 => Step::Fault { fault: fault(a), nth: nth(a, b) },
            241..=243 => Step::Room(a % 40),
            244..=247 => Step::Heal,
            248..=253 => Step::Flush,
            254..=255 => Step::PowerCut,
        }
    }
}

/// Large records are rare: they make large logs, and large logs make few states a second.
fn size(byte: u8) -> u8 {
    match byte {
        0..=239 => byte % 6,
        240..=252 => 6,
        253..=255 => 7,
    }
}

fn cover(a: u8, b: u8) -> Cover {
    let stream = b % STREAMS;
    match a % 12 {
        0..=4 => Cover::Stream(stream),
        5 => Cover::Records(stream),
        6 => Cover::Clear(stream),
        7 | 8 => Cover::Set(b),
        9 => Cover::Global,
        10 => Cover::ClearGlobal,
        _ => Cover::Empty,
    }
}

fn fault(byte: u8) -> Fault {
    if byte >= 192 {
        return [Fault::ReadFails, Fault::BadBlock, Fault::FlushesFail, Fault::ReadOnly]
            [usize::from(byte % 4)];
    }
    match byte % 6 {
        0 => Fault::Error,
        1 => Fault::PartialWrite,
        2 => Fault::ShortWrite,
        3 => Fault::NoSpace,
        _ => Fault::SyncFails,
    }
}

/// There are many reads, and few of anything else.
fn nth(byte: u8, nth: u8) -> u8 {
    match fault(byte) {
        Fault::ReadFails | Fault::BadBlock => nth / 4,
        _ => nth % 12,
    }
}

/// A disk that can't be read here and there, or fails again and again: such a fault every few steps.
fn trouble(steps: &mut Vec<Step>, random: &mut Random) {
    let mut at = random.index(6);
    while at < steps.len() {
        let kind = 192 + random.below(64) as u8;
        let nth = nth(kind, random.below(256) as u8);
        steps.insert(at, Step::Fault { fault: fault(kind), nth });
        at += 1 + random.index(10);
    }
}
