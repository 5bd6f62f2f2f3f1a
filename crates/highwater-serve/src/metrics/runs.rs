//! What the history says.

use highwater_connect::runs::Attempt;

use super::seconds;
use super::text::Exposition;
use crate::anomaly::Habit;
use crate::history::History;

pub(super) fn tell(text: &mut Exposition, history: &History, now_us: i64) {
    tell_attempts(text, history.attempts());
    tell_habit(text, &history.habit(now_us));
}

fn tell_attempts(text: &mut Exposition, attempts: &[Attempt]) {
    let Some(last) = attempts.last() else { return };
    text.gauge(
        "highwater_run_last_start_timestamp_seconds",
        "When the last attempt to read the source began.",
        &[],
        seconds(last.started_us),
    );
    if let Some(end) = attempts.iter().rev().find_map(|attempt| attempt.end.as_ref()) {
        text.flag(
            "highwater_run_last_success",
            "Whether the last attempt that has ended came to the source's end.",
            &[],
            end.outcome == "complete",
        );
    }
}

fn tell_habit(text: &mut Exposition, habit: &Habit) {
    if let Some(us) = habit.last_success_us {
        text.gauge(
            "highwater_sync_last_success_timestamp_seconds",
            "When the source last came to its end; without runs on record, when the last checkpoint was committed.",
            &[],
            seconds(us),
        );
    }
    if let Some(records) = habit.last_records {
        text.gauge("highwater_sync_last_records", "Records of the last sync that ended; without runs on record, of the last burst of checkpoints that is over.", &[], records);
    }
    if let Some(age) = habit.usual_age_s {
        text.gauge(
            "highwater_sync_usual_age_seconds",
            "The greatest age of the last success at this time of day, on up to 14 earlier days.",
            &[],
            age,
        );
    }
    if let Some(records) = habit.usual_records {
        text.gauge(
            "highwater_sync_usual_records",
            "The median of what syncs brought around that time of day, on up to 14 earlier days.",
            &[],
            records,
        );
    }
}
