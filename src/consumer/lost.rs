//! Checkpoints that damage took, as a repair has given them up.

use crate::error::{ErrorKind, Result};
use crate::origin::Origin;
use crate::position::Sequence;
use crate::reader::Reader;

/// Up to which checkpoint damage took all that came right behind this one; `None` if the next one is there, is still to come, or was
/// pruned.
pub(crate) fn lost_behind(origin: &Origin, after: Sequence) -> Result<Option<Sequence>> {
    let mut reader = match Reader::new(origin.clone(), after.next()) {
        Err(error) if matches!(error.kind(), ErrorKind::Gap { .. } | ErrorKind::NotFound) => return Ok(None),
        reader => reader?,
    };
    let mut last = None;
    loop {
        match reader.next() {
            Ok(_) => return Ok(last),
            Err(error) => match reader.pass_gap() {
                Some((_, passed)) => last = Some(passed),
                None if matches!(error.kind(), ErrorKind::Gap { .. }) => return Ok(last),
                None => return Err(error),
            },
        }
    }
}
