//! What a destination says of its position, and what becomes of one that has lost everything.

use super::{ALL, Finding, Subject, World, deliver};
use crate::destination::{Destination, Stored};

fn stored(destination: &mut dyn Destination) -> Result<Stored, Finding> {
    destination.stored().map_err(|e| e.to_string())
}

/// That it stores no positions is said always or never: a runtime that hears it of an emptied place goes on behind what is lost.
pub(super) fn says_what_it_is<S: Subject>(world: &mut World, subject: &mut S) -> Result<(), Finding> {
    let fresh = stored(&mut *subject.open())?;
    if let Stored::UpTo(position) = fresh {
        return Err(format!("fresh, it says that it holds {position}"));
    }
    world.commit(2)?;
    deliver(world, &mut *subject.open(), 1, true, ALL).map_err(|e| e.to_string())?;
    match (fresh, stored(&mut *subject.open())?) {
        (Stored::Nothing, Stored::UpTo(_)) | (Stored::NoPositions, Stored::NoPositions) => Ok(()),
        (_, Stored::Nothing) => {
            Err("it says that it holds nothing, and has what was delivered: it stores no positions"
                .to_owned())
        }
        _ => Err("fresh, it says that it stores no positions, and then it tells one".to_owned()),
    }
}

pub(super) fn gets_everything_again<S: Subject>(world: &mut World, subject: &mut S) -> Result<(), Finding> {
    world.commit(4)?;
    deliver(world, &mut *subject.open(), 2, true, ALL).map_err(|e| e.to_string())?;
    if !subject.lose() {
        return Ok(());
    }
    let after = stored(&mut *subject.open())?;
    if after != Stored::Nothing {
        return Err(format!("emptied, it says {after:?}"));
    }
    world.commit(1)?;
    deliver(world, &mut *subject.open(), 2, true, ALL).map_err(|e| e.to_string())?;
    world.check(subject)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::batch::Batch;
    use crate::conformance::{self, Held};
    use crate::destination::Applied;
    use crate::destination::jsonl::JsonLines;
    use crate::failure::Result as Answer;

    /// Files of JSON lines that say something else of their position than what they know.
    struct Liar {
        lake: JsonLines,
        says: fn(Stored) -> Stored,
    }

    impl Destination for Liar {
        fn stored(&mut self) -> Answer<Stored> {
            self.lake.stored().map(self.says)
        }

        fn apply(&mut self, batch: &Batch) -> Answer<Applied> {
            self.lake.apply(batch)
        }
    }

    struct Place {
        lake: PathBuf,
        says: fn(Stored) -> Stored,
        is_emptied: bool,
    }

    impl Subject for Place {
        fn open(&mut self) -> Box<dyn Destination> {
            Box::new(Liar { lake: JsonLines::new(&self.lake), says: self.says })
        }

        fn held(&mut self) -> Vec<Held> {
            let mut files: Vec<PathBuf> =
                std::fs::read_dir(&self.lake).unwrap().map(|entry| entry.unwrap().path()).collect();
            files.retain(|file| file.extension().is_some_and(|e| e == "jsonl"));
            files.sort();
            let texts = files.iter().map(|file| std::fs::read_to_string(file).unwrap());
            let lines = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
            let rows = lines.map(|line| serde_json::from_str::<serde_json::Value>(&line).unwrap());
            let held = |row: serde_json::Value| Held {
                stream: row["stream"].as_str().unwrap().to_owned(),
                row: row["data"].clone(),
            };
            rows.map(held).collect()
        }

        fn may_repeat(&self) -> bool {
            true
        }

        fn lose(&mut self) -> bool {
            self.is_emptied && std::fs::remove_dir_all(&self.lake).is_ok()
        }
    }

    fn run(is_emptied: bool, says: fn(Stored) -> Stored) -> Result<(), Finding> {
        let dir = tempfile::tempdir().unwrap();
        let make = |n: usize| Place { lake: dir.path().join(n.to_string()), says, is_emptied };
        conformance::destination(make)
    }

    #[test]
    fn who_says_the_truth_passes() {
        run(true, |stored| stored).unwrap();
    }

    #[test]
    fn nothing_that_is_said_to_be_no_positions_is_found() {
        let says = |stored| if stored == Stored::Nothing { Stored::NoPositions } else { stored };
        let finding = run(false, says).unwrap_err();
        assert!(finding.ends_with("stores no positions, and then it tells one"), "{finding}");
    }

    #[test]
    fn no_positions_that_are_said_to_be_nothing_are_found() {
        let finding = run(false, |_| Stored::Nothing).unwrap_err();
        assert!(finding.ends_with("it stores no positions"), "{finding}");
    }
}
