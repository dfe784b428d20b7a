//! What can go wrong between us and the store, classified once: whose fault it is and whether to try again.

use std::fmt;

/// Class of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreErrorKind {
    /// Nothing answers at the store's address, or the connection broke. Retry with back-off.
    Unreachable,
    /// No answer in time. A read: ask for less. A write: its outcome is unknown; retry the same bytes.
    Timeout,
    /// The store is overloaded: too many queries or parts. Retry with back-off.
    Busy,
    /// The store's disk is full. Retry when an operator has made room.
    Full,
    /// The answer or the work for it passes a limit (rows, bytes, memory). Ask for less.
    TooLarge,
    /// The question makes no sense. Retrying cannot help.
    BadRequest,
    /// Wrong user or password, or no right to this. Retrying cannot help.
    Denied,
    /// The database was written by a newer version, or its tables are not what this version expects.
    Version,
    /// Anything else that the store says.
    Internal,
}

impl StoreErrorKind {
    /// The word for it in logs, metrics and problem documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Busy => "busy",
            Self::Full => "full",
            Self::TooLarge => "too_large",
            Self::BadRequest => "bad_request",
            Self::Denied => "denied",
            Self::Version => "version",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for StoreErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failure of a call to the store.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {message}")]
pub struct StoreError {
    /// Its class.
    pub kind: StoreErrorKind,
    /// What was being done.
    pub doing: &'static str,
    /// What the store or the connection said, and what to do about it.
    pub message: String,
}

impl StoreError {
    pub(crate) fn new(kind: StoreErrorKind, doing: &'static str, message: impl Into<String>) -> Self {
        Self { kind, doing, message: message.into() }
    }

    pub(crate) fn deadline(doing: &'static str, after: std::time::Duration) -> Self {
        Self::new(StoreErrorKind::Timeout, doing, format!("the store did not answer within {after:?}"))
    }

    pub(crate) fn of(doing: &'static str, error: clickhouse::error::Error) -> Self {
        use clickhouse::error::Error as E;
        let kind = match &error {
            E::Network(_) => StoreErrorKind::Unreachable,
            E::TimedOut => StoreErrorKind::Timeout,
            E::BadResponse(text) => kind_of_exception(text),
            E::InvalidParams(_) | E::Unsupported(_) => StoreErrorKind::BadRequest,
            E::SchemaMismatch(_) | E::InvalidColumnsHeader(_) | E::NotEnoughData => StoreErrorKind::Version,
            _ => StoreErrorKind::Internal,
        };
        // An error's text stops at its first level; the cause underneath is what an operator needs.
        let mut message = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            let text = cause.to_string();
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            source = cause.source();
        }
        message.truncate(message.floor_char_boundary(2_000));
        Self::new(kind, doing, message)
    }

    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        use StoreErrorKind::*;
        match self.kind {
            Unreachable | Timeout | Busy | Full | Internal => true,
            TooLarge | BadRequest | Denied | Version => false,
        }
    }
}

/// The class of an exception by ClickHouse's code (`ErrorCodes.cpp`), as it stands in `Code: N. DB::Exception: …`. Whatever is not
/// listed is taken for a trouble that passes.
fn kind_of_exception(text: &str) -> StoreErrorKind {
    use StoreErrorKind::*;
    // A disk that others fill is full in the middle of a write, under whatever code that write has.
    if ["No space left on device", "Disk quota exceeded"].iter().any(|words| text.contains(words)) {
        return Full;
    }
    let code = text
        .split_once("Code: ")
        .and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next())
        .and_then(|digits| digits.parse::<u32>().ok());
    match code {
        Some(159 | 160 | 209) => Timeout,
        Some(202 | 252 | 394 | 745) => Busy,
        Some(243) => Full,
        Some(158 | 191 | 241 | 290 | 307 | 396) => TooLarge,
        Some(164 | 192 | 193 | 194 | 497 | 516) => Denied,
        Some(16 | 47 | 60 | 81) => Version,
        Some(6 | 26 | 27 | 38 | 41 | 43 | 53 | 62 | 69 | 70 | 72 | 115 | 456 | 457) => BadRequest,
        Some(210 | 279 | 425) => Unreachable,
        _ => Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_classified_by_code() {
        let of = |text: &str| StoreError::of("t", clickhouse::error::Error::BadResponse(text.into())).kind;
        assert_eq!(of("Code: 159. DB::Exception: Timeout exceeded"), StoreErrorKind::Timeout);
        assert_eq!(of("Code: 516. DB::Exception: Authentication failed"), StoreErrorKind::Denied);
        assert_eq!(of("Code: 241. DB::Exception: Memory limit"), StoreErrorKind::TooLarge);
        assert_eq!(of("Code: 60. DB::Exception: Table does not exist"), StoreErrorKind::Version);
        // What a shortage may cause is never the request's fault.
        for passing in [36, 49, 241, 439, 1001, 1002] {
            let error = StoreError::of(
                "t",
                clickhouse::error::Error::BadResponse(format!("Code: {passing}. DB::Exception: x")),
            );
            assert!(error.is_transient() || error.kind == StoreErrorKind::TooLarge, "{passing}: {error}");
        }
        assert_eq!(of("no code at all"), StoreErrorKind::Internal);
        let full = "Code: 75. DB::ErrnoException: Cannot write to file /x/data.bin, errno: 28, strerror: No space left on device";
        assert_eq!(of(full), StoreErrorKind::Full, "nothing that a block could be given up for");
    }
}
