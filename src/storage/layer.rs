//! A storage over another: what a layer does not do itself, the one below does. For wrappers that slow, count, watch or
//! break a few calls.

use std::fmt;
use std::io::{self, IoSlice};
use std::path::Path;

use super::{Access, FileMap, Lock, LockMode, Storage, StorageFile, Watch};

/// A directory over another. Whoever implements this has a [`Storage`].
///
/// ```
/// use std::io;
/// use highwater::storage::{Access, Layer, Memory, Storage, StorageFile};
///
/// /// Refuses to remove anything.
/// #[derive(Debug)]
/// struct Keeping(Memory);
///
/// impl Layer for Keeping {
///     fn below(&self) -> &dyn Storage {
///         &self.0
///     }
///
///     fn remove(&self, _: &str) -> io::Result<()> {
///         Err(io::ErrorKind::PermissionDenied.into())
///     }
/// }
///
/// let storage = Keeping(Memory::new());
/// Storage::open(&storage, "a", Access::Create)?;
/// assert_eq!(Storage::names(&storage)?, ["a"]);
/// assert!(Storage::remove(&storage, "a").is_err());
/// # Ok::<(), io::Error>(())
/// ```
#[expect(missing_docs, reason = "each does what the method of Storage does")]
pub trait Layer: Send + Sync + fmt::Debug {
    fn below(&self) -> &dyn Storage;

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn StorageFile>> {
        self.below().open(name, access)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        self.below().names()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.below().rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.below().remove(name)
    }

    fn sync_names(&self) -> io::Result<()> {
        self.below().sync_names()
    }

    fn try_lock(&self, name: &str, mode: LockMode) -> io::Result<Option<Box<dyn Lock>>> {
        self.below().try_lock(name, mode)
    }

    fn locker(&self, name: &str) -> Option<u32> {
        self.below().locker(name)
    }

    fn watch(&self, name: &str) -> io::Result<Option<Box<dyn Watch>>> {
        self.below().watch(name)
    }
}

impl<T: Layer> Storage for T {
    fn path(&self) -> &Path {
        self.below().path()
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn StorageFile>> {
        Layer::open(self, name, access)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Layer::names(self)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Layer::rename(self, from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        Layer::remove(self, name)
    }

    fn sync_names(&self) -> io::Result<()> {
        Layer::sync_names(self)
    }

    fn try_lock(&self, name: &str, mode: LockMode) -> io::Result<Option<Box<dyn Lock>>> {
        Layer::try_lock(self, name, mode)
    }

    fn locker(&self, name: &str) -> Option<u32> {
        Layer::locker(self, name)
    }

    fn watch(&self, name: &str) -> io::Result<Option<Box<dyn Watch>>> {
        Layer::watch(self, name)
    }
}

/// A file over another. Whoever implements this has a [`StorageFile`].
#[expect(missing_docs, reason = "each does what the method of StorageFile does")]
pub trait FileLayer: Send + Sync + fmt::Debug {
    fn below(&self) -> &dyn StorageFile;

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.below().read_at(buf, offset)
    }

    fn write_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.below().write_at(pieces, offset)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.below().allocate(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.below().sync()
    }

    fn begin_writeback(&self, offset: u64, bytes: u64) -> io::Result<()> {
        self.below().begin_writeback(offset, bytes)
    }

    fn will_read(&self, offset: u64, bytes: u64) {
        self.below().will_read(offset, bytes);
    }

    fn read_device(&self, buf: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        self.below().read_device(buf, offset)
    }

    fn map(&self, bytes: u64) -> io::Result<Option<FileMap>> {
        self.below().map(bytes)
    }
}

impl<T: FileLayer> StorageFile for T {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        FileLayer::read_at(self, buf, offset)
    }

    fn write_at(&self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        FileLayer::write_at(self, pieces, offset)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        FileLayer::allocate(self, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        FileLayer::sync(self)
    }

    fn begin_writeback(&self, offset: u64, bytes: u64) -> io::Result<()> {
        FileLayer::begin_writeback(self, offset, bytes)
    }

    fn will_read(&self, offset: u64, bytes: u64) {
        FileLayer::will_read(self, offset, bytes);
    }

    fn len(&self) -> io::Result<u64> {
        self.below().len()
    }

    fn links(&self) -> io::Result<u64> {
        self.below().links()
    }

    fn read_device(&self, buf: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        FileLayer::read_device(self, buf, offset)
    }

    fn map(&self, bytes: u64) -> io::Result<Option<FileMap>> {
        FileLayer::map(self, bytes)
    }
}
