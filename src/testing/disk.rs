//! The simulated disk as a storage. Every call that changes something is put on record, so that one execution gives the
//! states after a crash at each of its calls.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use crate::storage::{Access, FileMap, Lock, LockMode, Storage, StorageFile};
use parking_lot::{Mutex, MutexGuard};

use super::fault::{Call, Fault, Faults, part_of};
use super::random::Random;
use super::state::{FileId, Operation, State};

/// A disk as one process sees it. A clone is the same process, or another that runs beside it.
#[derive(Debug, Clone)]
pub struct SimDisk {
    shared: Arc<Mutex<Shared>>,
    /// A killed process reaches nothing any more.
    life: u64,
}

#[derive(Debug)]
struct Shared {
    state: State,
    operations: Vec<Operation>,
    random: Random,
    faults: Faults,
    life: u64,
    locks: BTreeMap<String, Held>,
    /// The power goes once so many calls have changed something.
    off_after: Option<usize>,
}

#[derive(Debug, Default)]
struct Held {
    exclusive: bool,
    shared: usize,
}

impl SimDisk {
    /// A disk that holds what a boot finds. `seed` decides how faults look.
    pub fn new(state: State, seed: u64) -> Self {
        let shared = Shared {
            state,
            operations: Vec::new(),
            random: Random::new(seed),
            faults: Faults::default(),
            life: 0,
            locks: BTreeMap::new(),
            off_after: None,
        };
        SimDisk { shared: Arc::new(Mutex::new(shared)), life: 0 }
    }

    /// Kills the process: what it wrote stays in the cache, its locks go, and what is left of it can't do anything more.
    #[must_use = "the new process has the disk now"]
    pub fn kill(&self) -> SimDisk {
        let mut shared = self.shared.lock();
        shared.life += 1;
        shared.locks.clear();
        SimDisk { shared: self.shared.clone(), life: shared.life }
    }

    /// The power goes once so many calls have changed something, counted from when the disk was made; from then on every call
    /// fails, and [`after_power_cut`](SimDisk::after_power_cut) has what is left.
    pub fn cut_power_after(&self, calls: usize) {
        self.shared.lock().off_after = Some(calls);
    }

    /// The disk as the next boot finds it after a cut at this moment: of what was not flushed any subset, as `seed` decides.
    #[must_use = "the next process has this disk"]
    pub fn after_power_cut(&self, seed: u64) -> SimDisk {
        SimDisk::new(self.state().crash(&mut Random::new(seed)), seed)
    }

    /// How many calls have changed something.
    pub fn calls(&self) -> usize {
        self.shared.lock().operations.len()
    }

    /// What was done from the `from`th call on.
    pub fn operations(&self, from: usize) -> Vec<Operation> {
        self.shared.lock().operations[from..].to_vec()
    }

    /// The state now.
    pub fn state(&self) -> State {
        self.shared.lock().state.clone()
    }

    /// Lets the `nth` call from now on that `fault` concerns fail.
    pub fn arm(&self, fault: Fault, nth: u64) {
        self.shared.lock().faults.arm(fault, nth);
    }

    /// From now on so many bytes can be allocated.
    pub fn limit_room(&self, bytes: u64) {
        self.shared.lock().faults.room = Some(bytes);
    }

    /// No fault is waiting any more, and there is room.
    pub fn heal(&self) {
        self.shared.lock().faults.disarm();
    }

    /// Nothing fails again and again any more; what is armed stays so.
    pub fn mend(&self) {
        self.shared.lock().faults.mend();
    }

    /// Whether something fails again and again.
    pub fn is_failing(&self) -> bool {
        self.shared.lock().faults.is_lasting()
    }

    /// How many calls failed that change something.
    pub fn faults(&self) -> u64 {
        self.shared.lock().faults.fired
    }

    /// How many reads failed.
    pub fn failed_reads(&self) -> u64 {
        self.shared.lock().faults.unread
    }

    /// The cache forgets clean pages, as it may at any time.
    pub fn evict(&self) {
        self.shared.lock().perform(Operation::Evict);
    }

    fn reach(&self) -> io::Result<MutexGuard<'_, Shared>> {
        let shared = self.shared.lock();
        if shared.life != self.life {
            return Err(io::Error::other("this process was killed"));
        }
        if shared.off_after.is_some_and(|calls| shared.operations.len() >= calls) {
            return Err(io::Error::other("the power is off"));
        }
        Ok(shared)
    }

    /// A call that may fail.
    fn call(&self, call: Call) -> io::Result<MutexGuard<'_, Shared>> {
        let mut shared = self.reach()?;
        match shared.faults.meet(call) {
            Some(fault) => Err(fault.error()),
            None => Ok(shared),
        }
    }
}

impl Shared {
    fn perform(&mut self, operation: Operation) {
        self.state.apply(&operation);
        self.operations.push(operation);
    }

    fn write(&mut self, file: FileId, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let len = self.state.cached(file).len();
        self.faults.take_room((offset + bytes.len() as u64).saturating_sub(len))?;
        self.faults.written(file, offset, bytes.len());
        self.perform(Operation::Write(file, offset, bytes.into()));
        Ok(())
    }

    fn create(&mut self, name: &str) -> io::Result<FileId> {
        if let Some(fault) = self.faults.meet(Call::Name) {
            return Err(fault.error());
        }
        self.perform(Operation::Create(name.into()));
        self.state.find(name).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Storage for SimDisk {
    fn path(&self) -> &Path {
        Path::new("simulated")
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn StorageFile>> {
        let mut shared = self.reach()?;
        let file = match shared.state.find(name) {
            Some(file) => file,
            None if access == Access::Create => shared.create(name)?,
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Box::new(SimFile { disk: self.clone(), file }))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.reach()?.state.names().map(|name| name.to_string()).collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut shared = self.call(Call::Name)?;
        shared.state.find(from).ok_or(io::ErrorKind::NotFound)?;
        shared.perform(Operation::Rename(from.into(), to.into()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut shared = self.call(Call::Name)?;
        let file = shared.state.find(name).ok_or(io::ErrorKind::NotFound)?;
        let freed = shared.state.cached(file).len();
        shared.faults.free_room(freed);
        shared.perform(Operation::Remove(name.into()));
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        self.call(Call::Name)?.perform(Operation::SyncNames);
        Ok(())
    }

    fn try_lock(&self, name: &str, mode: LockMode) -> io::Result<Option<Box<dyn Lock>>> {
        let mut shared = self.reach()?;
        if shared.state.find(name).is_none() {
            if mode == LockMode::Shared {
                return Err(io::ErrorKind::NotFound.into());
            }
            shared.create(name)?;
        }
        let held = shared.locks.entry(name.to_owned()).or_default();
        match mode {
            LockMode::Exclusive if held.exclusive || held.shared > 0 => return Ok(None),
            LockMode::Shared if held.exclusive => return Ok(None),
            LockMode::Exclusive => held.exclusive = true,
            LockMode::Shared => held.shared += 1,
        }
        Ok(Some(Box::new(SimLock { disk: self.clone(), name: name.to_owned(), mode })))
    }
}

#[derive(Debug)]
struct SimLock {
    disk: SimDisk,
    name: String,
    mode: LockMode,
}

impl Lock for SimLock {
    /// Who holds it is for people, and decides nothing.
    fn describe(&self, _text: &str) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let Ok(mut shared) = self.disk.reach() else { return };
        if let Some(held) = shared.locks.get_mut(&self.name) {
            match self.mode {
                LockMode::Exclusive => held.exclusive = false,
                LockMode::Shared => held.shared -= 1,
            }
        }
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    file: FileId,
}

impl SimFile {
    fn reach_to_read(&self, len: usize, offset: u64) -> io::Result<MutexGuard<'_, Shared>> {
        let mut shared = self.disk.reach()?;
        match shared.faults.meet_read(self.file, offset, len) {
            true => Err(Fault::ReadFails.error()),
            false => Ok(shared),
        }
    }
}

impl StorageFile for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(self.reach_to_read(buf.len(), offset)?.state.cached(self.file).read(buf, offset))
    }

    fn write_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().copied()).collect();
        let mut shared = self.disk.reach()?;
        let fault = shared.faults.meet(Call::Write);
        match fault {
            None => shared.write(self.file, offset, &bytes)?,
            Some(fault @ (Fault::Error | Fault::ReadOnly)) => return Err(fault.error()),
            Some(fault) => {
                let part = part_of(bytes.len(), &mut shared.random).max(1);
                shared.write(self.file, offset, &bytes[..part])?;
                return if fault == Fault::ShortWrite { Ok(part) } else { Err(fault.error()) };
            }
        }
        Ok(bytes.len())
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let mut shared = self.disk.call(Call::Allocate)?;
        let len = shared.state.cached(self.file).len();
        shared.faults.take_room(bytes.saturating_sub(len))?;
        shared.perform(Operation::Allocate(self.file, bytes));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut shared = self.disk.reach()?;
        match shared.faults.meet_flush(self.file) {
            None => {
                shared.perform(Operation::Sync(self.file));
                Ok(())
            }
            Some(fault) => {
                if matches!(fault, Fault::SyncFails | Fault::FlushesFail) {
                    let seed = shared.random.word();
                    shared.perform(Operation::SyncFails(self.file, seed));
                }
                Err(fault.error())
            }
        }
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.reach()?.state.cached(self.file).len())
    }

    fn links(&self) -> io::Result<u64> {
        Ok(self.disk.reach()?.state.links(self.file))
    }

    fn read_device(&self, buf: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        Ok(Some(self.reach_to_read(buf.len(), offset)?.state.device(self.file).read(buf, offset)))
    }

    fn map(&self, _bytes: u64) -> io::Result<Option<FileMap>> {
        Ok(None)
    }
}
