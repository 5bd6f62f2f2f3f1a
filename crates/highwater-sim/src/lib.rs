//! What proves Highwater's promises: programs of everything that can happen to a log, on the engine's simulated disk
//! ([`highwater::testing`]), and a model that knows what must be there. Everything follows from a seed.
//!
//! ```
//! use highwater_sim::{Effort, Program, Tally, explore};
//! let mut tally = Tally::default();
//! explore(&Program::from_seed(1), Effort::default(), &mut tally).map_err(|failure| failure.to_string())?;
//! assert!(tally.states > 0);
//! # Ok::<(), String>(())
//! ```

mod check;
mod damage;
mod explore;
mod life;
mod mend;
mod model;
mod program;
mod rot;

pub use check::{Checked, Violation};
pub use damage::{DamageTable, damage};
pub use explore::{Effort, Failure, Tally, explore};
pub use program::{Acknowledge, Cover, Program, Step};
pub use rot::Rot;
