//! Time, randomness and the identity of this boot: everything the engine would otherwise ask the system for.
//! It comes through [`Config::environment`](crate::Config::environment), so that a test repeats to the byte.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};

/// What the engine asks the world outside its files.
pub trait Environment: Send + Sync + fmt::Debug {
    /// The wall clock: microseconds since 1970-01-01 UTC. It may step back; the engine's order does not hang on it.
    fn now_us(&self) -> i64;

    /// The same, as it was at most some milliseconds ago, where that is cheaper: each record asks.
    fn recent_us(&self) -> i64 {
        self.now_us()
    }

    /// A clock that never steps back, from any start.
    fn elapsed(&self) -> Duration;

    /// Random bits for ids and salts. They need not be secret, only different.
    fn random(&self) -> u128;

    /// Names this boot of the machine, if that can be known: equal as long as the page cache can't have been lost.
    fn boot(&self) -> Option<u128>;

    /// Who this process is, in words for people: the log's record of openings says it.
    fn process(&self) -> String {
        this_process()
    }
}

/// Its number, program and machine, as far as they can be known; at most some hundred bytes.
pub(crate) fn this_process() -> String {
    const NAME_CHARS_MAX: usize = 64;
    let short =
        |name: &str| name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect::<String>();
    let mut text = format!("process {}", std::process::id());
    let program = std::env::args_os().next();
    let program = program.as_ref().and_then(|path| std::path::Path::new(path).file_name()?.to_str());
    if let Some(program) = program {
        let _ = write!(text, " ({})", short(program));
    }
    // Miri's own uname leaves a part of the name undefined, and stops at that.
    #[cfg(all(unix, not(miri)))]
    if let Ok(host) = rustix::system::uname().nodename().to_str() {
        let _ = write!(text, " on {}", short(host));
    }
    text
}

/// The process that opened something. A forked child has it, too, and must not write through it.
#[derive(Debug)]
pub(crate) struct Owner(u32);

impl Default for Owner {
    fn default() -> Self {
        Owner(std::process::id())
    }
}

impl Owner {
    /// Fails in any other process; `what` says what the owner did.
    pub(crate) fn check(&self, what: &str) -> Result<()> {
        if std::process::id() == self.0 {
            return Ok(());
        }
        let what = format!("{what} by process {}; a forked process can't write it", self.0);
        Err(Error::new(ErrorKind::Forked, what))
    }
}

/// A duration in microseconds; the longest there is for one that has no number.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// The system's own clocks and randomness.
#[derive(Debug, Default, Clone, Copy)]
pub struct System;

impl Environment for System {
    #[expect(clippy::disallowed_methods, reason = "this is where the clock comes in")]
    fn now_us(&self) -> i64 {
        match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn recent_us(&self) -> i64 {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000)
    }

    #[expect(clippy::disallowed_methods, reason = "this is where the clock comes in")]
    fn elapsed(&self) -> Duration {
        static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        START.get_or_init(std::time::Instant::now).elapsed()
    }

    fn random(&self) -> u128 {
        let mut bytes = [0; 16];
        if getrandom::fill(&mut bytes).is_err() {
            // No source of randomness: ids only have to differ, and time with the process id does that.
            let time = self.now_us() as u128;
            return time << 64
                | u128::from(std::process::id()) << 32
                | u128::from(self.elapsed().subsec_nanos());
        }
        u128::from_le_bytes(bytes)
    }

    fn boot(&self) -> Option<u128> {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        text.trim().parse::<uuid::Uuid>().ok().map(|id| id.as_u128())
    }
}

/// An environment that repeats: a clock that is set by hand and ticks one microsecond a look, ids from a seed.
///
/// ```
/// use highwater::environment::{Environment, Stepped};
/// let world = Stepped::new(7, 1_000_000);
/// assert_eq!(world.now_us(), 1_000_000);
/// world.advance(std::time::Duration::from_secs(1));
/// assert!(world.now_us() >= 2_000_000);
/// ```
#[derive(Debug)]
pub struct Stepped {
    now_us: AtomicI64,
    elapsed_us: AtomicU64,
    random: AtomicU64,
    boot: AtomicU64,
}

impl Stepped {
    /// An environment whose ids follow from `seed` and whose clock starts at `now_us`.
    pub fn new(seed: u64, now_us: i64) -> Self {
        Stepped {
            now_us: AtomicI64::new(now_us),
            elapsed_us: AtomicU64::new(0),
            random: AtomicU64::new(seed),
            boot: AtomicU64::new(1),
        }
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let us = by.as_micros() as u64;
        self.now_us.fetch_add(us as i64, Ordering::Relaxed);
        self.elapsed_us.fetch_add(us, Ordering::Relaxed);
    }

    /// Steps the wall clock back, as a time server may.
    pub fn step_back(&self, by: Duration) {
        self.now_us.fetch_sub(by.as_micros() as i64, Ordering::Relaxed);
    }

    /// The machine boots anew: what was not flushed may be gone.
    pub fn reboot(&self) {
        self.boot.fetch_add(1, Ordering::Relaxed);
    }

    /// SplitMix64: enough to make ids differ, and it repeats.
    fn word(&self) -> u64 {
        let mut z = self.random.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }
}

impl Environment for Stepped {
    fn now_us(&self) -> i64 {
        self.now_us.fetch_add(1, Ordering::Relaxed)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_micros(self.elapsed_us.fetch_add(1, Ordering::Relaxed))
    }

    fn random(&self) -> u128 {
        u128::from(self.word()) << 64 | u128::from(self.word())
    }

    fn boot(&self) -> Option<u128> {
        Some(u128::from(self.boot.load(Ordering::Relaxed)))
    }

    fn process(&self) -> String {
        "a test".to_owned()
    }
}
