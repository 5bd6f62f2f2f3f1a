//! A forked child has everything of its parent's log in memory, and must not write any of it.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // a test panics, and may wait

mod common;

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::{Arc, Mutex};

use common::{Fixture, payloads};
use highwater::{Commit, Durability, ErrorKind, Limit, Result, Retention, Start, StreamSpec};

/// Does something in a forked child; an error says that it did not go as it should.
fn in_a_child(act: impl FnMut() -> io::Result<()> + Send + Sync + 'static) -> io::Result<()> {
    let mut child = Command::new("true");
    // SAFETY: no other thread of this test holds a lock that the child could wait for.
    #[allow(unsafe_code)]
    unsafe {
        child.pre_exec(act);
    }
    child.spawn()?.wait().map(drop)
}

#[test]
fn a_forked_child_is_refused_every_write() {
    let fixture = Fixture::new();
    let log = Arc::new(fixture.open_small());
    fixture.write(&log, "a", 0..200);
    let stream = log.stream(StreamSpec::new("b")).unwrap();
    let mut writer = log.writer(&[&stream]).unwrap();
    writer.commit(Commit::new().stream(&stream, &1).durability(Durability::Buffered)).unwrap();
    let mut lake = log.consumer("lake", Start::Earliest).unwrap();
    let batch = lake.next_batch(&Limit::default()).unwrap().unwrap();
    let held = Arc::new(Mutex::new((lake, writer)));

    let (same, inherited) = (log.clone(), held.clone());
    let retention = Retention { min_count: 3, ..Retention::default() };
    in_a_child(move || {
        let (lake, writer) = &mut *inherited.lock().unwrap();
        let refused = |result: Result<()>| result.is_err_and(|error| *error.kind() == ErrorKind::Forked);
        let all = refused(same.flush())
            && refused(same.prune(&retention).map(drop))
            && refused(same.maintain())
            && refused(writer.commit(Commit::new().stream(&stream, &2)).map(drop))
            && refused(lake.acknowledge(batch.end()));
        if all { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    })
    .expect("the child was refused everything");

    fixture.write(&log, "a", 200..210);
    assert_eq!(payloads(&log).len(), 210);
    assert!(log.verify(&mut |_| {}).unwrap().is_sound());
    drop(held);
    drop(log);
    assert_eq!(payloads(&fixture.open_small()).len(), 210);
}
