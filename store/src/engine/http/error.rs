//! One map from failures to HTTP: ClickHouse's code, its text, the status that a ClickHouse server would send.

use super::super::ffi::Exception;
use hyper::StatusCode;

/// Why a request fails. `message` is the whole text that clients parse: `Code: N. DB::Exception: … (NAME)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub code: u32,
    pub message: String,
    pub status: StatusCode,
}

/// ClickHouse's error codes that this front raises itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    BadArguments,
    Syntax,
    UnknownSetting,
    Readonly,
    Timeout,
    TooManyQueries,
    TooLarge,
    AccessDenied,
    Authentication,
    NotImplemented,
    CannotDecompress,
    CannotRead,
    UnknownFunction,
    UnknownFormat,
    UnknownParameter,
    TooDeep,
    Cancelled,
    /// The engine has no room for a connection just now.
    NoRoom,
}

impl Code {
    const fn parts(self) -> (u32, &'static str) {
        match self {
            Self::BadArguments => (36, "BAD_ARGUMENTS"),
            Self::Syntax => (62, "SYNTAX_ERROR"),
            Self::UnknownSetting => (115, "UNKNOWN_SETTING"),
            Self::Readonly => (164, "READONLY"),
            Self::Timeout => (159, "TIMEOUT_EXCEEDED"),
            Self::TooManyQueries => (202, "TOO_MANY_SIMULTANEOUS_QUERIES"),
            Self::TooLarge => (307, "TOO_MANY_BYTES"),
            Self::AccessDenied => (497, "ACCESS_DENIED"),
            Self::Authentication => (516, "AUTHENTICATION_FAILED"),
            Self::NotImplemented => (48, "NOT_IMPLEMENTED"),
            Self::CannotDecompress => (271, "CANNOT_DECOMPRESS"),
            Self::CannotRead => (33, "CANNOT_READ_ALL_DATA"),
            Self::UnknownFunction => (46, "UNKNOWN_FUNCTION"),
            Self::UnknownFormat => (73, "UNKNOWN_FORMAT"),
            Self::UnknownParameter => (456, "UNKNOWN_QUERY_PARAMETER"),
            Self::TooDeep => (306, "TOO_DEEP_RECURSION"),
            Self::Cancelled => (394, "QUERY_WAS_CANCELLED"),
            Self::NoRoom => (241, "MEMORY_LIMIT_EXCEEDED"),
        }
    }

    /// A failure of this front, in ClickHouse's words.
    pub fn failure(self, text: impl std::fmt::Display) -> Failure {
        let (code, name) = self.parts();
        let status = if self == Self::NoRoom { StatusCode::SERVICE_UNAVAILABLE } else { status(code) };
        Failure { code, message: format!("Code: {code}. DB::Exception: {text}. ({name})"), status }
    }
}

impl Failure {
    /// The same failure in other words: `said` up to its code's name, which is put behind it again.
    pub fn with_text(self, said: &str) -> Self {
        let name = self.message.rfind(" (").map(|at| self.message[at..].to_owned()).unwrap_or_default();
        Self { message: format!("{}.{name}", said.trim_end_matches('.')), ..self }
    }
}

impl From<Exception> for Failure {
    fn from(exception: Exception) -> Self {
        let text = exception.0;
        let code = text
            .strip_prefix("Code: ")
            .and_then(|rest| rest.split_once('.'))
            .and_then(|(digits, _)| digits.parse().ok())
            .unwrap_or(1002); // UNKNOWN_EXCEPTION
        let message =
            if text.starts_with("Code: ") { once(text) } else { format!("Code: {code}. DB::Exception: {text}") };
        Self { code, message, status: status(code) }
    }
}

/// The text with its beginning, which the engine repeats for each layer that it passed, and with its ending once.
fn once(text: String) -> String {
    let Some((prefix, _)) = text.split_once("DB::Exception: ") else { return text };
    let prefix = format!("{prefix}DB::Exception: ");
    let mut rest = text.as_str();
    while let Some(inner) = rest.strip_prefix(prefix.as_str()).filter(|inner| inner.starts_with(prefix.as_str())) {
        rest = inner;
    }
    match rest.trim_end().rfind(" (").map(|at| (&rest[..at], rest[at..].trim_end())) {
        Some((mut body, ending)) => {
            while let Some(shorter) = body.strip_suffix(&format!("{ending}.")).or_else(|| body.strip_suffix(ending)) {
                body = shorter;
            }
            format!("{body}{ending}")
        }
        None => rest.to_owned(),
    }
}

/// As ClickHouse's own HTTP handler maps its codes; refusals of access are 403.
fn status(code: u32) -> StatusCode {
    match code {
        194 => StatusCode::UNAUTHORIZED,
        164 | 192 | 193 | 291 | 497 | 512 | 516 => StatusCode::FORBIDDEN,
        6 | 26 | 27 | 33 | 36 | 38 | 41 | 43 | 53 | 62 | 69 | 70 | 72 | 117 | 121 | 130 | 131 | 167 | 168 | 223
        | 248 | 271 | 321 | 427 | 456 | 457 | 599 | 657 | 671 => StatusCode::BAD_REQUEST,
        46 | 47 | 50 | 60 | 63 | 73 | 81 | 115 | 139 => StatusCode::NOT_FOUND,
        159 => StatusCode::REQUEST_TIMEOUT,
        202 | 203 | 439 => StatusCode::SERVICE_UNAVAILABLE,
        307 => StatusCode::PAYLOAD_TOO_LARGE,
        306 => StatusCode::BAD_REQUEST,
        48 => StatusCode::NOT_IMPLEMENTED,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_code_is_found_and_mapped() {
        let failure =
            Failure::from(Exception("Code: 60. DB::Exception: Table x does not exist. (UNKNOWN_TABLE)".to_owned()));
        assert_eq!((failure.code, failure.status), (60, StatusCode::NOT_FOUND));
        let twice =
            "Code: 164. DB::Exception: Code: 164. DB::Exception: Cannot modify. (READONLY) (version 1). (READONLY)";
        assert_eq!(
            Failure::from(Exception(twice.to_owned())).message,
            "Code: 164. DB::Exception: Cannot modify. (READONLY) (version 1). (READONLY)"
        );
        let failure = Failure::from(Exception("std::exception".to_owned()));
        assert_eq!((failure.code, failure.status), (1002, StatusCode::INTERNAL_SERVER_ERROR));
        assert!(failure.message.starts_with("Code: 1002. DB::Exception: std"));
    }

    #[test]
    fn our_refusals_read_like_clickhouses() {
        let failure = Code::Authentication.failure("x: Authentication failed");
        assert_eq!(failure.message, "Code: 516. DB::Exception: x: Authentication failed. (AUTHENTICATION_FAILED)");
        assert_eq!(failure.status, StatusCode::FORBIDDEN);
    }
}
