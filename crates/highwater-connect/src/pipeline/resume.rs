//! How far the log and the destinations are believed when a run begins.

/// What a run goes on from. The key `resume` of the pipeline file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resume {
    /// The log's last states, and what each destination says that it has: damage is met where it is read.
    #[default]
    Soft,
    /// The same, after every checkpoint that is kept was read and compared with its counts and digests, and every destination's
    /// position with the log's history. Nothing is read or delivered where one of them does not fit.
    Hard,
}
