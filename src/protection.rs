//! Negative controls. A build with `--cfg highwater_controls` can take one protection out, by the name in the
//! environment variable `HIGHWATER_WITHOUT`, so that the tests can be seen to notice. Any other build knows nothing of it.

/// What stands between a crash and a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protection {
    /// Segments and base files are flushed.
    FileFlush,
    /// The directory is flushed after a name in it changed.
    DirectoryFlush,
    /// A frame's body is compared with its checksum.
    BodyChecksum,
    /// A commit returns after its flush, and not before.
    AcknowledgeAfterFlush,
    /// A failed write or flush is final.
    FailStop,
    /// A chain that ends below the durable mark is damage, and nothing is cut off.
    DamageIsNoTear,
    /// An opening makes durable what it accepts, before it builds on it.
    SettleWindow,
    /// A frame is valid in one life of its file only: salt and segment number are in its checksum and marker.
    LifeOfFile,
    /// Each opening has an epoch of its own.
    Epoch,
    /// Only a durable mark proves damage: a valid frame behind a bad one proves nothing.
    MarkProvesDamage,
    /// Old segments go after the switch that makes them unneeded is durable.
    SwitchBeforeUnlink,
    /// Positions are compared by the checkpoint's UUID, too.
    PositionIdentity,
    /// An opening's epoch is durable before its first frame.
    EpochBeforeFrames,
    /// Room is kept for a segment's seal.
    SealRoom,
    /// A compaction keeps the partial updates after a key's last whole row.
    CompactionKeepsUpdates,
    /// A base checkpoint is given to who begins with it, not to who has read what is before it.
    BaseContinuesNothing,
}

impl Protection {
    #[cfg(not(highwater_controls))]
    #[inline(always)]
    pub(crate) const fn is_off(self) -> bool {
        false
    }

    #[cfg(highwater_controls)]
    pub(crate) fn is_off(self) -> bool {
        static WITHOUT: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
        let without = WITHOUT.get_or_init(|| std::env::var("HIGHWATER_WITHOUT").ok());
        without.as_ref().is_some_and(|name| *name == format!("{self:?}"))
    }
}
