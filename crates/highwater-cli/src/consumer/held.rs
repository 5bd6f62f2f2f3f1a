//! A consumer of a destination that stores its own position: moving it counts only where the destination has none. So it is asked
//! first, and what would come to nothing, or to a hole, is refused.

use std::sync::Arc;

use highwater::{ConsumerInfo, ErrorKind, LogReader, Sequence};
use highwater_connect::Stored;
use highwater_connect::event::Reporter;
use highwater_connect::runtime;
use highwater_connect::text::tame;

use super::moving::Seek;
use crate::failure::{Code, Failure};
use crate::given;
use crate::run::{Watcher, listening};
use crate::terminal;

/// Whether the destination's own position counts, whatever is done to its consumer.
///
/// Fails where the move would do something else than it says.
pub(super) fn decides(
    args: &Seek,
    log: &LogReader,
    consumer: &ConsumerInfo,
    to: Sequence,
) -> Result<bool, Failure> {
    let rules = given::rules(&args.log)?;
    if !rules.is_some_and(|rules| rules.store_position.contains(&args.name)) {
        return Ok(false);
    }
    // It gets nothing before it is moved, whatever its destination holds.
    if consumer.damage.is_some() {
        return Ok(true);
    }
    if consumer.diverged {
        return diverged(args, log, to);
    }
    let Some(stored) = ask(args)? else { return not_asked(args, log, consumer.acknowledged, to) };
    let Stored::UpTo(position) = stored else { return Ok(false) };
    let at = position.sequence;
    let is_of_another_history =
        log.check_position(position).is_err_and(|error| *error.kind() == ErrorKind::Diverged);
    if is_of_another_history || at == to {
        return Ok(true);
    }
    if lacks_only_what_is_lost(log, at, to)? {
        return Ok(false);
    }
    let what = match to > at {
        true => "it leaves out nothing that the log holds",
        false => "nothing comes again",
    };
    Err(refused(format!(
        "destination {} holds checkpoints up to {at} and goes on behind that, wherever its consumer stands: {what}; emptied, it gets \
         everything again, and then this can put it elsewhere",
        tame(&args.name)
    )))
}

/// What it had acknowledged is of another history; and so may be what its destination holds.
fn diverged(args: &Seek, log: &LogReader, to: Sequence) -> Result<bool, Failure> {
    let name = tame(&args.name);
    let stored = ask(args)?;
    let of_another = match stored {
        Some(Stored::Nothing) if to > log.first().previous() => {
            return Err(refused(format!(
                "destination {name} holds nothing, and would never get what the log has up to checkpoint {to}: the next run begins it \
                 again by itself"
            )));
        }
        Some(Stored::UpTo(position)) => log.check_position(position).is_err(),
        Some(_) => return Ok(false),
        None => true,
    };
    if of_another {
        terminal::warning(format!(
            "destination {name} stores up to which checkpoint it has them: as long as that is of another history it gets nothing, \
             wherever its consumer stands. Set that back, too (docs/runbooks/move.md); one that was emptied needs no seek: its next run \
             begins it again"
        ));
    }
    Ok(true)
}

/// Where nobody could ask it, what it has acknowledged tells about what it holds.
fn not_asked(args: &Seek, log: &LogReader, acknowledged: Sequence, to: Sequence) -> Result<bool, Failure> {
    let name = tame(&args.name);
    if to <= acknowledged {
        terminal::warning(format!(
            "destination {name} stores up to which checkpoint it has them: where it still holds more than this, its next run goes on \
             from there, and nothing comes again"
        ));
        return Ok(true);
    }
    if lacks_only_what_is_lost(log, acknowledged, to)? {
        return Ok(false);
    }
    let text = format!(
        "destination {name} stores up to which checkpoint it has them and goes on behind that, wherever its consumer stands: where it \
         holds something, it leaves out nothing that the log holds, and what it lacks must stay there"
    );
    Err(refused(text)
        .hint("the same with the pipeline file instead of the log: it asks the destination what it holds"))
}

fn refused(text: String) -> Failure {
    Failure::with_code(Code::Usage, text)
}

/// Whether damage took all of the checkpoints behind `after` up to `through`.
fn lacks_only_what_is_lost(log: &LogReader, after: Sequence, through: Sequence) -> Result<bool, Failure> {
    Ok(after < through && log.lost_behind(after)?.is_some_and(|last| last >= through))
}

/// What the destination holds; `None`: only a log was named.
fn ask(args: &Seek) -> Result<Option<Stored>, Failure> {
    let Some(pipeline) = given::pipeline(&args.log)? else { return Ok(None) };
    let reporter = Reporter::new(Arc::new(Watcher::start(false)), pipeline.secrets().clone());
    let stop = listening(&pipeline, &reporter)?;
    let stored = runtime::stored(&pipeline, &args.name, &reporter, &stop);
    stored.map(Some).map_err(|failure| {
        let why = reporter.shown(&failure.to_string());
        let text = format!("destination {} can't be asked what it holds: {why}", tame(&args.name));
        Failure::with_code(Code::DestinationFailed, text)
    })
}
