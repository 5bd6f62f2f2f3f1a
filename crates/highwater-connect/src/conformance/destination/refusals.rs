//! What is refused: it is told, also after a kill, and where it may not be, nothing is applied.

use highwater::{Commit, Op, Sequence};

use super::{ALL, Finding, Subject, World, limit};
use crate::destination::Rejected;
use crate::failure::FailureKind;
use crate::pipeline::OnReject;

/// A checkpoint with a record that is refused among others; where it is.
fn commit_refused<S: Subject>(world: &mut World, subject: &S) -> Result<Option<u64>, Finding> {
    let Some(payload) = subject.refused() else { return Ok(None) };
    world.append(1).map_err(|e| e.to_string())?;
    let stream = &world.streams[1];
    world.writer.append(stream, Op::Insert { key: b"", row: payload }).map_err(|e| e.to_string())?;
    world.append(1).map_err(|e| e.to_string())?;
    let committed = world.writer.commit(Commit::new().all()).map_err(|e| e.to_string())?;
    Ok(Some(committed.sequence().get()))
}

pub(super) fn told_after_a_kill<S: Subject>(world: &mut World, subject: &mut S) -> Result<(), Finding> {
    world.commit(1)?;
    let Some(at) = commit_refused(world, subject)? else { return Ok(()) };
    world.commit(1)?;
    let mut feed = world.feed()?;
    let Some(batch) = feed.next(&limit(ALL)).map_err(|e| e.to_string())? else {
        return Err("nothing to deliver".to_owned());
    };
    let mut first = subject.open();
    first.stored().map_err(|e| e.to_string())?;
    let told = first.apply(&batch).map_err(|e| e.to_string())?.rejected;
    let is_it = |one: &Rejected| (one.sequence.get(), one.index, &*one.stream.name) == (at, 1, "plain");
    if told.len() != 1 || !told.iter().all(is_it) {
        return Err(format!("it refused {told:?}, and not the one record it should"));
    }
    // Who was told is gone.
    drop(first);
    let mut second = subject.open();
    if second.stored().map_err(|e| e.to_string())?.position().is_some() {
        for (behind, expected) in [(Sequence::NONE, &told[..]), (Sequence::new(at), &[])] {
            let again = second.rejected_after(behind).map_err(|e| e.to_string())?;
            if again != expected {
                return Err(format!("behind {behind} it refused {again:?}, it says now; it said {told:?}"));
            }
        }
    }
    world.check(subject)
}

pub(super) fn fail_if_so_told<S: Subject>(world: &mut World, subject: &mut S) -> Result<(), Finding> {
    let Some(_) = commit_refused(world, subject)? else { return Ok(()) };
    let mut feed = world.feed()?;
    let Some(batch) = feed.next(&limit(ALL)).map_err(|e| e.to_string())? else {
        return Err("nothing to deliver".to_owned());
    };
    let batch = batch.with_on_reject(OnReject::Fail);
    let mut destination = subject.open();
    destination.stored().map_err(|e| e.to_string())?;
    match destination.apply(&batch) {
        Ok(_) => return Err("it applied a batch of which it refused a record".to_owned()),
        Err(failure) if failure.kind() != FailureKind::Permanent => {
            return Err(format!("a refusal is {}: {failure}", failure.kind().name()));
        }
        Err(_) => {}
    }
    match subject.held().len() {
        0 => Ok(()),
        held => Err(format!("it holds {held} rows of a batch that failed")),
    }
}
