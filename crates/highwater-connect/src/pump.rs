//! Standard input that can be waited for with a deadline: a checkpoint by time is due also when no line comes.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

const CHUNK_BYTES: usize = 256 << 10;
/// So many chunks wait at most: the reader is ahead by this, and not by the whole input.
const CHUNKS_MAX: usize = 8;

/// The reading end. It reads with `TimedOut` when nothing came for a while.
#[derive(Debug)]
pub struct Pump {
    chunks: Receiver<io::Result<Vec<u8>>>,
    current: Vec<u8>,
    at: usize,
    patience: Duration,
}

impl Pump {
    /// Starts the thread that reads. It ends with the input, or with the process.
    pub fn start(mut source: impl Read + Send + 'static, patience: Duration) -> Self {
        let (sender, chunks) = sync_channel(CHUNKS_MAX);
        std::thread::spawn(move || {
            let mut buffer = vec![0; CHUNK_BYTES];
            while pass_on(&mut source, &mut buffer, &sender) {}
        });
        Pump { chunks, current: Vec::new(), at: 0, patience }
    }
}

/// Whether there may be more.
fn pass_on(source: &mut impl Read, buffer: &mut [u8], sender: &SyncSender<io::Result<Vec<u8>>>) -> bool {
    match source.read(buffer) {
        Ok(0) => false,
        // Copied, for a pipe gives a part of it at a time.
        Ok(n) => sender.send(Ok(buffer[..n].to_vec())).is_ok(),
        Err(e) if e.kind() == io::ErrorKind::Interrupted => true,
        Err(e) => {
            // Nobody listens any more if it fails.
            let _ = sender.send(Err(e));
            false
        }
    }
}

impl Read for Pump {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.at == self.current.len() {
            match self.chunks.recv_timeout(self.patience) {
                Ok(chunk) => self.current = chunk?,
                Err(RecvTimeoutError::Timeout) => return Err(io::ErrorKind::TimedOut.into()),
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            }
            self.at = 0;
        }
        let n = buf.len().min(self.current.len() - self.at);
        buf[..n].copy_from_slice(&self.current[self.at..][..n]);
        self.at += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_comes_through_in_order() {
        let text: Vec<u8> = (0..1_000_000u32).flat_map(u32::to_le_bytes).collect();
        let mut found = Vec::new();
        Pump::start(io::Cursor::new(text.clone()), Duration::from_secs(60)).read_to_end(&mut found).unwrap();
        assert!(found == text);
    }

    #[test]
    fn silence_is_a_timeout_and_not_the_end() {
        let (source, sink) = io::pipe().unwrap();
        let mut pump = Pump::start(source, Duration::from_millis(5));
        let mut buf = [0; 8];
        assert_eq!(pump.read(&mut buf).unwrap_err().kind(), io::ErrorKind::TimedOut);
        io::Write::write_all(&mut &sink, b"hello").unwrap();
        pump.patience = Duration::from_secs(60);
        assert_eq!(pump.read(&mut buf).unwrap(), 5);
        drop(sink);
        assert_eq!(pump.read(&mut buf).unwrap(), 0);
    }
}
