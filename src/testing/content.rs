//! The bytes of a file, in pages that copies share: an image of a whole disk costs little more than a list.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};

/// What a device writes at once: a cut leaves each sector as it was, as it was to be, or as junk.
pub const SECTOR: usize = 512;
const PAGE: usize = 4096;

/// One sector's bytes.
pub type Sector = [u8; SECTOR];

struct Page {
    bytes: [u8; PAGE],
    /// Of the bytes; copies that share the page share the work.
    hash: OnceLock<u64>,
}

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Page")
    }
}

impl Clone for Page {
    fn clone(&self) -> Self {
        Page { bytes: self.bytes, hash: OnceLock::new() }
    }
}

/// A file's bytes. A page that is not there reads as zeros.
#[derive(Debug, Clone, Default)]
pub struct Content {
    pages: Vec<Option<Arc<Page>>>,
    len: u64,
}

impl Content {
    /// How many bytes there are.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Cuts the content, or makes it longer with zeros.
    pub fn set_len(&mut self, len: u64) {
        if len < self.len {
            let inside = (len % PAGE as u64) as usize;
            self.pages.truncate((len as usize).div_ceil(PAGE));
            if inside > 0
                && let Some(page) = self.page_mut(len as usize / PAGE)
            {
                page[inside..].fill(0);
            }
        }
        self.pages.resize((len as usize).div_ceil(PAGE), None);
        self.len = len;
    }

    /// Reads what there is of `buf.len()` bytes.
    pub fn read(&self, buf: &mut [u8], offset: u64) -> usize {
        let wanted = (buf.len() as u64).min(self.len.saturating_sub(offset)) as usize;
        let mut done = 0;
        while done < wanted {
            let at = offset as usize + done;
            let inside = at % PAGE;
            let n = (PAGE - inside).min(wanted - done);
            match self.pages.get(at / PAGE).and_then(Option::as_ref) {
                Some(page) => buf[done..done + n].copy_from_slice(&page.bytes[inside..inside + n]),
                None => buf[done..done + n].fill(0),
            }
            done += n;
        }
        wanted
    }

    /// Writes all bytes, making the file longer if need be.
    pub fn write(&mut self, bytes: &[u8], offset: u64) {
        self.set_len(self.len.max(offset + bytes.len() as u64));
        let mut done = 0;
        while done < bytes.len() {
            let at = offset as usize + done;
            let inside = at % PAGE;
            let n = (PAGE - inside).min(bytes.len() - done);
            if let Some(page) = self.page_mut(at / PAGE) {
                page[inside..inside + n].copy_from_slice(&bytes[done..done + n]);
            }
            done += n;
        }
    }

    /// All bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len as usize];
        self.read(&mut bytes, 0);
        bytes
    }

    /// One sector; what lies behind the end is zeros.
    pub fn sector(&self, index: u32) -> Sector {
        let mut sector = [0; SECTOR];
        self.read(&mut sector, u64::from(index) * SECTOR as u64);
        sector
    }

    /// Replaces what there is of a sector; the length stays.
    pub fn set_sector(&mut self, index: u32, sector: &Sector) {
        let offset = u64::from(index) * SECTOR as u64;
        let n = (SECTOR as u64).min(self.len.saturating_sub(offset)) as usize;
        self.write_within(&sector[..n], offset);
    }

    /// Takes a whole page of `other`, shared.
    pub fn share_page(&mut self, other: &Content, sector: u32) {
        let index = sector as usize * SECTOR / PAGE;
        if let (Some(mine), Some(theirs)) = (self.pages.get_mut(index), other.pages.get(index)) {
            mine.clone_from(theirs);
        }
    }

    /// The first sector of the page behind a sector's.
    pub const fn page_behind(sector: u32) -> u32 {
        const PER_PAGE: u32 = (PAGE / SECTOR) as u32;
        (sector / PER_PAGE + 1) * PER_PAGE
    }

    /// Adds what this holds to a hash.
    pub fn hash_into(&self, hasher: &mut DefaultHasher) {
        self.len.hash(hasher);
        for (index, page) in self.pages.iter().enumerate() {
            let Some(page) = page else { continue };
            let hash = page.hash.get_or_init(|| {
                let mut hasher = DefaultHasher::new();
                page.bytes.hash(&mut hasher);
                hasher.finish()
            });
            (index, hash).hash(hasher);
        }
    }

    fn write_within(&mut self, bytes: &[u8], offset: u64) {
        if !bytes.is_empty() {
            self.write(bytes, offset);
        }
    }

    fn page_mut(&mut self, index: usize) -> Option<&mut [u8; PAGE]> {
        let empty = || Arc::new(Page { bytes: [0; PAGE], hash: OnceLock::new() });
        let page = Arc::make_mut(self.pages.get_mut(index)?.get_or_insert_with(empty));
        page.hash = OnceLock::new();
        Some(&mut page.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_a_vector_would() {
        let mut random = super::super::Random::new(1);
        let (mut content, mut vector) = (Content::default(), Vec::new());
        for _ in 0..300 {
            let (at, len) = (random.index(20_000), random.index(9000));
            if random.one_in(4) {
                content.set_len(at as u64);
                vector.resize(at, 0);
            } else {
                let mut bytes = vec![0; len];
                random.fill(&mut bytes);
                content.write(&bytes, at as u64);
                vector.resize(vector.len().max(at + len), 0);
                vector[at..at + len].copy_from_slice(&bytes);
            }
            assert_eq!(content.to_vec(), vector);
        }
    }

    #[test]
    fn equal_bytes_have_equal_hashes_and_others_do_not() {
        let hash = |content: &Content| {
            let mut hasher = DefaultHasher::new();
            content.hash_into(&mut hasher);
            hasher.finish()
        };
        let mut a = Content::default();
        a.write(&[1; 9000], 0);
        let mut b = a.clone();
        assert_eq!(hash(&a), hash(&b));
        b.write(&[2], 5000);
        assert_ne!(hash(&a), hash(&b));
        b.write(&[1], 5000);
        assert_eq!(hash(&a), hash(&b));
    }
}
