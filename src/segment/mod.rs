//! One segment (or base file): reading and writing its bytes, walking its frames. It knows the format and the
//! storage; no directory, no lock, no other segment.

mod files;
mod growing;
mod memory;
mod walk;

use std::io;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::format::BLOCK;
use crate::format::frame::{self, Fault, HEADER, Header};
use crate::format::names;
use crate::format::segment::{HeaderFault, SEGMENT_HEADER, SegmentHeader};
use crate::position::{Address, SegmentId};
use crate::protection::Protection;
use crate::storage::{self, Access, FileMap, Storage, StorageFile};

pub(crate) use files::Files;
pub(crate) use growing::Growing;
use memory::Memory;
pub(crate) use walk::Walker;

/// An open segment with a valid header.
#[derive(Debug)]
pub(crate) struct Segment {
    pub header: SegmentHeader,
    name: String,
    file: Box<dyn StorageFile>,
    map: OnceLock<MapSlot>,
}

/// A map, if the storage makes maps.
struct MapSlot(Option<FileMap>);

impl std::fmt::Debug for MapSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MapSlot({})", self.0.is_some())
    }
}

/// Keeps the map while a slice of it is alive.
struct MapOwner(FileMap);

impl AsRef<[u8]> for MapOwner {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

/// A segment's file that has no valid header.
#[derive(Debug)]
pub(crate) enum OpenFault {
    Missing,
    Header(HeaderFault),
    /// The header is valid, and names another segment.
    Misnamed(SegmentId),
    Error(Error),
}

impl OpenFault {
    /// As an error of somebody who needs this segment.
    pub(crate) fn into_error(self, id: SegmentId) -> Error {
        let name = names::segment(id);
        match self {
            OpenFault::Missing => Error::corrupt(name, 0, "a file of the log is missing"),
            OpenFault::Header(HeaderFault::Unsupported(what)) => {
                Error::new(crate::ErrorKind::Unsupported, format!("{name}: {what}"))
            }
            OpenFault::Header(fault) => Error::corrupt(name, 0, fault.to_string()),
            OpenFault::Misnamed(found) => {
                Error::corrupt(name, 0, format!("the header names segment {found}, expected {id}"))
            }
            OpenFault::Error(error) => error,
        }
    }
}

impl Segment {
    pub(crate) fn open(storage: &dyn Storage, id: SegmentId, access: Access) -> Result<Segment, OpenFault> {
        Self::open_named(storage, names::segment(id), id, access)
    }

    /// The same under another name, which a repair gave it.
    pub(crate) fn open_named(
        storage: &dyn Storage,
        name: String,
        id: SegmentId,
        access: Access,
    ) -> Result<Segment, OpenFault> {
        let file = storage.open(&name, access).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => OpenFault::Missing,
            _ => OpenFault::Error(Error::io("opening a segment", &name, e)),
        })?;
        let block = storage::read_small(&*file, SEGMENT_HEADER)
            .map_err(|e| OpenFault::Error(Error::io("reading a segment's header", &name, e)))?;
        let header = SegmentHeader::decode(&block).map_err(OpenFault::Header)?;
        if header.id != id {
            return Err(OpenFault::Misnamed(header.id));
        }
        Ok(Segment { header, name, file, map: OnceLock::new() })
    }

    /// Makes the file with its final name: header, flush, rename, flush of the directory. A crash on the way leaves
    /// a file that is no segment. `recycled` is a file to write over.
    pub(crate) fn create(
        storage: &dyn Storage,
        header: SegmentHeader,
        recycled: Option<&str>,
    ) -> Result<Segment> {
        let name = names::segment(header.id);
        let made = recycled.unwrap_or(names::new_segment(header.id));
        let make = || -> io::Result<Box<dyn StorageFile>> {
            let file = match recycled {
                Some(_) => storage.open(made, Access::Write)?,
                None => storage::make_anew(storage, made)?,
            };
            file.allocate(header.segment_bytes.into())?;
            storage::write_all_at(&*file, &[&header.encode()], 0)?;
            file.sync()?;
            storage.rename(made, &name)?;
            storage::sync_names(storage)?;
            Ok(file)
        };
        match make() {
            Ok(file) => Ok(Segment { header, name, file, map: OnceLock::new() }),
            Err(e) => {
                if recycled.is_none() {
                    let _ = storage.remove(made);
                }
                Err(Error::io("making a segment", name, e))
            }
        }
    }

    pub(crate) fn id(&self) -> SegmentId {
        self.header.id
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn bytes(&self) -> u32 {
        self.header.segment_bytes
    }

    pub(crate) fn address(&self, offset: u32) -> Address {
        Address::new(self.id(), offset)
    }

    pub(crate) fn write(&self, pieces: &[&[u8]], offset: u32) -> Result<()> {
        storage::write_all_at(&*self.file, pieces, offset.into())
            .map_err(|e| Error::io("writing", &self.name, e))
    }

    /// Has the device begin with what was written between two offsets.
    pub(crate) fn begin_writeback(&self, from: u32, to: u32) -> Result<()> {
        self.file
            .begin_writeback(from.into(), (to - from).into())
            .map_err(|e| Error::io("writing back", &self.name, e))
    }

    /// Asks for what lies between two offsets.
    pub(crate) fn will_read(&self, from: u32, to: u32) {
        self.file.will_read(from.into(), to.saturating_sub(from).into());
    }

    pub(crate) fn sync(&self) -> Result<()> {
        if Protection::FileFlush.is_off() {
            return Ok(());
        }
        self.file.sync().map_err(|e| Error::io("flushing", &self.name, e))
    }

    pub(crate) fn allocate(&self) -> Result<()> {
        self.file.allocate(self.bytes().into()).map_err(|e| Error::io("allocating", &self.name, e))
    }

    pub(crate) fn links(&self) -> Result<u64> {
        self.file.links().map_err(|e| Error::io("looking at", &self.name, e))
    }

    /// How many bytes the file really has.
    pub(crate) fn file_len(&self) -> Result<u64> {
        self.file.len().map_err(|e| Error::io("looking at", &self.name, e))
    }

    /// What the device holds, past the page cache.
    pub(crate) fn read_device(&self, buf: &mut [u8], offset: u32) -> Result<Option<usize>> {
        self.file.read_device(buf, offset.into()).map_err(|e| Error::io("reading the device", &self.name, e))
    }

    /// Reads at most `buf.len()` bytes; what lies behind the end of the file reads as nothing.
    pub(crate) fn read_some(&self, buf: &mut [u8], offset: u32) -> Result<usize> {
        loop {
            match self.file.read_at(buf, offset.into()) {
                Ok(n) => return Ok(n),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::io(format!("reading at byte {offset}"), &self.name, e)),
            }
        }
    }

    /// Exactly these bytes, copied.
    pub(crate) fn read(&self, offset: u32, len: usize) -> Result<Bytes> {
        self.read_into(&Memory::default(), offset, len)
    }

    /// The same into memory that is used again.
    fn read_into(&self, memory: &Memory, offset: u32, len: usize) -> Result<Bytes> {
        /// More than this is not allocated before it is known that the file has it.
        const TRUSTED: usize = 1 << 20;
        self.check_range(offset, len)?;
        if len > TRUSTED && u64::from(offset) + len as u64 > self.file_len()? {
            return Err(Error::corrupt(
                &self.name,
                offset.into(),
                format!("expected {len} bytes, the file ends before"),
            ));
        }
        memory.filled(len, |piece| {
            storage::read_exact_at(&*self.file, piece, offset.into()).map_err(|e| match e.kind() {
                io::ErrorKind::UnexpectedEof => Error::corrupt(
                    &self.name,
                    offset.into(),
                    format!("expected {len} bytes, the file ends before"),
                ),
                _ => Error::io(format!("reading at byte {offset}"), &self.name, e),
            })
        })
    }

    /// Exactly these bytes of a sealed segment, out of a map where the storage makes maps.
    pub(crate) fn read_mapped(&self, offset: u32, len: usize) -> Result<Bytes> {
        self.check_range(offset, len)?;
        let slot = self.map.get_or_init(|| MapSlot(self.file.map(self.bytes().into()).ok().flatten()));
        match &slot.0 {
            Some(map) => {
                Ok(Bytes::from_owner(MapOwner(map.clone())).slice(offset as usize..offset as usize + len))
            }
            None => self.read(offset, len),
        }
    }

    /// Whether a slice of its map is alive.
    pub(crate) fn in_use(&self) -> bool {
        self.map.get().and_then(|slot| slot.0.as_ref()).is_some_and(|map| Arc::strong_count(map) > 1)
    }

    fn check_range(&self, offset: u32, len: usize) -> Result<()> {
        if offset < BLOCK || u64::from(offset) + len as u64 > u64::from(self.bytes()) {
            return Err(Error::corrupt(
                &self.name,
                offset.into(),
                format!("{len} bytes are expected beyond the segment's bounds"),
            ));
        }
        Ok(())
    }

    /// Decodes the header of the frame at `offset`.
    pub(crate) fn frame_header(&self, bytes: &[u8; HEADER], offset: u32) -> Result<Header, Fault> {
        Header::decode(bytes, self.header.salt, self.address(offset), self.bytes())
    }

    /// The frame at `offset`, with everything about it checked.
    pub(crate) fn frame(&self, offset: u32) -> Result<(Header, Bytes)> {
        let head = self.read(offset, HEADER)?;
        let mut bytes = [0; HEADER];
        bytes.copy_from_slice(&head);
        let header = self.frame_header(&bytes, offset).map_err(|fault| self.refuses(offset, fault))?;
        let rest = self.read(offset + HEADER as u32, header.frame_len() as usize - HEADER)?;
        let body = self.check(&header, offset, rest).map_err(|fault| self.refuses(offset, fault))?;
        Ok((header, body))
    }

    /// Checks body, padding and marker, given all bytes behind the header; returns the body.
    pub(crate) fn check(&self, header: &Header, offset: u32, mut rest: Bytes) -> Result<Bytes, Fault> {
        let tail = rest.split_off(header.body_len as usize);
        frame::check_tail(&tail, header, self.address(offset))?;
        frame::check_body(header, crc32fast::hash(&rest))?;
        Ok(rest)
    }

    /// Why a frame that is needed can't be had: it is damaged, or nothing that this build understands.
    pub(crate) fn refuses(&self, offset: u32, fault: Fault) -> Error {
        match fault {
            Fault::UnknownKind(_) | Fault::UnknownFlags(_) | Fault::NoCodec(_) => {
                Error::unsupported(&self.name, offset.into(), fault.to_string())
            }
            fault => self.damaged(offset, fault),
        }
    }

    pub(crate) fn damaged(&self, offset: u32, fault: impl std::fmt::Display) -> Error {
        Error::corrupt(&self.name, offset.into(), fault.to_string())
    }
}
