//! What proves Highwater's promises: a disk that loses what was not flushed, programs of everything that can happen to a
//! log, and a model that knows what must be there. Everything follows from a seed.
//!
//! ```
//! use highwater_sim::{Effort, Program, Tally, explore};
//! let mut tally = Tally::default();
//! explore(&Program::from_seed(1), Effort::default(), &mut tally).map_err(|failure| failure.to_string())?;
//! assert!(tally.states > 0);
//! # Ok::<(), String>(())
//! ```

mod check;
mod content;
mod crash;
mod damage;
mod disk;
mod explore;
mod fault;
mod life;
mod mend;
mod model;
mod program;
mod random;
mod rot;
mod state;

pub use check::{Checked, Violation};
pub use content::{Content, SECTOR, Sector};
pub use damage::{DamageTable, damage};
pub use disk::SimDisk;
pub use explore::{Effort, Failure, Tally, explore};
pub use fault::Fault;
pub use program::{Acknowledge, Cover, Program, Step};
pub use random::Random;
pub use rot::Rot;
pub use state::{FileId, Operation, State};
