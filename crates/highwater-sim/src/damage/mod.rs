//! What damage looks like to a recovery: many small logs, each ended in one of three ways, then one piece of rot in what
//! was durable, then an opening. What that says is counted; damage that passes for a torn tail where the design says that
//! it can't, and wrong content without an error, are violations.

mod sample;
mod table;

use std::sync::Arc;

use highwater::testing::{Random, SimDisk, State};
use highwater::{Config, Error, ErrorKind, Log};

use crate::check::{Checked, Violation, demand};
use crate::rot::Rot;

use sample::{Place, Sample, Shown};
pub use table::DamageTable;

/// How a log was left before the damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ending {
    /// Closed.
    Closed,
    /// The process was killed; what it wrote was in the cache, and the machine went on.
    Killed,
    /// Power went right after the last commit returned: of the mark, which is not flushed, any version is there.
    PowerCut,
}

impl Ending {
    pub(crate) const ALL: [Ending; 3] = [Ending::Closed, Ending::Killed, Ending::PowerCut];
}

/// What an opening and a reading say of a damaged log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// All is there: nothing that counts was hit, or there is another copy.
    Harmless,
    /// The opening fails, and says where.
    AtOpening,
    /// It opens, and reading or verifying fails, and says where.
    AtReading,
    /// The opening drops the last checkpoint and says that the tail was torn.
    TakenForTear,
    /// The opening does not see that there was one more: zeros stand where its first frame was.
    TakenForNothing,
    /// The opening drops more than the last checkpoint.
    SeveralLost,
}

/// Makes one log, damages it `damages` times, each time from its sound state, and counts what is noticed.
pub fn damage(seed: u64, damages: u64, table: &mut DamageTable) -> Result<(), String> {
    let mut random = Random::new(seed ^ 0xDA3A_6E00);
    for ending in Ending::ALL {
        let sample =
            Sample::make(&mut random, ending).map_err(|violation| format!("seed {seed}: {violation}"))?;
        for _ in 0..damages {
            one(&sample, ending, &mut random, table)
                .map_err(|violation| format!("seed {seed}, {ending:?}: {violation}"))?;
        }
    }
    Ok(())
}

fn one(sample: &Sample, ending: Ending, random: &mut Random, table: &mut DamageTable) -> Checked {
    let (aimed, name, rot) = sample.aim(random);
    let place = if sample.reaches_last(&name, rot) { Place::Last } else { aimed };
    let mut state = sample.state.clone();
    if !rot.damage(&mut state, &name, &sample.earlier) {
        return Ok(());
    }
    let outcome = meet(sample, state).map_err(|violation| violation.within(&format!("{rot:?} of {name}")))?;
    // With one flush a commit only the next commit says durably that this one is. So the last one's damage may pass for a
    // tear, if power left an old mark; so may damage to several at once, if the last is among them.
    let excused = ending == Ending::PowerCut && place == Place::Last;
    let at_once = matches!(rot, Rot::Swap { .. } | Rot::Truncate { .. });
    let passes = match outcome {
        Outcome::Harmless | Outcome::AtOpening | Outcome::AtReading => true,
        Outcome::TakenForTear | Outcome::TakenForNothing => excused,
        Outcome::SeveralLost => excused && at_once,
    };
    demand!(passes, "P5: {rot:?} of {name} ({place:?}): {outcome:?}");
    table.count((ending, sample.shown.is_compacted()), place, rot, outcome);
    Ok(())
}

fn meet(sample: &Sample, state: State) -> Checked<Outcome> {
    let disk = SimDisk::new(state, 1);
    let config = Config { create: false, ..sample.config() };
    let (log, recovery) = match Log::open_on(Arc::new(disk), config) {
        Ok(opened) => opened,
        // A young log without a mark and without any valid frame is one whose creation did not end.
        Err(error) if *error.kind() == ErrorKind::NotFound => {
            return Ok(if sample.shown.count() > 1 {
                Outcome::SeveralLost
            } else {
                Outcome::TakenForNothing
            });
        }
        Err(error) => return names_its_place(&error).map(|()| Outcome::AtOpening),
    };
    let shown = match Shown::of(&log) {
        Ok(shown) => shown,
        Err(error) => return names_its_place(&error).map(|()| Outcome::AtReading),
    };
    if shown == sample.shown {
        let verified = log.verify(&mut |_| {})?;
        return Ok(if verified.is_sound() { Outcome::Harmless } else { Outcome::AtReading });
    }
    match sample.lost(&shown) {
        None => Err(Violation::new(format!("P4: other content, and no error ({recovery})"))),
        Some(2..) => Ok(Outcome::SeveralLost),
        Some(_) if recovery.is_clean() => Ok(Outcome::TakenForNothing),
        Some(_) => Ok(Outcome::TakenForTear),
    }
}

/// An error about damage says which file and which byte.
fn names_its_place(error: &Error) -> Checked {
    match error.kind() {
        ErrorKind::Unsupported => Ok(()),
        ErrorKind::Corrupt if error.file().is_some() && error.byte().is_some() => Ok(()),
        kind => Err(Violation::new(format!("P5: damage gave {kind:?} without its place: {error}"))),
    }
}
