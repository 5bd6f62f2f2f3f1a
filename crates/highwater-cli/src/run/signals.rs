//! SIGTERM and SIGINT.

use std::io;
use std::path::Path;
use std::time::Duration;

use highwater_connect::event::{Event, Reporter};
use highwater_connect::process::Leftovers;
use highwater_connect::{Stop, Urgency};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::Code;

/// After a second signal, so long the parts have to end by themselves.
const GRACE: Duration = Duration::from_secs(2);

/// The first signal asks to stop at a checkpoint, the second at once.
pub(super) fn listen(stop: Stop, reporter: Reporter, work: &Path) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let children = Leftovers::new(work);
    std::thread::spawn(move || {
        for _ in signals.forever() {
            if !stop.is_asked() {
                reporter.tell(Event::Stopping);
                stop.ask(Urgency::Soon);
                continue;
            }
            stop.ask(Urgency::Now);
            std::thread::sleep(GRACE);
            // A destination that does not come back from a call is not waited for: what it did not acknowledge comes again.
            children.end_all();
            std::process::exit(Code::TryAgain as i32);
        }
    });
    Ok(())
}
