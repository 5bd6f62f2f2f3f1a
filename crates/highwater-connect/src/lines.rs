//! Lines of a stream of bytes, borrowed from one large buffer.

use std::io::{self, Read};

/// The first size of the buffer. Reads are as large, so their cost is small.
const BUFFER_BYTES: usize = 1 << 20;
/// A longer line is an error: without a limit, an input without line breaks would take all memory.
const LINE_BYTES_MAX: usize = 128 << 20;

/// A line without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Counted from 1.
    pub number: u64,
    /// Without the line break; a carriage return before it stays.
    pub bytes: &'a [u8],
    /// It had a line break: only the last may lack it, which its writer may have left unfinished.
    pub whole: bool,
    /// The source was read for it: a good moment for what should happen now and then, but not for each line.
    pub fresh: bool,
}

/// Reads lines.
#[derive(Debug)]
pub struct Lines<R> {
    source: R,
    buffer: Vec<u8>,
    /// Where the next line begins.
    start: usize,
    /// No line ends between `start` and here.
    scanned: usize,
    /// Where what was read ends.
    end: usize,
    number: u64,
    bytes_max: usize,
    ended: bool,
}

impl<R: Read> Lines<R> {
    /// Lines of at most 128 MiB.
    pub fn new(source: R) -> Self {
        Self::with_limits(source, BUFFER_BYTES, LINE_BYTES_MAX)
    }

    /// A buffer of `buffer_bytes` that grows up to `bytes_max`, the longest line.
    pub fn with_limits(source: R, buffer_bytes: usize, bytes_max: usize) -> Self {
        let buffer = vec![0; buffer_bytes];
        Lines { source, buffer, start: 0, scanned: 0, end: 0, number: 0, bytes_max, ended: false }
    }

    /// The next line, or `None` at the end. After an error of kind `TimedOut` it can be called again; nothing is lost.
    #[allow(clippy::should_implement_trait)] // it lends
    pub fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        let mut fresh = false;
        loop {
            if let Some(length) = memchr::memchr(b'\n', &self.buffer[self.scanned..self.end]) {
                let stop = self.scanned + length;
                return Ok(Some(self.cut(stop, stop + 1, fresh)));
            }
            self.scanned = self.end;
            if self.ended {
                // The last line may lack its end.
                return Ok((self.start < self.end).then(|| self.cut(self.end, self.end, fresh)));
            }
            self.fill()?;
            fresh = true;
        }
    }

    fn cut(&mut self, stop: usize, next: usize, fresh: bool) -> Line<'_> {
        let start = self.start;
        self.start = next;
        self.scanned = next;
        self.number += 1;
        Line { number: self.number, bytes: &self.buffer[start..stop], whole: next > stop, fresh }
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.start == self.end || self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.scanned -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            self.grow()?;
        }
        loop {
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(n) => {
                    self.ended = n == 0;
                    self.end += n;
                    return Ok(());
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    fn grow(&mut self) -> io::Result<()> {
        if self.buffer.len() >= self.bytes_max {
            let text = format!("line {} is longer than {} bytes", self.number + 1, self.bytes_max);
            return Err(io::Error::other(text));
        }
        self.buffer.resize((self.buffer.len() * 2).min(self.bytes_max), 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives so many bytes a read.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(self.0.len()).min(buf.len());
            buf[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn read_all(text: &str, drip: usize, bytes_max: usize) -> io::Result<Vec<(u64, String)>> {
        let mut lines = Lines::with_limits(Drip(text.as_bytes(), drip), 4, bytes_max);
        let mut found = Vec::new();
        while let Some(line) = lines.next()? {
            assert_eq!(line.whole, text.matches('\n').count() as u64 >= line.number);
            found.push((line.number, String::from_utf8(line.bytes.to_vec()).unwrap()));
        }
        Ok(found)
    }

    #[test]
    fn lines_come_out_whole_however_they_come_in() {
        let text = "a\n\nlonger than the buffer\nb\r\nlast";
        for drip in 1..40 {
            let found = read_all(text, drip, 1000).unwrap();
            let expected = ["a", "", "longer than the buffer", "b\r", "last"];
            assert_eq!(found, (1..).zip(expected.map(str::to_owned)).collect::<Vec<_>>(), "{drip}");
        }
        assert_eq!(read_all("", 1, 10).unwrap(), []);
        assert_eq!(read_all("x\n", 9, 10).unwrap(), [(1, "x".to_owned())]);
    }

    #[test]
    fn a_line_over_the_limit_is_named() {
        let error = read_all("short\nfar too long for this", 7, 10).unwrap_err();
        assert_eq!(error.to_string(), "line 2 is longer than 10 bytes");
    }
}
