//! What a destination says of its own position.

use highwater::Position;

/// Up to where everything is applied, as the destination itself knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It stores no position, whatever it got: what the log has on record as acknowledged counts. Always this, or never.
    NoPositions,
    /// It stores positions, and has none: nothing was delivered to it, or all of that is lost. Where something was acknowledged,
    /// it gets everything again.
    Nothing,
    /// It holds everything up to here.
    UpTo(Position),
}

impl Stored {
    /// The position, if it told one.
    pub fn position(self) -> Option<Position> {
        match self {
            Stored::UpTo(position) => Some(position),
            Stored::NoPositions | Stored::Nothing => None,
        }
    }
}

/// Of a destination that stores positions.
impl From<Option<Position>> for Stored {
    fn from(position: Option<Position>) -> Self {
        position.map_or(Stored::Nothing, Stored::UpTo)
    }
}
